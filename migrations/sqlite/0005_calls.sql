-- Calls, and everything that became known of them. A call's row is the sum of its events, whatever order they came in.

create table call_logs (
    organization_id blob not null,
    id blob not null,
    account_id blob,
    identity_id blob,
    provider_ref blob not null,
    provider_call_id text not null,
    session_id text,
    parent_call_id text,
    control_id text,
    provider text not null,
    channel text not null,
    direction text not null,
    our_address text,
    state text not null,
    answered_by text,
    hangup_cause text,
    hangup_source text,
    sip_code text,
    duration_seconds integer,
    cost_nanos integer,
    cost_currency text,
    recordings text not null,
    transcript text,
    metadata text,
    answered_at text,
    ended_at text,
    occurred_at text not null,
    created_at text not null,
    processed_at text not null,
    primary key (organization_id, id)
) strict, without rowid;

create unique index call_logs_provider_ref on call_logs (organization_id, provider_ref);

create index call_logs_person on call_logs (organization_id, identity_id, id);

create table call_events (
    organization_id blob not null,
    call_id blob not null,
    key text not null,
    stage text,
    sequence integer,
    facts text not null,
    at text not null,
    received_at text not null,
    primary key (organization_id, call_id, key)
) strict, without rowid;
