//! `/api/v1/events`: one stream of everything that changes.

use std::time::Duration;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::answer::Answer;
use super::communications::CommunicationView;
use super::extract::{Access, Query, limit};
use super::times::At;
use super::{App, Problem};
use crate::flow::FlowError;
use crate::flow::stream::{self, StreamEvent};
use crate::model::Scope;

/// Something that changed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventView {
    /// Its number in the organization's order.
    seq: i64,
    /// What happened: `message.received`, `message.status`, `call.updated`, `contact.merged`, `lead.created` …
    #[serde(rename = "type")]
    kind: String,
    /// The id of what it happened to.
    subject_id: Uuid,
    /// What is particular to this event: the new status, the merge.
    data: Value,
    /// The message or call it happened to, as it is now.
    communication: Option<CommunicationView<'static>>,
    /// When it was written.
    at: At,
}

/// A stretch of the stream.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventList {
    /// The events, in order.
    items: Vec<EventView>,
    /// The `after` to continue from.
    next_after: i64,
    /// The newest number there is.
    head: i64,
}

/// Where to read from.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// The number of the last event that was read; 0 (if not given) for the beginning.
    after: Option<i64>,
    /// How many, 1 to 200; 50 if not given.
    limit: Option<i64>,
    /// How long to wait for an event if there is none yet, in seconds, 0 (if not given) to 10.
    wait_seconds: Option<u64>,
}

impl From<StreamEvent> for EventView {
    fn from(event: StreamEvent) -> Self {
        Self {
            data: stream::data(&event.event),
            seq: event.event.seq,
            kind: event.event.kind,
            subject_id: event.event.subject_id,
            communication: event.communication.map(CommunicationView::from),
            at: event.event.at.into(),
        }
    }
}

/// What changed, in one order. A reader that continues from `next_after` misses nothing and sees nothing twice.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", params(Filter), responses(
    (status = 200, body = EventList),
    (status = 410, body = Problem, content_type = "application/problem+json", description = "Events after `after` are no longer kept"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    State(app): State<App>,
    access: Access,
    Query(query): Query<Filter>,
) -> Result<Answer<EventList>, Problem> {
    let organization = access.needs(Scope::EventsRead)?;
    let limit = limit(query.limit)?;
    let after = query.after.unwrap_or(0);
    let wait = query.wait_seconds.unwrap_or(0);
    if after < 0 {
        return Err(Problem::invalid("after", "must not be negative"));
    }
    if wait > 10 {
        return Err(Problem::invalid("wait_seconds", "must be 0 to 10"));
    }
    let wait = Duration::from_secs(wait);
    let stretch = stream::read(&app.gateway, organization, after, limit, wait).await;
    let stretch = stretch.map_err(|error| match error {
        FlowError::Conflict(detail) => Problem::gone(detail),
        other => other.into(),
    })?;
    let items = stretch.events.into_iter().map(EventView::from).collect();
    Ok(Answer(EventList { items, next_after: stretch.next, head: stretch.head }))
}
