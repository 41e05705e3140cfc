//! `call_logs` and `call_events`: a call's state machine, and its rows.
//!
//! Every item of news only ever adds: a stage wins over one of lower rank, a fact over its absence. So the row comes out
//! the same in whatever order the news arrives.

use providers::{CallFact, CallProgress, CallStage, Channel, Direction, Recording};
use serde_json::{Map, Value, json};
use sqlx::types::Json;
use uuid::Uuid;

use super::bulk::{Column, Rows};
use super::session::on;
use super::types::{channel, clean, clean_json, direction};
use super::{Session, StoreError};
use crate::clock::Timestamp;
use crate::model::{AccountId, IdentityId, Item, OrganizationId};

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

impl CallRow {
    /// A call of which nothing is known but that there is news of it.
    pub(super) fn begin(
        id: Uuid,
        item: &Item,
        progress: &CallProgress,
        provider_ref: Uuid,
        now: Timestamp,
    ) -> Self {
        Self {
            organization_id: item.organization_id,
            id,
            identity_id: None,
            provider_ref,
            direction: Direction::Inbound,
            direction_known: false,
            our_address: None,
            state: CallStage::Queued,
            account_id: Some(item.account_id),
            provider_call_id: progress.call.id.clone(),
            session_id: None,
            parent_call_id: None,
            control_id: None,
            provider: item.provider.to_owned(),
            channel: progress.channel,
            answered_by: None,
            hangup_cause: None,
            hangup_source: None,
            sip_code: None,
            duration_seconds: None,
            cost_nanos: None,
            cost_currency: None,
            recordings: json!([]),
            transcript: None,
            metadata: json!({}),
            answered_at: None,
            ended_at: None,
            occurred_at: item.event.at,
            created_at: now,
            processed_at: now,
        }
    }

    /// Takes in one item of news that happened `at`.
    pub(super) fn learn(&mut self, progress: &CallProgress, at: Timestamp, now: Timestamp) {
        self.processed_at = now;
        fill(&mut self.session_id, progress.call.session.as_ref());
        fill(&mut self.parent_call_id, progress.call.parent.as_ref());
        fill(&mut self.control_id, progress.call.control.as_ref());
        if let Some(stage) = progress.stage {
            if stage.rank() > self.state.rank() {
                self.state = stage;
            }
            match stage {
                CallStage::InProgress => self.answered_at = earliest(self.answered_at, at),
                stage if stage.is_final() => self.ended_at = earliest(self.ended_at, at),
                _ => {}
            }
        }
        for fact in &progress.facts {
            self.learn_fact(fact);
        }
        // A call that was answered and is over, without a word on its length, lasted from the one to the other.
        if self.duration_seconds.is_none()
            && let (Some(answered), Some(ended)) = (self.answered_at, self.ended_at)
            && ended >= answered
        {
            self.metadata["measured_seconds"] = json!((ended - answered).num_seconds());
        }
    }

    fn learn_fact(&mut self, fact: &CallFact) {
        match fact {
            CallFact::AnsweredBy { who, detail } => {
                fill(&mut self.answered_by, Some(who));
                self.metadata["answered_by_detail"] = json!(detail);
            }
            CallFact::Duration { seconds } => {
                self.duration_seconds = self.duration_seconds.max(Some(*seconds));
            }
            CallFact::AnsweredAt { at } => self.answered_at = earliest(self.answered_at, *at),
            CallFact::Hangup { cause, source, sip_code } => {
                fill(&mut self.hangup_cause, cause.as_ref());
                fill(&mut self.hangup_source, source.as_ref());
                fill(&mut self.sip_code, sip_code.as_ref());
            }
            CallFact::Recorded { recording } => self.learn_recording(recording),
            CallFact::Transcribed { text, is_final: true, .. } => {
                let text = clean(text);
                let before = self.transcript.take().filter(|before| *before != text);
                self.transcript = Some(match before {
                    Some(before) => format!("{before}\n{text}"),
                    None => text.into_owned(),
                });
            }
            CallFact::Cost { total } => {
                let total = total.clone().abs();
                if self.cost_nanos.is_none_or(|known| known <= total.nanos()) {
                    self.cost_nanos = Some(total.nanos());
                    self.cost_currency = Some(total.currency().to_owned());
                }
            }
            CallFact::Digits { digits } => self.metadata["digits"] = json!(digits),
            CallFact::Speech { text } => self.metadata["speech"] = json!(text),
            CallFact::Quality { mos } => self.metadata["mos"] = json!(mos),
            CallFact::Error { code, detail } => {
                self.metadata["error"] = json!({ "code": code, "detail": detail });
            }
            // Kept in `call_events` only.
            CallFact::Transcribed { is_final: false, .. } | CallFact::Noted { .. } => {}
        }
    }

    /// One entry a recording; what is known later completes it, and `completed` stays completed.
    fn learn_recording(&mut self, recording: &Recording) {
        let Ok(Value::Object(mut news)) = serde_json::to_value(recording) else { return };
        let Value::Array(known) = &mut self.recordings else { return };
        let same = |entry: &&mut Value| recording.id.is_some() && entry["id"] == json!(recording.id);
        match known.iter_mut().find(same) {
            Some(Value::Object(entry)) => {
                if entry.get("status") == Some(&json!("completed")) {
                    news.remove("status");
                }
                entry.extend(news);
            }
            _ => known.push(Value::Object(news)),
        }
    }

    /// How the call ended, in one word; `None` while it lasts. A call that ended without having been answered was
    /// missed (inbound) or not taken (outbound), whatever the provider calls its end.
    pub(super) fn outcome(&self) -> Option<&'static str> {
        outcome(self.state, self.answered_at.is_some() || self.duration_seconds > Some(0), self.direction)
    }
}

/// How a call in `state` ended; `None` while it lasts.
pub(super) fn outcome(
    state: CallStage,
    answered: bool,
    direction: Direction,
) -> Option<&'static str> {
    Some(match (state, direction) {
        (state, _) if !state.is_final() => return None,
        (CallStage::Completed, _) if answered => "answered",
        (CallStage::Completed | CallStage::NoAnswer | CallStage::Canceled, Direction::Inbound) => {
            "missed"
        }
        (CallStage::Canceled, Direction::Outbound) => "canceled",
        (CallStage::Completed | CallStage::NoAnswer, Direction::Outbound) => "no_answer",
        (CallStage::Busy, _) => "busy",
        (CallStage::Rejected, _) => "rejected",
        _ => "failed",
    })
}

fn fill(field: &mut Option<String>, news: Option<&String>) {
    if field.is_none() {
        *field = news.map(|text| clean(text).into_owned());
    }
}

fn earliest(known: Option<Timestamp>, news: Timestamp) -> Option<Timestamp> {
    Some(known.map_or(news, |known| known.min(news)))
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
    let facts = Json(clean_json(json!(progress.facts)));
    let stage = progress.stage.map(CallStage::word);
    let key = clean(&item.event.key.0);
    let written = on!(session, |c| {
        let query = sqlx::query(sql).bind(item.organization_id).bind(call_id).bind(key.as_ref());
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
    let time = |pick: fn(&CallRow) -> Timestamp| Column::Time(calls.iter().map(|c| pick(c)).collect());
    let maybe_time = |pick: fn(&CallRow) -> Option<Timestamp>| {
        Column::MaybeTime(calls.iter().map(|c| pick(c)).collect())
    };
    Rows::new()
        .column("organization_id", uuid(|c| c.organization_id.0))
        .column("id", uuid(|c| c.id))
        .column("account_id", Column::MaybeUuid(calls.iter().map(|c| c.account_id.map(|id| id.0)).collect()))
        .column("identity_id", Column::MaybeUuid(calls.iter().map(|c| c.identity_id.map(|id| id.0)).collect()))
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
        .column("recordings", Column::Json(calls.iter().map(|c| Some(Json(&c.recordings))).collect()))
        .column("transcript", maybe(|c| c.transcript.as_deref()))
        .column("metadata", Column::Json(metadata.iter().map(|m| Some(Json(m))).collect()))
        .column("answered_at", maybe_time(|c| c.answered_at))
        .column("ended_at", maybe_time(|c| c.ended_at))
        .column("occurred_at", time(|c| c.occurred_at))
        .column("created_at", time(|c| c.created_at))
        .column("processed_at", time(|c| c.processed_at))
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
    ended_at = excluded.ended_at, processed_at = excluded.processed_at";

impl CallRow {
    fn stored_metadata(&self) -> Value {
        let mut members = match &self.metadata {
            Value::Object(members) => members.clone(),
            _ => Map::new(),
        };
        members.remove("direction_guessed");
        if !self.direction_known {
            members.insert("direction_guessed".to_owned(), json!(true));
        }
        clean_json(Value::Object(members))
    }
}
