-- Webhooks as they came, and the items of them that wait for a person, a route or a fix.
--
-- A request that names several organizations belongs to the platform (the nil id), so that no organization reads
-- another's items in it.

create table webhook_inbox (
    organization_id uuid not null,
    id uuid not null,
    account_id uuid not null,
    provider text not null,
    method text not null,
    url text not null,
    headers text not null,
    body bytea not null,
    received_at timestamptz not null,
    primary key (organization_id, id)
);

-- Bodies are JSON of one to two kilobytes: compressing them costs more than it saves.
alter table webhook_inbox alter column body set storage external;

create table webhook_quarantine (
    organization_id uuid not null,
    id uuid not null,
    inbox_organization_id uuid not null,
    inbox_id uuid not null,
    account_id uuid not null,
    provider text not null,
    position text not null,
    reason text not null,
    detail text not null,
    line text,
    raw text not null,
    state text not null,
    attempts bigint not null,
    last_result text,
    last_attempt_at timestamptz,
    created_at timestamptz not null,
    primary key (organization_id, id)
);

create index webhook_quarantine_open on webhook_quarantine (provider, line) where state = 'open';

create index webhook_quarantine_inbox on webhook_quarantine (inbox_id);

create table account_notices (
    organization_id uuid not null,
    account_id uuid not null,
    key text not null,
    topic text not null,
    title text not null,
    severity text not null,
    data jsonb not null,
    at timestamptz not null,
    received_at timestamptz not null,
    primary key (organization_id, account_id, key)
);
