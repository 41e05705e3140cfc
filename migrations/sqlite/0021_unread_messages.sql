-- Messages of which not all could be read, and the kept request that each came in: a version that can read more of it fills
-- them. The request is kept as long as those with open items.

create table unread_messages (
    organization_id blob not null,
    provider_ref blob not null,
    provider text not null,
    inbox_organization_id blob not null,
    inbox_id blob not null,
    attempts integer not null,
    primary key (organization_id, provider_ref)
) strict, without rowid;

create index unread_messages_inbox on unread_messages (inbox_id);
