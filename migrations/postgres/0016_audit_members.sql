-- Refusals of the audit log: what one caller tries against one target within an hour is one row that counts it. Anybody with a
-- key can be refused as often as they like, and each time another organization's log is written.

alter table audit_log add column hour timestamptz;
alter table audit_log add column count bigint not null default 1;
alter table audit_log add column last_at timestamptz;

create unique index audit_log_refusals on audit_log (organization_id, actor_kind, actor_id, action, subject, hour)
    where hour is not null;

-- Whoever counts must see what is there already, and whoever sweeps must delete.
grant select (organization_id, id, actor_kind, actor_id, action, subject, hour, count, last_at) on audit_log to switchboard_intake;
grant update (count, last_at) on audit_log to switchboard_intake;
grant delete on audit_log to switchboard_intake;

-- What a person is called is said by each organization for itself. A name that is there was given by the first that made the
-- person a member, and is not told to others.

alter table memberships add column name text;

update memberships set name = (select u.name from users u where u.id = memberships.user_id)
where organization_id = (
    select first.organization_id from memberships first where first.user_id = memberships.user_id
    order by first.created_at, first.organization_id limit 1
);

alter table users drop column name;
