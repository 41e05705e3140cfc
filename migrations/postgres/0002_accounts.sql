-- Accounts at providers, and routes: which of our lines they carry. Deleted accounts keep their row, without credentials,
-- since history names them.

create table accounts (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    provider text not null,
    name text not null,
    settings jsonb not null,
    credential_names text not null,
    sealed bytea not null,
    previous_expires_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    deleted_at timestamptz,
    primary key (organization_id, id)
);

create table routes (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    account_id uuid not null,
    channel text not null,
    address text not null,
    handle text,
    state text not null,
    draining_until timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    foreign key (organization_id, account_id) references accounts (organization_id, id)
);

-- One account carries what an organization sends on a channel.
create unique index routes_one_active on routes (organization_id, channel) where state = 'active';

create unique index routes_line on routes (organization_id, account_id, channel, address);
