-- Contacts, their identities, and leads. Messages and calls refer to an identity, which never changes; a merge points
-- identities at another contact and is therefore instant and can be undone.

create table contacts (
    organization_id uuid not null,
    id uuid not null,
    name text,
    merged_into uuid,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id)
);

create table contact_identities (
    organization_id uuid not null,
    id uuid not null,
    contact_id uuid not null,
    kind text not null,
    value text not null,
    match_key text not null,
    name text,
    username text,
    created_at timestamptz not null,
    primary key (organization_id, id)
);

-- Also finds every spelling of one line, since the match key stands before the value.
create unique index contact_identities_value on contact_identities (organization_id, kind, match_key, value);

create index contact_identities_contact on contact_identities (organization_id, contact_id);

create table contact_merges (
    organization_id uuid not null,
    id uuid not null,
    kept_contact_id uuid not null,
    merged_contact_id uuid not null,
    identity_ids jsonb not null,
    lead_ids jsonb not null,
    reason text not null,
    actor text not null,
    merged_at timestamptz not null,
    undone_at timestamptz,
    primary key (organization_id, id)
);

create table leads (
    organization_id uuid not null,
    id uuid not null,
    contact_id uuid not null,
    name text not null,
    email text,
    phone text,
    company text,
    source text,
    stage text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id)
);

create index leads_contact on leads (organization_id, contact_id);
