-- The outbox: what changed, in one order for each organization.
--
-- `event_heads` holds the last number given out. SQLite has one writer at a time, so numbers become visible in their order
-- and a reader that resumes after the last one it saw can miss none.
--
-- An event says what changed and names what it changed; what can be read there is not written again.

create table event_heads (
    organization_id blob primary key,
    seq integer not null,
    -- Events up to this number have been deleted.
    pruned_seq integer not null default 0,
    -- Whether changes wait for messages of this organization. Written by whoever holds the head.
    waiting integer not null default 0
) strict, without rowid;

create table events (
    organization_id blob not null,
    seq integer not null,
    kind text not null,
    subject_id blob not null,
    data text,
    at text not null,
    primary key (organization_id, seq)
) strict, without rowid;
