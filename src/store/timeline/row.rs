//! A row of the timeline, and the communication it stands for.

use std::borrow::Cow;

use providers::CallStage;
use serde_json::{Map, Value, json};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::types::Json;
use sqlx::{FromRow, Row as _};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::{Communication, CommunicationMetadata, ContactId, LeadId, OrganizationId};
use crate::store::StoreError;
use crate::store::call_logs::{Passed, outcome, silence};
use crate::store::types::{channel, direction};

/// The columns in the order of the statement; texts lie in the database's answer still. Read by place: finding fifty rows'
/// columns by name would cost more than the query.
#[derive(Debug)]
pub(super) struct Row<'a> {
    id: Uuid,
    is_call: bool,
    contact_id: Option<ContactId>,
    lead_id: Option<LeadId>,
    channel: Cow<'a, str>,
    provider: Cow<'a, str>,
    direction: Cow<'a, str>,
    content: Option<Cow<'a, str>>,
    kind: Cow<'a, str>,
    status: Cow<'a, str>,
    metadata: Option<Json<Value>>,
    /// A message's files, or what is known of a call.
    more: Option<Json<Value>>,
    our_address: Option<Cow<'a, str>>,
    occurred_at: Timestamp,
    created_at: Timestamp,
    /// None: when it was stored.
    processed_at: Option<Timestamp>,
}

/// A row of either engine.
pub(super) trait Columns {
    fn id(&self) -> Result<Uuid, sqlx::Error>;
    /// Where it lies on the timeline.
    fn place(&self) -> Result<Uuid, sqlx::Error>;
    /// How many rows there are in all, which every row says; None if it was not asked.
    fn total(&self) -> Result<Option<i64>, sqlx::Error>;
    fn read(&self) -> Result<Row<'_>, sqlx::Error>;
}

macro_rules! columns {
    ($($type:ty),+) => {$(
        impl Columns for $type {
            fn id(&self) -> Result<Uuid, sqlx::Error> {
                self.try_get_unchecked(0)
            }

            fn place(&self) -> Result<Uuid, sqlx::Error> {
                self.try_get_unchecked(16)
            }

            fn total(&self) -> Result<Option<i64>, sqlx::Error> {
                self.try_get_unchecked(17)
            }

            fn read(&self) -> Result<Row<'_>, sqlx::Error> {
                let text = |place: usize| self.try_get_unchecked(place).map(Cow::Borrowed);
                let maybe_text = |place: usize| {
                    self.try_get_unchecked(place).map(|text: Option<&str>| text.map(Cow::Borrowed))
                };
                Ok(Row {
                    id: self.id()?,
                    is_call: self.try_get_unchecked(1)?,
                    contact_id: self.try_get_unchecked(2)?,
                    lead_id: self.try_get_unchecked(3)?,
                    channel: text(4)?,
                    provider: text(5)?,
                    direction: text(6)?,
                    content: maybe_text(7)?,
                    kind: text(8)?,
                    status: text(9)?,
                    metadata: self.try_get_unchecked(10)?,
                    more: self.try_get_unchecked(11)?,
                    our_address: maybe_text(12)?,
                    occurred_at: self.try_get_unchecked(13)?,
                    created_at: self.try_get_unchecked(14)?,
                    processed_at: self.try_get_unchecked(15)?,
                })
            }
        }

        impl<'r> FromRow<'r, $type> for Row<'static> {
            fn from_row(row: &'r $type) -> Result<Self, sqlx::Error> {
                row.read().map(Row::into_owned)
            }
        }
    )+};
}

columns!(PgRow, SqliteRow);

impl<'a> Row<'a> {
    fn into_owned(self) -> Row<'static> {
        let text = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        Row {
            channel: text(self.channel),
            provider: text(self.provider),
            direction: text(self.direction),
            content: self.content.map(text),
            kind: text(self.kind),
            status: text(self.status),
            our_address: self.our_address.map(text),
            ..self
        }
    }

    /// The communication, of `lead` unless the row names another.
    pub(super) fn into_communication(
        self,
        organization_id: OrganizationId,
        lead: Option<LeadId>,
    ) -> Result<Communication<'a>, StoreError> {
        let direction = direction(&self.direction)?;
        let mut metadata = match self.metadata {
            Some(Json(Value::Object(members))) => members,
            _ => Map::new(),
        };
        if self.our_address.is_some() {
            metadata.remove("our_address");
        }
        match self.more {
            Some(Json(Value::Object(call))) if self.is_call => {
                describe_call(&mut metadata, call, &self.status, direction)?;
            }
            Some(Json(Value::Array(files))) => {
                let files = files.into_iter().map(describe_file).collect();
                metadata.insert("attachments".to_owned(), Value::Array(files));
            }
            _ => {}
        }
        Ok(Communication {
            id: self.id,
            organization_id,
            lead_id: self.lead_id.or(lead),
            contact_id: self.contact_id,
            channel: channel(&self.channel)?,
            provider: self.provider,
            direction,
            content: self.content,
            kind: self.kind,
            status: self.status,
            metadata: CommunicationMetadata { our_address: self.our_address, more: metadata },
            created_at: self.created_at,
            occurred_at: self.occurred_at,
            processed_at: self.processed_at.unwrap_or(self.created_at),
        })
    }
}

/// A file as it is shown: with the one form of its id, and where it can be had.
fn describe_file(file: Value) -> Value {
    let Value::Object(mut members) = file else { return file };
    members.retain(|_, value| !value.is_null());
    let id = members.get("id").and_then(Value::as_str).and_then(|id| Uuid::parse_str(id).ok());
    if let Some(id) = id {
        members.insert("id".to_owned(), json!(id));
        members.insert("url".to_owned(), json!(format!("/api/v1/media/{id}")));
    }
    Value::Object(members)
}

/// Adds what a CRM wants to know of a call: duration, outcome, recordings, cost, and whatever else is known.
fn describe_call(
    metadata: &mut Map<String, Value>,
    mut call: Map<String, Value>,
    status: &str,
    direction: providers::Direction,
) -> Result<(), StoreError> {
    metadata.remove("direction_guessed");
    metadata.remove("parent_inferred");
    if metadata.remove(silence::MEMBER).is_some() {
        metadata.insert("presumed".to_owned(), json!(true));
    }
    let passed = Passed::take(metadata);
    let state = CallStage::from_word(status)
        .ok_or_else(|| StoreError::Damaged(format!("call state `{status}`")))?;
    let measured = metadata.remove("measured_seconds");
    let duration = match call.remove("duration_seconds") {
        None | Some(Value::Null) => measured,
        told => told,
    };
    let whole = duration.as_ref().and_then(Value::as_i64);
    let answered = call.get("answered_at").is_some_and(|at| !at.is_null()) || whole > Some(0);
    let nanos = call.remove("cost_nanos").and_then(|nanos| nanos.as_i64());
    let currency = call.remove("cost_currency");
    if let (Some(nanos), Some(Value::String(currency))) = (nanos, currency)
        && let Some(cost) = providers::Money::from_nanos(nanos, &currency)
    {
        metadata.insert("cost".to_owned(), json!(cost));
    }
    let outcome = outcome(state, answered, direction, &passed);
    let duration = match passed.talked() {
        None => duration,
        // Whoever waited for somebody was on the line for longer than anybody talked.
        Some(_) => {
            metadata.extend(duration.map(|whole| ("line_seconds".to_owned(), whole)));
            outcome.and_then(|_| passed.talk(whole)).map(Value::from)
        }
    };
    metadata.extend(call.into_iter().filter(|(_, value)| !value.is_null()));
    metadata.insert("duration_seconds".to_owned(), duration.unwrap_or(Value::Null));
    metadata.insert("outcome".to_owned(), json!(outcome));
    Ok(())
}
