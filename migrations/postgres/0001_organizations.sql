-- Organizations, the people and keys that act in them, and the version by which processes know that what they hold in
-- memory (accounts, routes, keys) has changed.

create table organizations (
    id uuid primary key,
    name text not null,
    plan_tier text not null,
    default_country text,
    created_at timestamptz not null
);

create table organization_keys (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    master_key_id text not null,
    wrapped bytea not null,
    created_at timestamptz not null,
    primary key (organization_id, id)
);

create table users (
    id uuid primary key,
    email text not null unique,
    subject text unique,
    name text,
    created_at timestamptz not null
);

create table memberships (
    organization_id uuid not null references organizations (id),
    user_id uuid not null references users (id),
    role text not null,
    created_at timestamptz not null,
    primary key (organization_id, user_id)
);

create table api_keys (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    name text not null,
    prefix text not null,
    secret_hash bytea not null unique,
    scopes text not null,
    created_at timestamptz not null,
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    primary key (organization_id, id)
);

create table audit_log (
    organization_id uuid not null,
    id uuid not null,
    actor_kind text not null,
    actor_id text not null,
    action text not null,
    subject text not null,
    detail jsonb not null,
    request_id text,
    at timestamptz not null,
    primary key (organization_id, id)
);

create table directory (
    singleton boolean primary key default true check (singleton),
    version bigint not null
);

insert into directory (version) values (1);
