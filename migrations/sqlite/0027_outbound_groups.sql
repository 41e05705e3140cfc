-- The group that a message of ours goes to, by the provider's id of it; null where it goes to its recipient alone. Who is answered
-- there is its recipient all the same.

alter table outbound add column group_id text;

-- When somebody last wrote in a group: its window is open for a day.
create index messages_group on messages (organization_id, (metadata ->> 'group_id'), id)
    where metadata ->> 'group_id' is not null;
