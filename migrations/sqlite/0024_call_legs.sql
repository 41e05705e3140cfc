-- Calls find their legs: by the leg they were dialled from, and by the conversation that joins them. And a call of which nothing
-- is heard is looked for by the time since which it is waited for.

alter table call_logs add column watched_since text;

update call_logs set watched_since = processed_at where state in ('initiated', 'ringing');

create index call_logs_parent on call_logs (organization_id, parent_call_id) where parent_call_id is not null;
create index call_logs_session on call_logs (organization_id, session_id) where session_id is not null;
create index call_logs_watched on call_logs (watched_since) where watched_since is not null;

-- What the planner is to believe of them, as of all the others.
delete from sqlite_stat1 where idx in ('call_logs_parent', 'call_logs_session', 'call_logs_watched');

insert into sqlite_stat1 (tbl, idx, stat) values
    ('call_logs', 'call_logs_parent', '1000000000 1000000 2'),
    ('call_logs', 'call_logs_session', '1000000000 1000000 2'),
    ('call_logs', 'call_logs_watched', '1000 1');
