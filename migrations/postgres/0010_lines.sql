-- Lines: what accounts can do besides carrying messages. Templates as their providers list them, and linked devices with
-- how they are doing.

create table templates (
    organization_id uuid not null,
    account_id uuid not null,
    -- The provider's id.
    id text not null,
    name text not null,
    language text not null,
    status text not null,
    category text,
    components jsonb not null,
    synced_at timestamptz not null,
    primary key (organization_id, account_id, id)
);

create index templates_name on templates (organization_id, name);

-- When an account's templates are to be listed again, and how it went. One process takes what is due.
create table template_syncs (
    organization_id uuid not null,
    account_id uuid not null,
    due_at timestamptz not null,
    synced_at timestamptz,
    -- Why the last try failed; null if it did not.
    failure text,
    primary key (organization_id, account_id)
);

create table account_sessions (
    organization_id uuid not null,
    account_id uuid not null,
    -- unknown, stopped, starting, pairing, working, failed, logged_out or unreachable.
    state text not null,
    -- What people want of it: nothing, run, stop or log_out.
    wish text not null,
    -- Whether it was linked when it last told.
    linked boolean not null,
    number text,
    detail text,
    -- Since when it is in this state.
    since timestamptz not null,
    checked_at timestamptz,
    -- How often it was started by itself since it last worked for a while, and how often in a row it could not be asked.
    failures bigint not null,
    unanswered bigint not null,
    -- When it is started again by itself.
    next_start_at timestamptz,
    -- When people were told that it was logged out.
    alerted_at timestamptz,
    -- When it is looked at next.
    due_at timestamptz not null,
    -- Whoever deals with it now holds this lease: one process, or one request.
    lease_id uuid,
    lease_until timestamptz,
    primary key (organization_id, account_id)
);

do $$
declare
    name text;
begin
    foreach name in array array['templates', 'template_syncs', 'account_sessions'] loop
        execute format('alter table %I enable row level security', name);
        execute format(
            'create policy organization on %I to switchboard_app
             using (organization_id = (select switchboard_organization()))
             with check (organization_id = (select switchboard_organization()))', name);
        execute format('create policy intake on %I to switchboard_intake using (true) with check (true)', name);
    end loop;
end
$$;

grant select, insert, update, delete on templates, template_syncs, account_sessions to switchboard_app;
grant select on template_syncs, account_sessions to switchboard_intake;
-- What the gateway itself finds out about an account.
grant insert on account_notices to switchboard_app;
