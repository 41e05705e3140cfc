-- Lines: what accounts can do besides carrying messages. Templates as their providers list them, and linked devices with
-- how they are doing.

create table templates (
    organization_id blob not null,
    account_id blob not null,
    -- The provider's id.
    id text not null,
    name text not null,
    language text not null,
    status text not null,
    category text,
    components text not null,
    synced_at text not null,
    primary key (organization_id, account_id, id)
) strict, without rowid;

create index templates_name on templates (organization_id, name);

-- When an account's templates are to be listed again, and how it went. One process takes what is due.
create table template_syncs (
    organization_id blob not null,
    account_id blob not null,
    due_at text not null,
    synced_at text,
    -- Why the last try failed; null if it did not.
    failure text,
    primary key (organization_id, account_id)
) strict, without rowid;

create table account_sessions (
    organization_id blob not null,
    account_id blob not null,
    -- unknown, stopped, starting, pairing, working, failed, logged_out or unreachable.
    state text not null,
    -- What people want of it: nothing, run, stop or log_out.
    wish text not null,
    -- Whether it was linked when it last told.
    linked integer not null,
    number text,
    detail text,
    -- Since when it is in this state.
    since text not null,
    checked_at text,
    -- How often it was started by itself since it last worked for a while, and how often in a row it could not be asked.
    failures integer not null,
    unanswered integer not null,
    -- When it is started again by itself.
    next_start_at text,
    -- When people were told that it was logged out.
    alerted_at text,
    -- When it is looked at next.
    due_at text not null,
    -- Whoever deals with it now holds this lease: one process, or one request.
    lease_id blob,
    lease_until text,
    primary key (organization_id, account_id)
) strict, without rowid;
