-- The second layer of isolation. Every statement names its organization; these policies hold if one ever does not.
--
-- `switchboard_app` serves the API. It sees the rows of the one organization that the session is set to
-- (`switchboard.organization_id`) and no rows at all if none is set.
-- `switchboard_intake` serves webhook intake and sweeps, which write for many organizations in one transaction. It has
-- the rights that these need and no others.
-- Neither owns a table, and neither can bypass row-level security.

do $$
declare
    name text;
begin
    foreach name in array array['switchboard_app', 'switchboard_intake'] loop
        begin
            execute format('create role %I nologin nosuperuser nobypassrls nocreatedb nocreaterole', name);
        exception
            when duplicate_object or unique_violation then null;
        end;
        if not pg_has_role(current_user, name, 'member') then
            execute format('grant %I to current_user', name);
        end if;
    end loop;
end
$$;

create function switchboard_organization() returns uuid
    language sql stable parallel safe
    return nullif(current_setting('switchboard.organization_id', true), '')::uuid;

do $$
declare
    name text;
begin
    foreach name in array array[
        'organization_keys', 'memberships', 'api_keys', 'audit_log', 'accounts', 'routes', 'contacts',
        'contact_identities', 'contact_merges', 'leads', 'messages', 'message_refs', 'message_statuses',
        'message_edits', 'message_attachments', 'media_files', 'waiting_changes', 'call_logs', 'call_events',
        'webhook_inbox', 'webhook_quarantine', 'account_notices', 'event_heads', 'events'
    ] loop
        execute format('alter table %I enable row level security', name);
        -- The sub-select makes the setting be read once a statement and not once a row.
        execute format(
            'create policy organization on %I to switchboard_app
             using (organization_id = (select switchboard_organization()))
             with check (organization_id = (select switchboard_organization()))', name);
        execute format('create policy intake on %I to switchboard_intake using (true) with check (true)', name);
    end loop;
end
$$;

alter table organizations enable row level security;
create policy organization on organizations to switchboard_app
    using (id = (select switchboard_organization()))
    with check (id = (select switchboard_organization()));
create policy intake on organizations to switchboard_intake using (true) with check (true);

alter table users enable row level security;
create policy organization on users for select to switchboard_app
    using (exists (select 1 from memberships m
                   where m.user_id = users.id and m.organization_id = (select switchboard_organization())));
create policy creation on users for insert to switchboard_app with check (true);
create policy intake on users to switchboard_intake using (true) with check (false);

grant usage on schema public to switchboard_app, switchboard_intake;

grant select, insert, update, delete on
    memberships, accounts, routes, contacts, contact_identities, contact_merges, leads, messages, message_refs,
    message_statuses, message_edits, message_attachments, media_files, waiting_changes, call_logs, call_events
    to switchboard_app;
grant select, insert on organization_keys, audit_log, events, users to switchboard_app;
grant select, insert, update on api_keys, event_heads, webhook_quarantine to switchboard_app;
grant select, update on organizations to switchboard_app;
grant select on webhook_inbox, account_notices to switchboard_app;
grant select, update on directory to switchboard_app;

grant select on organizations, organization_keys, users, memberships, accounts, routes, directory to switchboard_intake;
grant select on api_keys to switchboard_intake;
grant update (last_used_at) on api_keys to switchboard_intake;
grant update (settings, credential_names, sealed, previous_expires_at, updated_at) on accounts to switchboard_intake;
grant insert on audit_log to switchboard_intake;
grant select, insert, update on
    contacts, contact_identities, contact_merges, leads, messages, message_edits, call_logs, event_heads
    to switchboard_intake;
grant select, insert on message_refs, message_statuses, call_events, account_notices to switchboard_intake;
grant select, insert, update, delete on message_attachments to switchboard_intake;
grant select, insert, delete on waiting_changes, webhook_inbox, events to switchboard_intake;
grant select, delete on media_files to switchboard_intake;
grant select, insert, update, delete on webhook_quarantine to switchboard_intake;
