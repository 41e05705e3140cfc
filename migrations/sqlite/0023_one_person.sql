-- One line, one key: Benin and Ivory Coast made their numbers longer, and old and new spellings of one line have one key now.
-- People who were two contacts for it become one, in a merge that can be undone, as soon as either of them is heard of.

create temporary table longer_numbers as
select match_key as old_key, case
    when match_key like '22901%' then '229' || substr(match_key, 6)
    when match_key like '225%' and substr(match_key, 6, 1) not in ('2', '3') and substr(match_key, 4, 2) = case
        when substr(match_key, 7, 1) in ('7', '8', '9') then '07'
        when substr(match_key, 7, 1) in ('4', '5', '6') then '05' else '01' end
    then '225' || substr(match_key, 6) end as new_key
from (
    select match_key from contact_identities where kind = 'phone' and length(match_key) = 13
    union select match_key from suppressions where kind = 'phone' and length(match_key) = 13
    union select substr(line, 9) from webhook_quarantine where line like 'address:%' and length(line) = 21
) of_that_length;

delete from longer_numbers where new_key is null;

update contact_identities
set match_key = (select g.new_key from longer_numbers g where g.old_key = contact_identities.match_key)
where kind = 'phone' and match_key in (select old_key from longer_numbers);

-- Where both spellings are suppressed, one of the two stays: what people of the organization decided; what somebody asked for
-- themselves rather than what ends by itself; the later one.
delete from suppressions
where kind = 'phone' and exists (
    select 1 from longer_numbers g join suppressions older
    on older.organization_id = suppressions.organization_id and older.channel = suppressions.channel
    and older.kind = 'phone' and older.scope = suppressions.scope and older.match_key = g.new_key
    where g.old_key = suppressions.match_key
    and (older.reason = 'manual' or (suppressions.reason <> 'manual' and case
        when older.reason = 'resumed' or suppressions.reason = 'resumed' or (older.until is null) = (suppressions.until is null)
        then older.created_at >= suppressions.created_at
        else older.until is null end)));

delete from suppressions
where kind = 'phone' and exists (
    select 1 from longer_numbers g join suppressions newer
    on newer.organization_id = suppressions.organization_id and newer.channel = suppressions.channel
    and newer.kind = 'phone' and newer.scope = suppressions.scope and newer.match_key = g.old_key
    where g.new_key = suppressions.match_key);

update suppressions
set match_key = (select g.new_key from longer_numbers g where g.old_key = suppressions.match_key)
where kind = 'phone' and match_key in (select old_key from longer_numbers);

update webhook_quarantine
set line = 'address:' || (select g.new_key from longer_numbers g where g.old_key = substr(webhook_quarantine.line, 9))
where line like 'address:%' and substr(line, 9) in (select old_key from longer_numbers);

drop table longer_numbers;

-- User names stand without their sign, and the digits of a number or LID are no name.
update contact_identities set username = nullif(ltrim(username, '@'), '') where username like '@%';

update contact_identities set name = null
where kind in ('phone', 'wa_lid') and (name = value or '+' || name = value or name = value || '@lid');

update contacts set name = null
where name is not null and exists (
    select 1 from contact_identities i
    where i.organization_id = contacts.organization_id and i.contact_id = contacts.id
    and i.kind = 'wa_lid' and contacts.name in (i.value, i.value || '@lid'));
