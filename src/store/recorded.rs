//! Messages and calls that took place outside the gateway and are put on record.

use providers::{CallStage, Channel, Direction};
use serde_json::{Value, json};
use sqlx::types::Json;
use uuid::Uuid;

use super::events::Outbox;
use super::session::on;
use super::{Session, StoreError};
use crate::clock::Timestamp;
use crate::model::{IdentityId, OrganizationId};

/// A message to put on record.
#[derive(Debug)]
pub struct RecordedMessage<'a> {
    /// Its id, if it is new.
    pub id: Uuid,
    /// What it is found by.
    pub reference: Uuid,
    /// Who recorded it.
    pub provider: &'a str,
    /// The recorder's own id of it.
    pub external_id: &'a str,
    /// The person.
    pub identity: IdentityId,
    /// What carried it.
    pub channel: Channel,
    /// Which way it went.
    pub direction: Direction,
    /// What kind of thing it was.
    pub kind: &'a str,
    /// What was written.
    pub content: Option<&'a str>,
    /// Anything else.
    pub metadata: &'a Value,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// A call to put on record.
#[derive(Debug)]
pub struct RecordedCall<'a> {
    /// Its id, if it is new, which holds the time at which it began.
    pub id: Uuid,
    /// What it is found by.
    pub reference: Uuid,
    /// Who recorded it.
    pub provider: &'a str,
    /// The recorder's own id of it.
    pub provider_call_id: &'a str,
    /// The person, unless withheld.
    pub identity: Option<IdentityId>,
    /// Which way it went.
    pub direction: Direction,
    /// Our number.
    pub our_address: Option<String>,
    /// How it ended.
    pub state: CallStage,
    /// How long it lasted.
    pub duration_seconds: Option<i64>,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Its recordings, an array.
    pub recordings: Value,
    /// What was said.
    pub transcript: Option<&'a str>,
    /// Anything else.
    pub metadata: &'a Value,
    /// When it began.
    pub occurred_at: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// Writes a message; returns the id of the one that stands, new or known.
pub async fn message(
    session: &mut Session,
    outbox: &mut Outbox,
    organization: OrganizationId,
    message: &RecordedMessage<'_>,
) -> Result<Uuid, StoreError> {
    let sql = "insert into messages (organization_id, id, identity_id, provider_ref, provider_message_id,
               provider, channel, direction, kind, content, status, metadata, occurred_at, created_at)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
               on conflict (organization_id, provider_ref) do nothing";
    let (kind, status) = match message.direction {
        Direction::Inbound => ("message.received", "received"),
        Direction::Outbound => ("message.sent", "sent"),
    };
    let written = on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(message.id).bind(message.identity);
        let query = query.bind(message.reference).bind(message.external_id).bind(message.provider);
        let query = query.bind(message.channel.word()).bind(message.direction.word());
        let query = query.bind(message.kind).bind(message.content).bind(status);
        let query = query.bind(Json(message.metadata)).bind(message.occurred_at).bind(message.now);
        query.execute(c).await.map(|done| done.rows_affected())
    })?;
    if written > 0 {
        outbox.push(organization, kind, message.id, Some(json!({ "recorded": true })));
        return Ok(message.id);
    }
    let known = "select id from messages where organization_id = $1 and provider_ref = $2";
    Ok(on!(session, |c| {
        sqlx::query_scalar(known).bind(organization).bind(message.reference).fetch_one(c).await
    })?)
}

/// Writes a call, or completes one that stands: what is said now wins, what is not said stays.
pub async fn call(
    session: &mut Session,
    outbox: &mut Outbox,
    organization: OrganizationId,
    call: &RecordedCall<'_>,
) -> Result<Uuid, StoreError> {
    let sql = "insert into call_logs (organization_id, id, place, identity_id, provider_ref, provider_call_id,
               provider, channel, direction, our_address, state, duration_seconds, recordings, transcript,
               metadata, answered_at, ended_at, occurred_at, created_at, processed_at)
               values ($1, $2, $2, $3, $4, $5, $6, 'voip', $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $17)
               on conflict (organization_id, provider_ref) do update set
               identity_id = coalesce(excluded.identity_id, call_logs.identity_id),
               our_address = coalesce(excluded.our_address, call_logs.our_address),
               state = excluded.state,
               duration_seconds = coalesce(excluded.duration_seconds, call_logs.duration_seconds),
               recordings = case when excluded.recordings = $18 then call_logs.recordings
                                 else excluded.recordings end,
               transcript = coalesce(excluded.transcript, call_logs.transcript),
               metadata = excluded.metadata,
               answered_at = coalesce(excluded.answered_at, call_logs.answered_at),
               ended_at = coalesce(excluded.ended_at, call_logs.ended_at),
               processed_at = excluded.processed_at
               returning id";
    let id: Uuid = on!(session, |c| {
        let query = sqlx::query_scalar(sql).bind(organization).bind(call.id).bind(call.identity);
        let query = query.bind(call.reference).bind(call.provider_call_id).bind(call.provider);
        let query = query.bind(call.direction.word()).bind(&call.our_address);
        let query = query.bind(call.state.word()).bind(call.duration_seconds);
        let query = query.bind(Json(&call.recordings)).bind(call.transcript);
        let query = query.bind(Json(call.metadata)).bind(call.answered_at).bind(call.ended_at);
        let query = query.bind(call.occurred_at).bind(call.now).bind(Json(json!([])));
        query.fetch_one(c).await
    })?;
    let kind = if id == call.id { "call.created" } else { "call.updated" };
    let data = json!({ "status": call.state.word(), "recorded": true });
    outbox.push(organization, kind, id, Some(data));
    Ok(id)
}
