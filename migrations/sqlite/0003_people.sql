-- Contacts, their identities, and leads. Messages and calls refer to an identity, which never changes; a merge points
-- identities at another contact and is therefore instant and can be undone.

create table contacts (
    organization_id blob not null,
    id blob not null,
    name text,
    merged_into blob,
    created_at text not null,
    updated_at text not null,
    primary key (organization_id, id)
) strict, without rowid;

create table contact_identities (
    organization_id blob not null,
    id blob not null,
    contact_id blob not null,
    kind text not null,
    value text not null,
    match_key text not null,
    name text,
    username text,
    created_at text not null,
    primary key (organization_id, id)
) strict, without rowid;

-- Also finds every spelling of one line, since the match key stands before the value.
create unique index contact_identities_value on contact_identities (organization_id, kind, match_key, value);

create index contact_identities_contact on contact_identities (organization_id, contact_id);

create table contact_merges (
    organization_id blob not null,
    id blob not null,
    kept_contact_id blob not null,
    merged_contact_id blob not null,
    identity_ids text not null,
    lead_ids text not null,
    reason text not null,
    actor text not null,
    merged_at text not null,
    undone_at text,
    primary key (organization_id, id)
) strict, without rowid;

create table leads (
    organization_id blob not null,
    id blob not null,
    contact_id blob not null,
    name text not null,
    email text,
    phone text,
    company text,
    source text,
    stage text not null,
    created_at text not null,
    updated_at text not null,
    primary key (organization_id, id)
) strict, without rowid;

create index leads_contact on leads (organization_id, contact_id);
