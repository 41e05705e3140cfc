-- Sending: what waits to be sent, how fast, what was tried, and whom not to write to.
--
-- A row of `outbound` is the truth about one message of ours: what it says, when it is due, who has claimed it. Jobs only
-- wake whoever sends; a lost or doubled job changes nothing.

create table outbound (
    organization_id uuid not null,
    message_id uuid not null,
    channel text not null,
    -- The recipient.
    identity_id uuid not null,
    -- due, claimed, unknown, sent, dead or canceled.
    state text not null,
    -- Whether it waits behind messages that were accepted one by one.
    bulk boolean not null,
    due_at timestamptz not null,
    expires_at timestamptz not null,
    -- How often sending was tried, and how often in a row the recipient's own limit held it back.
    attempts bigint not null default 0,
    throttled bigint not null default 0,
    content jsonb not null,
    -- The template that is sent in its place when the customer-service window has closed.
    fallback jsonb,
    -- The message it answers, by the id of the provider that carried that one.
    reply_provider text,
    reply_ref text,
    -- Who has claimed it, and under which number.
    worker_id uuid,
    claim_id uuid,
    last_failure jsonb,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, message_id)
);

create index outbound_due on outbound (organization_id, channel, bulk, due_at, message_id) where state = 'due';

-- Keeps a conversation in order.
create index outbound_conversation on outbound (identity_id, message_id)
    where state in ('due', 'claimed');

create index outbound_claimed on outbound (worker_id) where state = 'claimed';

create index outbound_unknown on outbound (updated_at) where state = 'unknown';

create index outbound_dead on outbound (organization_id, message_id) where state = 'dead';

-- What an organization sends on a channel, as a whole: its pace, and what holds it back.
create table lanes (
    organization_id uuid not null,
    channel text not null,
    -- When the first message is due; null when none waits.
    due_at timestamptz,
    -- When somebody was last called to it, or last took from it; null once it was found empty. While this is fresh, nobody
    -- needs to be called.
    awake_at timestamptz,
    -- The token bucket.
    tokens double precision not null,
    refilled_at timestamptz not null,
    -- The share of its pace that it may use since the provider complained, and since when.
    factor double precision not null,
    slowed_at timestamptz not null,
    paused_until timestamptz,
    pause_reason text,
    -- Whether its account refused everything when it was last tried.
    unwell boolean not null default false,
    -- People who never wrote to us that were written to on this day (UTC).
    first_contacts bigint not null default 0,
    first_contacts_day text,
    primary key (organization_id, channel)
) with (fillfactor = 50);

-- How often one recipient may be written to.
create table lane_pairs (
    organization_id uuid not null,
    channel text not null,
    identity_id uuid not null,
    tokens double precision not null,
    refilled_at timestamptz not null,
    primary key (organization_id, channel, identity_id)
);

create index lane_pairs_refilled on lane_pairs (refilled_at);

-- Processes that send. One that has not been seen for a while is dead, and what it had claimed is taken from it. (The job
-- queue has a table of its own that is called `workers`.)
create table senders (
    id uuid primary key,
    seen_at timestamptz not null
);

-- The journal. A row is written before a request leaves; one without an end belongs to a request that may have arrived.
create table send_attempts (
    organization_id uuid not null,
    message_id uuid not null,
    attempt bigint not null,
    account_id uuid not null,
    provider text not null,
    our_address text not null,
    started_at timestamptz not null,
    finished_at timestamptz,
    -- sent, transient, rate_limited, permanent, indeterminate or abandoned.
    outcome text,
    code text,
    detail text,
    -- Requests and answers, without credentials.
    exchanges jsonb,
    primary key (organization_id, message_id, attempt)
);

-- Whom not to write to. Without an end it lasts until somebody takes it back.
create table suppressions (
    organization_id uuid not null,
    channel text not null,
    kind text not null,
    match_key text not null,
    value text not null,
    reason text not null,
    detail text,
    until timestamptz,
    created_at timestamptz not null,
    primary key (organization_id, channel, kind, match_key)
);

-- Answers to requests that carried an Idempotency-Key.
create table idempotency_keys (
    organization_id uuid not null,
    key text not null,
    -- SHA-256 of the request.
    fingerprint bytea not null,
    status bigint not null,
    answer jsonb not null,
    created_at timestamptz not null,
    primary key (organization_id, key)
);

create index idempotency_keys_created on idempotency_keys (created_at);

do $$
declare
    name text;
begin
    foreach name in array array[
        'outbound', 'lanes', 'lane_pairs', 'send_attempts', 'suppressions', 'idempotency_keys'
    ] loop
        execute format('alter table %I enable row level security', name);
        execute format(
            'create policy organization on %I to switchboard_app
             using (organization_id = (select switchboard_organization()))
             with check (organization_id = (select switchboard_organization()))', name);
        execute format('create policy intake on %I to switchboard_intake using (true) with check (true)', name);
    end loop;
end
$$;

-- As above, but of no use to the planner: together with a statement's own condition it would make an organization's messages
-- look far fewer than they are, and their conversations be looked up among all of them.
alter policy organization on outbound to switchboard_app
    using ((organization_id = (select switchboard_organization())) is true);

grant select, insert, update, delete on
    outbound, lanes, lane_pairs, send_attempts, suppressions, idempotency_keys
    to switchboard_app;
grant select, update on outbound, lanes, send_attempts to switchboard_intake;
grant select, insert, update, delete on suppressions to switchboard_intake;
grant select, delete on outbound, lane_pairs, send_attempts, idempotency_keys to switchboard_intake;
grant select, insert, update, delete on senders to switchboard_intake;
grant delete on message_statuses to switchboard_intake;
grant insert on lanes to switchboard_intake;
