-- Suppressions of marketing only, beside those of everything; and messages that are said to be marketing.

alter table suppressions
    -- What is kept from the person: all, or marketing.
    add column scope text not null default 'all',
    -- When we were told. `created_at` is when it began, by the provider's clock where it tells.
    add column known_at timestamptz;

update suppressions set known_at = created_at;

-- `reason` may be `resumed`: the person wants to be written to again since `created_at`. Such a row suppresses nothing; it keeps
-- an older wish that is told later from taking effect.
alter table suppressions
    alter column scope drop default,
    alter column known_at set not null,
    drop constraint suppressions_pkey,
    add primary key (organization_id, channel, kind, match_key, scope);

-- `marketing`, if whoever sent it said so.
alter table outbound add column purpose text;
