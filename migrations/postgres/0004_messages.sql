-- Messages, what became of them, and what waits for them.
--
-- Every webhook writes here, so each index must earn its place: the primary key lists an organization's messages in the
-- order they happened (ids carry that time), `messages_person` lists a person's, and `messages_provider_ref` keeps a
-- message from being stored twice and finds the message that a status speaks of.
--
-- There are no foreign keys to identities and accounts here: a check locks the parent row on every insert. The one
-- writer of these tables makes the parents first, in the same transaction.

create table messages (
    organization_id uuid not null,
    id uuid not null,
    account_id uuid,
    identity_id uuid,
    -- The first 16 bytes of SHA-256(provider, 0, provider_message_id); null until the provider has named the message.
    provider_ref uuid,
    provider_message_id text,
    provider text not null,
    channel text not null,
    direction text not null,
    our_address text,
    kind text not null,
    content text,
    status text not null,
    metadata jsonb,
    occurred_at timestamptz not null,
    created_at timestamptz not null,
    processed_at timestamptz,
    primary key (organization_id, id)
) with (fillfactor = 95);

create unique index messages_provider_ref on messages (organization_id, provider_ref);

create index messages_person on messages (organization_id, identity_id, id);

-- Further provider ids of a message that the provider took in several parts.
create table message_refs (
    organization_id uuid not null,
    provider_ref uuid not null,
    message_id uuid not null,
    provider_message_id text not null,
    primary key (organization_id, provider_ref)
);

create table message_statuses (
    organization_id uuid not null,
    message_id uuid not null,
    status text not null,
    -- Which recipient, where a message has several; empty otherwise.
    recipient text not null,
    detail jsonb,
    at timestamptz not null,
    received_at timestamptz not null,
    primary key (organization_id, message_id, status, recipient)
);

create table message_edits (
    organization_id uuid not null,
    message_id uuid not null,
    key text not null,
    what text not null,
    content_before text,
    at timestamptz not null,
    primary key (organization_id, message_id, key)
);

-- Files of messages: what the provider says of each, and what became of fetching it.
create table message_attachments (
    organization_id uuid not null,
    message_id uuid not null,
    position bigint not null,
    id uuid not null,
    kind text not null,
    provider_media_id text,
    url text,
    mime_type text,
    filename text,
    size bigint,
    sha256 text,
    -- pending, stored, failed or expired.
    state text not null,
    -- Where the file is kept, once it is stored; files of one content may share it.
    blob_key text,
    -- What was found when it came: what is above is hearsay.
    stored_mime_type text,
    stored_size bigint,
    stored_sha256 text,
    -- What is odd about it, such as another hash than was announced.
    warning text,
    attempts bigint not null,
    -- When it is fetched next; while it is being fetched, when whoever does it is given up. Null when nothing is to be done.
    due_at timestamptz,
    -- Since when it has been wanted: fetching is given up some days after.
    wanted_at timestamptz not null,
    last_error text,
    primary key (organization_id, message_id, position)
);

create unique index message_attachments_id on message_attachments (organization_id, id);

create index message_attachments_due on message_attachments (due_at) where state = 'pending';

create index message_attachments_blob on message_attachments (organization_id, blob_key) where blob_key is not null;

-- Files that were handed to us, to be sent.
create table media_files (
    organization_id uuid not null,
    id uuid not null,
    mime_type text not null,
    filename text,
    size bigint not null,
    sha256 text not null,
    blob_key text not null,
    created_at timestamptz not null,
    primary key (organization_id, id)
);

-- Statuses, edits and revocations that came before their message.
create table waiting_changes (
    organization_id uuid not null,
    provider_ref uuid not null,
    key text not null,
    account_id uuid not null,
    change jsonb not null,
    at timestamptz not null,
    received_at timestamptz not null,
    primary key (organization_id, provider_ref, key)
);

create index waiting_changes_received on waiting_changes (received_at);
