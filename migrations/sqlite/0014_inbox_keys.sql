-- Which key a kept webhook was signed with: a fingerprint, made with a secret of the gateway's own so that nobody can guess a
-- weak key from it. Whoever holds that key can read the webhook again, whatever became of the account that received it.

-- Secrets that belong to no organization, wrapped by the master key like the organizations' own.
create table gateway_keys (
    name text primary key,
    master_key_id text not null,
    wrapped blob not null,
    created_at text not null
) strict, without rowid;

-- Null in what an older version kept.
alter table webhook_inbox add column key_fingerprint blob;
