//! `call_logs` and `call_events`: calls, and everything that became known of them.

pub(super) mod legs;
mod machine;
pub(super) mod passed;
pub mod silence;

use providers::{CallProgress, CallStage, Channel, Direction};
use serde_json::{Value, json};
use sqlx::types::Json;
use uuid::Uuid;

use super::bulk::{Column, Rows};
use super::messages::provider_ref;
use super::session::on;
use super::timeline::Placed;
use super::types::{channel, direction};
use super::{Session, StoreError, timeline};
use crate::clock::Timestamp;
use crate::model::{AccountId, CallId, Communication, IdentityId, Item, OrganizationId};

pub use legs::owner_of_conversation;
pub(super) use machine::outcome;
pub(super) use passed::Passed;

/// The columns of [`Stored`], in its order, of a table called `c`.
pub(super) const COLUMNS: &str = "c.organization_id, c.id, c.account_id, c.identity_id, c.provider_ref,
    c.provider_call_id, c.session_id, c.parent_call_id, c.control_id, c.provider, c.channel, c.direction,
    c.our_address, c.state, c.answered_by, c.hangup_cause, c.hangup_source, c.sip_code, c.duration_seconds,
    c.cost_nanos, c.cost_currency, c.recordings, c.transcript, c.metadata, c.answered_at, c.ended_at,
    c.occurred_at, c.created_at";

/// A call, as the state machine knows it.
#[derive(Debug, Clone)]
pub(super) struct CallRow {
    pub(super) organization_id: OrganizationId,
    pub(super) id: Uuid,
    pub(super) identity_id: Option<IdentityId>,
    pub(super) provider_ref: Uuid,
    pub(super) direction: Direction,
    /// Whether the direction was told, or is a guess.
    pub(super) direction_known: bool,
    pub(super) our_address: Option<String>,
    pub(super) state: CallStage,
    account_id: Option<AccountId>,
    provider_call_id: String,
    session_id: Option<String>,
    parent_call_id: Option<String>,
    control_id: Option<String>,
    provider: String,
    channel: Channel,
    answered_by: Option<String>,
    hangup_cause: Option<String>,
    hangup_source: Option<String>,
    sip_code: Option<String>,
    duration_seconds: Option<i64>,
    cost_nanos: Option<i64>,
    cost_currency: Option<String>,
    recordings: Value,
    transcript: Option<String>,
    metadata: Value,
    answered_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    occurred_at: Timestamp,
    created_at: Timestamp,
    processed_at: Timestamp,
}

/// A row of `call_logs`.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Stored {
    organization_id: OrganizationId,
    id: Uuid,
    account_id: Option<AccountId>,
    identity_id: Option<IdentityId>,
    provider_ref: Uuid,
    provider_call_id: String,
    session_id: Option<String>,
    parent_call_id: Option<String>,
    control_id: Option<String>,
    provider: String,
    channel: String,
    direction: String,
    our_address: Option<String>,
    state: String,
    answered_by: Option<String>,
    hangup_cause: Option<String>,
    hangup_source: Option<String>,
    sip_code: Option<String>,
    duration_seconds: Option<i64>,
    cost_nanos: Option<i64>,
    cost_currency: Option<String>,
    recordings: Json<Value>,
    transcript: Option<String>,
    metadata: Option<Json<Value>>,
    answered_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    occurred_at: Timestamp,
    created_at: Timestamp,
}

impl TryFrom<Stored> for CallRow {
    type Error = StoreError;

    fn try_from(row: Stored) -> Result<Self, StoreError> {
        let state = CallStage::from_word(&row.state)
            .ok_or_else(|| StoreError::Damaged(format!("call state `{}`", row.state)))?;
        let metadata = row.metadata.map_or_else(|| json!({}), |Json(metadata)| metadata);
        let Json(recordings) = row.recordings;
        Ok(Self {
            organization_id: row.organization_id,
            id: row.id,
            identity_id: row.identity_id,
            provider_ref: row.provider_ref,
            direction: direction(&row.direction)?,
            direction_known: metadata.get("direction_guessed").is_none(),
            our_address: row.our_address,
            state,
            account_id: row.account_id,
            provider_call_id: row.provider_call_id,
            session_id: row.session_id,
            parent_call_id: row.parent_call_id,
            control_id: row.control_id,
            provider: row.provider,
            channel: channel(&row.channel)?,
            answered_by: row.answered_by,
            hangup_cause: row.hangup_cause,
            hangup_source: row.hangup_source,
            sip_code: row.sip_code,
            duration_seconds: row.duration_seconds,
            cost_nanos: row.cost_nanos,
            cost_currency: row.cost_currency,
            recordings,
            transcript: row.transcript,
            metadata,
            answered_at: row.answered_at,
            ended_at: row.ended_at,
            occurred_at: row.occurred_at,
            created_at: row.created_at,
            processed_at: row.created_at,
        })
    }
}

impl CallRow {
    /// What an event of the stream says of it.
    pub(super) fn summary(&self) -> Value {
        let mut data = json!({ "status": self.state.word(), "outcome": self.outcome() });
        if self.metadata.get(silence::MEMBER).is_some() {
            data["presumed"] = json!(true);
        }
        data
    }
}

/// Writes one item of news; `false` if it was there already.
pub(super) async fn insert_event(
    session: &mut Session,
    call_id: Uuid,
    item: &Item,
    progress: &CallProgress,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "insert into call_events
               (organization_id, call_id, key, stage, sequence, facts, at, received_at)
               values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing";
    let facts = Json(json!(progress.facts));
    let stage = progress.stage.map(CallStage::word);
    let written = on!(session, |c| {
        let query =
            sqlx::query(sql).bind(item.organization_id).bind(call_id).bind(&item.event.key.0);
        let query = query.bind(stage).bind(progress.sequence).bind(facts);
        query.bind(item.event.at).bind(now).execute(c).await.map(|done| done.rows_affected())
    })?;
    Ok(written > 0)
}

/// Writes calls, new or known.
pub(super) async fn upsert(session: &mut Session, calls: &[&CallRow]) -> Result<(), StoreError> {
    let metadata: Vec<Value> = calls.iter().map(|call| call.stored_metadata()).collect();
    let uuid = |pick: fn(&CallRow) -> Uuid| Column::Uuid(calls.iter().map(|c| pick(c)).collect());
    let text = |pick: fn(&CallRow) -> &str| Column::Text(calls.iter().map(|c| pick(c)).collect());
    let maybe = |pick: fn(&CallRow) -> Option<&str>| {
        Column::MaybeText(calls.iter().map(|c| pick(c)).collect())
    };
    let int = |pick: fn(&CallRow) -> Option<i64>| {
        Column::MaybeInt(calls.iter().map(|c| pick(c)).collect())
    };
    let time =
        |pick: fn(&CallRow) -> Timestamp| Column::Time(calls.iter().map(|c| pick(c)).collect());
    let maybe_time = |pick: fn(&CallRow) -> Option<Timestamp>| {
        Column::MaybeTime(calls.iter().map(|c| pick(c)).collect())
    };
    Rows::new()
        .column("organization_id", uuid(|c| c.organization_id.0))
        .column("id", uuid(|c| c.id))
        .column("place", uuid(CallRow::place))
        .column(
            "account_id",
            Column::MaybeUuid(calls.iter().map(|c| c.account_id.map(|id| id.0)).collect()),
        )
        .column(
            "identity_id",
            Column::MaybeUuid(calls.iter().map(|c| c.identity_id.map(|id| id.0)).collect()),
        )
        .column("provider_ref", uuid(|c| c.provider_ref))
        .column("provider_call_id", text(|c| &c.provider_call_id))
        .column("session_id", maybe(|c| c.session_id.as_deref()))
        .column("parent_call_id", maybe(|c| c.parent_call_id.as_deref()))
        .column("control_id", maybe(|c| c.control_id.as_deref()))
        .column("provider", text(|c| &c.provider))
        .column("channel", text(|c| c.channel.word()))
        .column("direction", text(|c| c.direction.word()))
        .column("our_address", maybe(|c| c.our_address.as_deref()))
        .column("state", text(|c| c.state.word()))
        .column("answered_by", maybe(|c| c.answered_by.as_deref()))
        .column("hangup_cause", maybe(|c| c.hangup_cause.as_deref()))
        .column("hangup_source", maybe(|c| c.hangup_source.as_deref()))
        .column("sip_code", maybe(|c| c.sip_code.as_deref()))
        .column("duration_seconds", int(|c| c.duration_seconds))
        .column("cost_nanos", int(|c| c.cost_nanos))
        .column("cost_currency", maybe(|c| c.cost_currency.as_deref()))
        .column(
            "recordings",
            Column::Json(calls.iter().map(|c| Some(Json(&c.recordings))).collect()),
        )
        .column("transcript", maybe(|c| c.transcript.as_deref()))
        .column("metadata", Column::Json(metadata.iter().map(|m| Some(Json(m))).collect()))
        .column("answered_at", maybe_time(|c| c.answered_at))
        .column("ended_at", maybe_time(|c| c.ended_at))
        .column("occurred_at", time(|c| c.occurred_at))
        .column("created_at", time(|c| c.created_at))
        .column("processed_at", time(|c| c.processed_at))
        .column("watched_since", maybe_time(CallRow::watched_since))
        .insert(session, "call_logs", ON_CONFLICT)
        .await
}

/// Everything but what never changes about a call.
const ON_CONFLICT: &str = "on conflict (organization_id, id) do update set
    identity_id = excluded.identity_id, session_id = excluded.session_id,
    parent_call_id = excluded.parent_call_id, control_id = excluded.control_id,
    direction = excluded.direction, our_address = excluded.our_address, state = excluded.state,
    answered_by = excluded.answered_by, hangup_cause = excluded.hangup_cause,
    hangup_source = excluded.hangup_source, sip_code = excluded.sip_code,
    duration_seconds = excluded.duration_seconds, cost_nanos = excluded.cost_nanos,
    cost_currency = excluded.cost_currency, recordings = excluded.recordings,
    transcript = excluded.transcript, metadata = excluded.metadata, answered_at = excluded.answered_at,
    ended_at = excluded.ended_at, occurred_at = excluded.occurred_at, place = excluded.place,
    processed_at = excluded.processed_at, watched_since = excluded.watched_since";

/// Which calls to list.
#[derive(Debug, Clone, Default)]
pub struct CallFilter {
    /// In this direction.
    pub direction: Option<Direction>,
    /// At this stage.
    pub state: Option<String>,
    /// With this id at the provider.
    pub provider_call_id: Option<String>,
    /// Earlier than this place.
    pub before: Option<Uuid>,
}

impl CallFilter {
    /// Whether many calls may have to be read to find those of a page.
    pub fn is_narrow(&self) -> bool {
        self.direction.is_some() || self.state.is_some() || self.provider_call_id.is_some()
    }
}

/// One thing that became known of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct CallEvent {
    /// The stage it reached, if this was news of that.
    pub stage: Option<String>,
    /// What became known.
    pub facts: Value,
    /// When it happened.
    pub at: Timestamp,
    /// When we were told.
    pub received_at: Timestamp,
}

/// Calls, newest first, and where the next page begins.
pub async fn list(
    session: &mut Session,
    organization: OrganizationId,
    filter: &CallFilter,
    limit: i64,
) -> Result<(Vec<Communication<'static>>, Option<Uuid>), StoreError> {
    let sql = "select id, place from call_logs where organization_id = $1 and place < $2
               and ($3 is null or direction = $3) and ($4 is null or state = $4)
               and ($5 is null or provider_call_id = $5) order by place desc limit $6";
    let before = filter.before.unwrap_or(Uuid::max());
    let found: Vec<Placed> = on!(session, |c| {
        let query = sqlx::query_as(sql).bind(organization).bind(before);
        let query = query.bind(filter.direction.map(Direction::word)).bind(&filter.state);
        query.bind(&filter.provider_call_id).bind(limit + 1).fetch_all(c).await
    })?;
    timeline::page_of(session, organization, found, limit).await
}

/// One call, and what else is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// As it stands in the timeline.
    pub communication: Communication<'static>,
    /// Everything that was told of it, in the order in which it happened.
    pub events: Vec<CallEvent>,
    /// The call that it was dialled from, if that is here.
    pub parent: Option<Uuid>,
    /// The calls that were dialled from it, earliest first, at most [`LEGS`].
    pub legs: Vec<Uuid>,
}

/// How many legs of a call are named at most.
pub const LEGS: i64 = 100;

/// One call with everything that is known of it.
pub async fn get(
    session: &mut Session,
    organization: OrganizationId,
    id: CallId,
) -> Result<Option<Call>, StoreError> {
    let found = timeline::by_ids(session, organization, &[id.0]).await?;
    let Some(communication) = found.into_iter().next().filter(|found| found.kind == "call") else {
        return Ok(None);
    };
    let sql = "select stage, facts, at, received_at from call_events
               where organization_id = $1 and call_id = $2 order by at, sequence, received_at";
    type Found = (Option<String>, Json<Value>, Timestamp, Timestamp);
    let events: Vec<Found> =
        on!(session, |c| sqlx::query_as(sql).bind(organization).bind(id).fetch_all(c).await)?;
    let event =
        |(stage, Json(facts), at, received_at): Found| CallEvent { stage, facts, at, received_at };
    let events = events.into_iter().map(event).collect();
    let parent = "select id from call_logs where organization_id = $1 and provider_ref = $2";
    let text = |name: &str| communication.metadata.more.get(name).and_then(Value::as_str);
    let reference = |name| text(name).map(|id| provider_ref(&communication.provider, id));
    let parent = match reference("parent_call_id") {
        Some(reference) => on!(session, |c| {
            sqlx::query_scalar(parent).bind(organization).bind(reference).fetch_optional(c).await
        })?,
        None => None,
    };
    let legs = "select id from call_logs where organization_id = $1 and parent_call_id = $2
                and provider = $3 order by place limit $4";
    let own = text("provider_call_id").unwrap_or_default();
    let legs = on!(session, |c| {
        let query = sqlx::query_scalar(legs).bind(organization).bind(own);
        query.bind(communication.provider.as_ref()).bind(LEGS).fetch_all(c).await
    })?;
    Ok(Some(Call { communication, events, parent, legs }))
}
