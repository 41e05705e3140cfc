-- Sending: what waits to be sent, how fast, what was tried, and whom not to write to.
--
-- A row of `outbound` is the truth about one message of ours: what it says, when it is due, who has claimed it. Jobs only
-- wake whoever sends; a lost or doubled job changes nothing.

create table outbound (
    organization_id blob not null,
    message_id blob not null,
    channel text not null,
    -- The recipient.
    identity_id blob not null,
    -- due, claimed, unknown, sent, dead or canceled.
    state text not null,
    -- Whether it waits behind messages that were accepted one by one.
    bulk integer not null,
    due_at text not null,
    expires_at text not null,
    -- How often sending was tried, and how often in a row the recipient's own limit held it back.
    attempts integer not null default 0,
    throttled integer not null default 0,
    content text not null,
    -- The template that is sent in its place when the customer-service window has closed.
    fallback text,
    -- The message it answers, by the id of the provider that carried that one.
    reply_provider text,
    reply_ref text,
    -- Who has claimed it, and under which number.
    worker_id blob,
    claim_id blob,
    last_failure text,
    created_at text not null,
    updated_at text not null,
    primary key (organization_id, message_id)
) strict, without rowid;

create index outbound_due on outbound (organization_id, channel, bulk, due_at, message_id) where state = 'due';

-- Keeps a conversation in order.
create index outbound_conversation on outbound (identity_id, message_id)
    where state in ('due', 'claimed');

create index outbound_claimed on outbound (worker_id) where state = 'claimed';

create index outbound_unknown on outbound (updated_at) where state = 'unknown';

create index outbound_dead on outbound (organization_id, message_id) where state = 'dead';

-- What an organization sends on a channel, as a whole: its pace, and what holds it back.
create table lanes (
    organization_id blob not null,
    channel text not null,
    -- When the first message is due; null when none waits.
    due_at text,
    -- When somebody was last called to it, or last took from it; null once it was found empty. While this is fresh, nobody
    -- needs to be called.
    awake_at text,
    -- The token bucket.
    tokens real not null,
    refilled_at text not null,
    -- The share of its pace that it may use since the provider complained, and since when.
    factor real not null,
    slowed_at text not null,
    paused_until text,
    pause_reason text,
    -- Whether its account refused everything when it was last tried.
    unwell integer not null default 0,
    -- People who never wrote to us that were written to on this day (UTC).
    first_contacts integer not null default 0,
    first_contacts_day text,
    primary key (organization_id, channel)
) strict, without rowid;

-- How often one recipient may be written to.
create table lane_pairs (
    organization_id blob not null,
    channel text not null,
    identity_id blob not null,
    tokens real not null,
    refilled_at text not null,
    primary key (organization_id, channel, identity_id)
) strict, without rowid;

create index lane_pairs_refilled on lane_pairs (refilled_at);

-- Processes that send. One that has not been seen for a while is dead, and what it had claimed is taken from it. (The job
-- queue has a table of its own that is called `workers`.)
create table senders (
    id blob primary key,
    seen_at text not null
) strict, without rowid;

-- The journal. A row is written before a request leaves; one without an end belongs to a request that may have arrived.
create table send_attempts (
    organization_id blob not null,
    message_id blob not null,
    attempt integer not null,
    account_id blob not null,
    provider text not null,
    our_address text not null,
    started_at text not null,
    finished_at text,
    -- sent, transient, rate_limited, permanent, indeterminate or abandoned.
    outcome text,
    code text,
    detail text,
    -- Requests and answers, without credentials.
    exchanges text,
    primary key (organization_id, message_id, attempt)
) strict, without rowid;

-- Whom not to write to. Without an end it lasts until somebody takes it back.
create table suppressions (
    organization_id blob not null,
    channel text not null,
    kind text not null,
    match_key text not null,
    value text not null,
    reason text not null,
    detail text,
    until text,
    created_at text not null,
    primary key (organization_id, channel, kind, match_key)
) strict, without rowid;

-- Answers to requests that carried an Idempotency-Key.
create table idempotency_keys (
    organization_id blob not null,
    key text not null,
    -- SHA-256 of the request.
    fingerprint blob not null,
    status integer not null,
    answer text not null,
    created_at text not null,
    primary key (organization_id, key)
) strict, without rowid;

create index idempotency_keys_created on idempotency_keys (created_at);
