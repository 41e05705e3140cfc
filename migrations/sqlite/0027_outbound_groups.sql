-- The group that a message of ours goes to, by the provider's id of it; null where it goes to its recipient alone. Who is answered
-- there is its recipient all the same.

alter table outbound add column group_id text;
