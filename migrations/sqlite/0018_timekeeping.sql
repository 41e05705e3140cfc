-- What is known of time beyond what a clock shows: when a gateway was last alive and swept, and what an operator said of the
-- clock. A clock that was wrong once must not delete what is kept for a time.

create table timekeeping (
    -- There is one row.
    id integer primary key check (id = 1),
    -- When a gateway whose clock was believed last gave a sign of life; null if none ever did.
    alive_at text,
    -- The time at which the last sweep deleted what was too old.
    swept_at text,
    -- What the clock showed last while it was not believed, and for how long gateways have run since, in milliseconds.
    doubted_at text,
    doubted_ms integer not null default 0,
    -- What the clock showed when it had jumped ahead under a running gateway.
    jumped_at text,
    -- The last time an operator said that the clock is right: what it showed, and an id of its own.
    right_at text,
    right_id blob
) strict;

-- What an older version did tells when it was last alive.
insert into timekeeping (id, alive_at) select 1, max(known.at) from (
    select max(seen_at) as at from senders
    union all
    select max(e.at) from event_heads h
        join events e on e.organization_id = h.organization_id and e.seq = h.seq
) known;

-- When its organization was told that an open item will be deleted: without that it is kept, however old.
alter table webhook_quarantine add column noticed_at text;
