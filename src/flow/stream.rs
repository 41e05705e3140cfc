//! The stream of events: what changed, in order, with what it changed to.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::FlowError;
use crate::gateway::Gateway;
use crate::model::{Communication, OrganizationId};
use crate::store::events::{self, OutboxEvent};
use crate::store::timeline;

/// How often another process's events are looked for while somebody waits.
const LOOK: Duration = Duration::from_secs(1);

/// An event as it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamEvent {
    /// What happened.
    pub event: OutboxEvent,
    /// The message or call it happened to, as it is now.
    pub communication: Option<Communication<'static>>,
}

/// A stretch of the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    /// In order.
    pub events: Vec<StreamEvent>,
    /// The cursor to continue from.
    pub next: i64,
    /// The newest number there is.
    pub head: i64,
}

/// The events after `after`, at most `limit`; if there are none yet, waits up to `wait` for some.
pub async fn read(
    gateway: &Gateway,
    organization: OrganizationId,
    after: i64,
    limit: i64,
    wait: Duration,
) -> Result<Stretch, FlowError> {
    let deadline = tokio::time::Instant::now() + wait;
    let mut news = gateway.news.subscribe();
    loop {
        news.mark_unchanged();
        let mut session = gateway.store.read(organization).await?;
        let page = events::after(&mut session, organization, after, limit).await?;
        if after < page.pruned {
            return Err(FlowError::Conflict(format!(
                "events up to {} are no longer kept; read the timelines and continue from there",
                page.pruned
            )));
        }
        if after > page.head {
            return Err(FlowError::invalid("after", format!("the newest event is {}", page.head)));
        }
        let now = tokio::time::Instant::now();
        if !page.events.is_empty() || now >= deadline {
            let next = page.events.last().map_or(after, |event| event.seq);
            let events = complete(&mut session, organization, page.events).await?;
            return Ok(Stretch { events, next, head: page.head });
        }
        drop(session);
        let _ = tokio::time::timeout(LOOK.min(deadline - now), news.changed()).await;
    }
}

async fn complete(
    session: &mut crate::store::Session,
    organization: OrganizationId,
    events: Vec<OutboxEvent>,
) -> Result<Vec<StreamEvent>, FlowError> {
    let about =
        |event: &OutboxEvent| event.kind.starts_with("message.") || event.kind.starts_with("call.");
    let mut ids: Vec<Uuid> =
        events.iter().filter(|event| about(event)).map(|event| event.subject_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let found = timeline::by_ids(session, organization, &ids).await?;
    let found: HashMap<Uuid, Communication<'static>> =
        found.into_iter().map(|c| (c.id, c)).collect();
    let complete = |event: OutboxEvent| {
        let communication = found.get(&event.subject_id).filter(|_| about(&event)).cloned();
        StreamEvent { event, communication }
    };
    Ok(events.into_iter().map(complete).collect())
}

/// The data of an event, never absent.
pub fn data(event: &OutboxEvent) -> Value {
    event.data.clone().unwrap_or_else(|| Value::Object(Map::new()))
}
