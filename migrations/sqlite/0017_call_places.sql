-- Where calls lie on the timeline. A call's id holds the time at which it was first heard of, and stays; when it began may
-- become known later. Its place is the id moved to that time, and changes with it.

-- (The default is for the rows that are here: whoever writes a call writes its place.)
alter table call_logs add column place blob not null default x'';

-- An id is 12 hexadecimal digits of milliseconds, the version, 3 digits of a millisecond's 4096th parts, and a tail. Times are
-- `2026-11-01T12:00:00+00:00`, with 3, 6 or 9 digits after a point where there is a fraction. What is before 1970 has the
-- least of times.
update call_logs set place = (
    select unhex(format('%012x7%03x', micros / 1000, micros % 1000 * 4096 / 1000) || substr(hex(call_logs.id), 17))
    from (
        select max(0, cast(strftime('%s', substr(call_logs.occurred_at, 1, 19)) as integer) * 1000000
            + case when substr(call_logs.occurred_at, 20, 1) = '.'
                then cast(substr(replace(substr(call_logs.occurred_at, 21), '+', '000000'), 1, 6) as integer)
                else 0 end) as micros
    )
);

drop index call_logs_person;
create index call_logs_person on call_logs (organization_id, identity_id, place);
create index call_logs_place on call_logs (organization_id, place);

-- What the planner is to believe of them, as of all the others.
delete from sqlite_stat1 where idx in ('call_logs_person', 'call_logs_place');

insert into sqlite_stat1 (tbl, idx, stat) values
    ('call_logs', 'call_logs_person', '1000000000 1000000 100 1'),
    ('call_logs', 'call_logs_place', '1000000000 1000000 1');

analyze sqlite_schema;
