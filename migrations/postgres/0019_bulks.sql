-- How far requests with an Idempotency-Key have come that are accepted in pieces: each piece is written together with its
-- messages, so that the request goes on where it stopped, whatever stopped it. Once it is answered, these rows are deleted.

create table idempotency_progress (
    organization_id uuid not null,
    key text not null,
    -- SHA-256 of the request.
    fingerprint bytea not null,
    -- How many of its messages are decided.
    done bigint not null,
    -- The process that carries it out, and until when nobody else does.
    holder uuid not null,
    held_until timestamptz not null,
    created_at timestamptz not null,
    primary key (organization_id, key)
);

create table idempotency_pieces (
    organization_id uuid not null,
    key text not null,
    -- The place of its first message in the request, from 0.
    first bigint not null,
    -- What became of each of its messages, in their order.
    results jsonb not null,
    created_at timestamptz not null,
    primary key (organization_id, key, first)
);

create index idempotency_progress_created on idempotency_progress (organization_id, created_at);
create index idempotency_pieces_created on idempotency_pieces (organization_id, created_at);

do $$
declare
    name text;
begin
    foreach name in array array['idempotency_progress', 'idempotency_pieces'] loop
        execute format('alter table %I enable row level security', name);
        execute format(
            'create policy organization on %I to switchboard_app
             using (organization_id = (select switchboard_organization()))
             with check (organization_id = (select switchboard_organization()))', name);
        execute format('create policy intake on %I to switchboard_intake using (true) with check (true)', name);
        execute format('grant select, insert, update, delete on %I to switchboard_app', name);
        execute format('grant select, delete on %I to switchboard_intake', name);
    end loop;
end
$$;
