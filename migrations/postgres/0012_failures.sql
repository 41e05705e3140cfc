-- What becomes of failures: which attempt a status speaks of, how often a message that was taken and then failed is sent again,
-- templates that are paused, and lanes whose trouble was told by a status.

-- The first 16 bytes of SHA-256(provider, 0, the id by which the provider knows this attempt); null until it has named one. And
-- what a status said of it after it was taken: when, why, and what followed.
alter table send_attempts add column provider_ref uuid;
alter table send_attempts add column failed_later jsonb;

-- How often it was sent again by itself after the provider had taken it and told of a failure, and how often it may be. Nothing
-- resets the first. `template_hold` names the paused template for which it waits.
alter table outbound add column resends bigint not null default 0;
alter table outbound add column most_resends bigint not null default 2;
alter table outbound add column template_hold text;

create index outbound_template_hold on outbound (organization_id, template_hold) where template_hold is not null;

-- A status belongs to an attempt: 0 for messages that were not sent from here, and for what was told before attempts were named.
alter table message_statuses add column attempt bigint not null default 0;
alter table message_statuses drop constraint message_statuses_pkey;
alter table message_statuses add primary key (organization_id, message_id, status, recipient, attempt);

-- The attempt whose further part has this id, or which had this id before the message was sent again.
alter table message_refs add column attempt bigint not null default 0;

-- While the account is unwell: whether its trouble was told by a status, so that being taken proves nothing; the message that
-- tries it, and since when. When the lane was last judged: what left before then says nothing new. How often in a row it
-- rested because people complained, and until when.
alter table lanes add column told_later boolean not null default false;
alter table lanes add column probe_id uuid;
alter table lanes add column probed_at timestamptz;
alter table lanes add column judged_at timestamptz;
alter table lanes add column rests bigint not null default 0;
alter table lanes add column rested_until timestamptz;

-- Templates that a provider has paused. Messages that use them wait until it says otherwise.
create table template_holds (
    organization_id uuid not null,
    account_id uuid not null,
    name text not null,
    -- Empty where the message named none.
    language text not null,
    -- paused; active again, until all that waited goes on; ended for good, until all that waited is given up; then closed.
    state text not null,
    since timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, account_id, name, language)
);

alter table template_holds enable row level security;
create policy organization on template_holds to switchboard_app
    using (organization_id = (select switchboard_organization()))
    with check (organization_id = (select switchboard_organization()));
create policy intake on template_holds to switchboard_intake using (true) with check (true);

grant select, insert, update, delete on template_holds to switchboard_app;
grant select, insert, update, delete on template_holds to switchboard_intake;
grant select, update on templates to switchboard_intake;
grant insert, update on template_syncs to switchboard_intake;
grant update on message_refs to switchboard_intake;
revoke delete on message_statuses from switchboard_intake;
