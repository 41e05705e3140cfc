-- Accounts at providers, and routes: which of our lines they carry. Deleted accounts keep their row, without credentials,
-- since history names them.

create table accounts (
    organization_id blob not null references organizations (id),
    id blob not null,
    provider text not null,
    name text not null,
    settings text not null,
    credential_names text not null,
    sealed blob not null,
    previous_expires_at text,
    created_at text not null,
    updated_at text not null,
    deleted_at text,
    primary key (organization_id, id)
) strict, without rowid;

create table routes (
    organization_id blob not null references organizations (id),
    id blob not null,
    account_id blob not null,
    channel text not null,
    address text not null,
    handle text,
    state text not null,
    draining_until text,
    created_at text not null,
    updated_at text not null,
    primary key (organization_id, id),
    foreign key (organization_id, account_id) references accounts (organization_id, id)
) strict, without rowid;

-- One account carries what an organization sends on a channel.
create unique index routes_one_active on routes (organization_id, channel) where state = 'active';

create unique index routes_line on routes (organization_id, account_id, channel, address);
