-- The outbox: what changed, in one order for each organization.
--
-- `event_heads` holds the last number given out. A transaction that will write events locks the head first and keeps it
-- until it commits, so numbers become visible in their order and a reader that resumes after the last one it saw can
-- miss none. The same lock makes the head an organization's write lock: whoever holds it sees everything before.
--
-- An event says what changed and names what it changed; what can be read there is not written again.

create table event_heads (
    organization_id uuid primary key,
    seq bigint not null,
    -- Events up to this number have been deleted.
    pruned_seq bigint not null default 0,
    -- Whether changes wait for messages of this organization. Written by whoever holds the head.
    waiting boolean not null default false
) with (fillfactor = 40);

create table events (
    organization_id uuid not null,
    seq bigint not null,
    kind text not null,
    subject_id uuid not null,
    data jsonb,
    at timestamptz not null,
    primary key (organization_id, seq)
);
