-- Webhooks as they came, and the items of them that wait for a person, a route or a fix.
--
-- A request that names several organizations belongs to the platform (the nil id), so that no organization reads
-- another's items in it. Bodies are too large for a table without row ids.

create table webhook_inbox (
    organization_id blob not null,
    id blob not null,
    account_id blob not null,
    provider text not null,
    method text not null,
    url text not null,
    headers text not null,
    body blob not null,
    received_at text not null,
    primary key (organization_id, id)
) strict;

create table webhook_quarantine (
    organization_id blob not null,
    id blob not null,
    inbox_organization_id blob not null,
    inbox_id blob not null,
    account_id blob not null,
    provider text not null,
    position text not null,
    reason text not null,
    detail text not null,
    line text,
    raw text not null,
    state text not null,
    attempts integer not null,
    last_result text,
    last_attempt_at text,
    created_at text not null,
    primary key (organization_id, id)
) strict;

create index webhook_quarantine_open on webhook_quarantine (provider, line) where state = 'open';

create index webhook_quarantine_inbox on webhook_quarantine (inbox_id);

create table account_notices (
    organization_id blob not null,
    account_id blob not null,
    key text not null,
    topic text not null,
    title text not null,
    severity text not null,
    data text not null,
    at text not null,
    received_at text not null,
    primary key (organization_id, account_id, key)
) strict, without rowid;
