-- Calls, and everything that became known of them. A call's row is the sum of its events, whatever order they came in.

create table call_logs (
    organization_id uuid not null,
    id uuid not null,
    account_id uuid,
    identity_id uuid,
    provider_ref uuid not null,
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
    duration_seconds bigint,
    cost_nanos bigint,
    cost_currency text,
    recordings jsonb not null,
    transcript text,
    metadata jsonb,
    answered_at timestamptz,
    ended_at timestamptz,
    occurred_at timestamptz not null,
    created_at timestamptz not null,
    processed_at timestamptz not null,
    primary key (organization_id, id)
);

create unique index call_logs_provider_ref on call_logs (organization_id, provider_ref);

create index call_logs_person on call_logs (organization_id, identity_id, id);

create table call_events (
    organization_id uuid not null,
    call_id uuid not null,
    key text not null,
    stage text,
    sequence bigint,
    facts jsonb not null,
    at timestamptz not null,
    received_at timestamptz not null,
    primary key (organization_id, call_id, key)
);
