-- Which key a kept webhook was signed with: a fingerprint, made with a secret of the gateway's own so that nobody can guess a
-- weak key from it. Whoever holds that key can read the webhook again, whatever became of the account that received it.

-- Secrets that belong to no organization, wrapped by the master key like the organizations' own. Only the directory, which
-- is read with the rights of intake, needs them; the schema's owner makes them.
create table gateway_keys (
    name text primary key,
    master_key_id text not null,
    wrapped bytea not null,
    created_at timestamptz not null
);

alter table gateway_keys enable row level security;
create policy intake on gateway_keys for select to switchboard_intake using (true);
grant select on gateway_keys to switchboard_intake;

-- Null in what an older version kept.
alter table webhook_inbox add column key_fingerprint bytea;
