-- How far requests with an Idempotency-Key have come that are accepted in pieces: each piece is written together with its
-- messages, so that the request goes on where it stopped, whatever stopped it. Once it is answered, these rows are deleted.

create table idempotency_progress (
    organization_id blob not null,
    key text not null,
    -- SHA-256 of the request.
    fingerprint blob not null,
    -- How many of its messages are decided.
    done integer not null,
    -- The process that carries it out, and until when nobody else does.
    holder blob not null,
    held_until text not null,
    created_at text not null,
    primary key (organization_id, key)
) strict, without rowid;

create table idempotency_pieces (
    organization_id blob not null,
    key text not null,
    -- The place of its first message in the request, from 0.
    first integer not null,
    -- What became of each of its messages, in their order.
    results text not null,
    created_at text not null,
    primary key (organization_id, key, first)
) strict, without rowid;

create index idempotency_progress_created on idempotency_progress (organization_id, created_at);
create index idempotency_pieces_created on idempotency_pieces (organization_id, created_at);
