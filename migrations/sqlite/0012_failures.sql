-- What becomes of failures: which attempt a status speaks of, how often a message that was taken and then failed is sent again,
-- templates that are paused, and lanes whose trouble was told by a status.

-- The first 16 bytes of SHA-256(provider, 0, the id by which the provider knows this attempt); null until it has named one. And
-- what a status said of it after it was taken: when, why, and what followed.
alter table send_attempts add column provider_ref blob;
alter table send_attempts add column failed_later text;

-- How often it was sent again by itself after the provider had taken it and told of a failure, and how often it may be. Nothing
-- resets the first. `template_hold` names the paused template for which it waits.
alter table outbound add column resends integer not null default 0;
alter table outbound add column most_resends integer not null default 2;
alter table outbound add column template_hold text;

create index outbound_template_hold on outbound (organization_id, template_hold) where template_hold is not null;

-- A status belongs to an attempt: 0 for messages that were not sent from here, and for what was told before attempts were named.
create table message_statuses_of_attempts (
    organization_id blob not null,
    message_id blob not null,
    status text not null,
    -- Which recipient, where a message has several; empty otherwise.
    recipient text not null,
    attempt integer not null default 0,
    detail text,
    at text not null,
    received_at text not null,
    primary key (organization_id, message_id, status, recipient, attempt)
) strict, without rowid;

insert into message_statuses_of_attempts
    (organization_id, message_id, status, recipient, detail, at, received_at)
    select organization_id, message_id, status, recipient, detail, at, received_at from message_statuses;
drop table message_statuses;
alter table message_statuses_of_attempts rename to message_statuses;

-- The attempt whose further part has this id, or which had this id before the message was sent again.
alter table message_refs add column attempt integer not null default 0;

-- While the account is unwell: whether its trouble was told by a status, so that being taken proves nothing; the message that
-- tries it, and since when. When the lane was last judged: what left before then says nothing new. How often in a row it
-- rested because people complained, and until when.
alter table lanes add column told_later integer not null default 0;
alter table lanes add column probe_id blob;
alter table lanes add column probed_at text;
alter table lanes add column judged_at text;
alter table lanes add column rests integer not null default 0;
alter table lanes add column rested_until text;

-- Templates that a provider has paused. Messages that use them wait until it says otherwise.
create table template_holds (
    organization_id blob not null,
    account_id blob not null,
    name text not null,
    -- Empty where the message named none.
    language text not null,
    -- paused; active again, until all that waited goes on; ended for good, until all that waited is given up; then closed.
    state text not null,
    since text not null,
    updated_at text not null,
    primary key (organization_id, account_id, name, language)
) strict, without rowid;

-- As in migration 11.
insert into sqlite_stat1 (tbl, idx, stat) values
    ('outbound', 'outbound_template_hold', '1000000 1000 100');

analyze sqlite_schema;
