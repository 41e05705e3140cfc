-- Organizations, the people and keys that act in them, and the version by which processes know that what they hold in
-- memory (accounts, routes, keys) has changed.

create table organizations (
    id blob primary key,
    name text not null,
    plan_tier text not null,
    default_country text,
    created_at text not null
) strict, without rowid;

create table organization_keys (
    organization_id blob not null references organizations (id),
    id blob not null,
    master_key_id text not null,
    wrapped blob not null,
    created_at text not null,
    primary key (organization_id, id)
) strict, without rowid;

create table users (
    id blob primary key,
    email text not null unique,
    subject text unique,
    name text,
    created_at text not null
) strict, without rowid;

create table memberships (
    organization_id blob not null references organizations (id),
    user_id blob not null references users (id),
    role text not null,
    created_at text not null,
    primary key (organization_id, user_id)
) strict, without rowid;

create table api_keys (
    organization_id blob not null references organizations (id),
    id blob not null,
    name text not null,
    prefix text not null,
    secret_hash blob not null unique,
    scopes text not null,
    created_at text not null,
    expires_at text,
    last_used_at text,
    revoked_at text,
    primary key (organization_id, id)
) strict, without rowid;

create table audit_log (
    organization_id blob not null,
    id blob not null,
    actor_kind text not null,
    actor_id text not null,
    action text not null,
    subject text not null,
    detail text not null,
    request_id text,
    at text not null,
    primary key (organization_id, id)
) strict, without rowid;

create table directory (
    singleton integer primary key default 1 check (singleton = 1),
    version integer not null
) strict;

insert into directory (version) values (1);
