-- Messages, what became of them, and what waits for them.
--
-- Every webhook writes here, so each index must earn its place: the primary key lists an organization's messages in the
-- order they happened (ids carry that time), `messages_person` lists a person's, and `messages_provider_ref` keeps a
-- message from being stored twice and finds the message that a status speaks of.

create table messages (
    organization_id blob not null,
    id blob not null,
    account_id blob,
    identity_id blob,
    -- The first 16 bytes of SHA-256(provider, 0, provider_message_id); null until the provider has named the message.
    provider_ref blob,
    provider_message_id text,
    provider text not null,
    channel text not null,
    direction text not null,
    our_address text,
    kind text not null,
    content text,
    status text not null,
    metadata text,
    occurred_at text not null,
    created_at text not null,
    processed_at text,
    primary key (organization_id, id)
) strict, without rowid;

create unique index messages_provider_ref on messages (organization_id, provider_ref);

create index messages_person on messages (organization_id, identity_id, id);

-- Further provider ids of a message that the provider took in several parts.
create table message_refs (
    organization_id blob not null,
    provider_ref blob not null,
    message_id blob not null,
    provider_message_id text not null,
    primary key (organization_id, provider_ref)
) strict, without rowid;

create table message_statuses (
    organization_id blob not null,
    message_id blob not null,
    status text not null,
    -- Which recipient, where a message has several; empty otherwise.
    recipient text not null,
    detail text,
    at text not null,
    received_at text not null,
    primary key (organization_id, message_id, status, recipient)
) strict, without rowid;

create table message_edits (
    organization_id blob not null,
    message_id blob not null,
    key text not null,
    what text not null,
    content_before text,
    at text not null,
    primary key (organization_id, message_id, key)
) strict, without rowid;

-- Files of messages: what the provider says of each, and what became of fetching it.
create table message_attachments (
    organization_id blob not null,
    message_id blob not null,
    position integer not null,
    id blob not null,
    kind text not null,
    provider_media_id text,
    url text,
    mime_type text,
    filename text,
    size integer,
    sha256 text,
    -- pending, stored, failed or expired.
    state text not null,
    -- Where the file is kept, once it is stored; files of one content may share it.
    blob_key text,
    -- What was found when it came: what is above is hearsay.
    stored_mime_type text,
    stored_size integer,
    stored_sha256 text,
    -- What is odd about it, such as another hash than was announced.
    warning text,
    attempts integer not null,
    -- When it is fetched next; while it is being fetched, when whoever does it is given up. Null when nothing is to be done.
    due_at text,
    -- Since when it has been wanted: fetching is given up some days after.
    wanted_at text not null,
    last_error text,
    primary key (organization_id, message_id, position)
) strict, without rowid;

create unique index message_attachments_id on message_attachments (organization_id, id);

create index message_attachments_due on message_attachments (due_at) where state = 'pending';

create index message_attachments_blob on message_attachments (organization_id, blob_key) where blob_key is not null;

-- Files that were handed to us, to be sent.
create table media_files (
    organization_id blob not null,
    id blob not null,
    mime_type text not null,
    filename text,
    size integer not null,
    sha256 text not null,
    blob_key text not null,
    created_at text not null,
    primary key (organization_id, id)
) strict, without rowid;

-- Statuses, edits and revocations that came before their message.
create table waiting_changes (
    organization_id blob not null,
    provider_ref blob not null,
    key text not null,
    account_id blob not null,
    change text not null,
    at text not null,
    received_at text not null,
    primary key (organization_id, provider_ref, key)
) strict, without rowid;

create index waiting_changes_received on waiting_changes (received_at);
