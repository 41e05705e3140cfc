-- Where calls lie on the timeline. A call's id holds the time at which it was first heard of, and stays; when it began may
-- become known later. Its place is the id moved to that time, and changes with it.

alter table call_logs add column place uuid;

-- An id is 12 hexadecimal digits of milliseconds, the version, 3 digits of a millisecond's 4096th parts, and a tail. What is before 1970 has the least of
-- times.
update call_logs set place = (
    lpad(to_hex(began.micros / 1000), 12, '0') || '7' || lpad(to_hex(began.micros % 1000 * 4096 / 1000), 3, '0')
        || right(replace(call_logs.id::text, '-', ''), 16))::uuid
from (
    select organization_id, id, greatest(0, (extract(epoch from occurred_at) * 1000000)::bigint) as micros from call_logs
) began
where began.organization_id = call_logs.organization_id and began.id = call_logs.id;

alter table call_logs alter column place set not null;

drop index call_logs_person;
create index call_logs_person on call_logs (organization_id, identity_id, place);
create index call_logs_place on call_logs (organization_id, place);
