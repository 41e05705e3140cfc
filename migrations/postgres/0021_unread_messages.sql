-- Messages of which not all could be read, and the kept request that each came in: a version that can read more of it fills
-- them. The request is kept as long as those with open items.

create table unread_messages (
    organization_id uuid not null,
    provider_ref uuid not null,
    provider text not null,
    inbox_organization_id uuid not null,
    inbox_id uuid not null,
    attempts bigint not null,
    primary key (organization_id, provider_ref)
);

create index unread_messages_inbox on unread_messages (inbox_id);

alter table unread_messages enable row level security;
create policy organization on unread_messages to switchboard_app
    using (organization_id = (select switchboard_organization()))
    with check (organization_id = (select switchboard_organization()));
create policy intake on unread_messages to switchboard_intake using (true) with check (true);

grant select on unread_messages to switchboard_app;
grant select, insert, update, delete on unread_messages to switchboard_intake;
