-- Suppressions of marketing only, beside those of everything; and messages that are said to be marketing.

create table suppressions_by_scope (
    organization_id blob not null,
    channel text not null,
    kind text not null,
    match_key text not null,
    -- What is kept from the person: all, or marketing.
    scope text not null,
    value text not null,
    -- opted_out, undeliverable, manual; or resumed: the person wants to be written to again since `created_at`. Such a row
    -- suppresses nothing; it keeps an older wish that is told later from taking effect.
    reason text not null,
    detail text,
    until text,
    -- When it began, by the provider's clock where it tells, and when we were told.
    created_at text not null,
    known_at text not null,
    primary key (organization_id, channel, kind, match_key, scope)
) strict, without rowid;

insert into suppressions_by_scope
    (organization_id, channel, kind, match_key, scope, value, reason, detail, until, created_at, known_at)
    select organization_id, channel, kind, match_key, 'all', value, reason, detail, until, created_at, created_at
    from suppressions;
drop table suppressions;
alter table suppressions_by_scope rename to suppressions;

-- `marketing`, if whoever sent it said so.
alter table outbound add column purpose text;
