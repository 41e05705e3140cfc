//! `/api/v1/calls`: calls, and what became known of each.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::answer::Answer;
use super::communications::{CommunicationView, direction};
use super::extract::{Access, Id, Query, cursor, limit};
use super::times::At;
use super::{App, Problem, limits};
use crate::model::{CallId, Scope};
use crate::store::call_logs::{self, CallFilter};

/// A call with its events.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CallView {
    /// The call as it stands in the timeline.
    #[serde(flatten)]
    communication: CommunicationView<'static>,
    /// Everything the provider told, in the order in which it happened.
    events: Vec<CallEventView>,
    /// The call that this leg was dialled from; null if it is no leg, or its call is not known here.
    parent_id: Option<Uuid>,
    /// The legs by which this call was passed on, earliest first, at most 100.
    leg_ids: Vec<Uuid>,
}

/// One thing the provider told of a call.
#[derive(Debug, Serialize, ToSchema)]
struct CallEventView {
    /// The stage it reached, if this was news of that.
    stage: Option<String>,
    /// What became known.
    facts: Value,
    /// When it happened.
    at: At,
    /// When we were told.
    received_at: At,
}

/// A page of calls, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CallList {
    /// The calls.
    items: Vec<CommunicationView<'static>>,
    /// The `cursor` of the next page; null on the last one.
    next_cursor: Option<Uuid>,
}

/// Which calls to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// `inbound` or `outbound`.
    direction: Option<String>,
    /// At this stage.
    status: Option<String>,
    /// With this id at the provider.
    provider_call_id: Option<String>,
    /// How many, 1 to 200; 50 if not given.
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Calls, newest first.
#[utoipa::path(get, path = "/api/v1/calls", tag = "calls", params(Filter), responses(
    (status = 200, body = CallList),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    State(app): State<App>,
    access: Access,
    Query(query): Query<Filter>,
) -> Result<Answer<CallList>, Problem> {
    let organization = access.needs(Scope::CommunicationsRead)?;
    let limit = limit(query.limit)?;
    let filter = CallFilter {
        direction: query.direction.as_deref().map(direction).transpose()?,
        state: query.status,
        provider_call_id: query.provider_call_id,
        before: cursor(query.cursor.as_deref())?,
    };
    let is_wide = filter.is_narrow();
    let store = app.gateway.store.clone();
    let found = async move {
        let mut session = store.read(organization).await?;
        call_logs::list(&mut session, organization, &filter, limit).await
    };
    let (items, next_cursor) = match is_wide {
        true => limits::search(&app, organization, found).await?,
        false => found.await?,
    };
    let items = items.into_iter().map(CommunicationView::from).collect();
    Ok(Answer(CallList { items, next_cursor }))
}

/// One call, with every event.
#[utoipa::path(get, path = "/api/v1/calls/{id}", tag = "calls", params(("id" = Uuid, Path)), responses(
    (status = 200, body = CallView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn get(
    State(app): State<App>,
    access: Access,
    Id(id): Id<CallId>,
) -> Result<Answer<CallView>, Problem> {
    let organization = access.needs(Scope::CommunicationsRead)?;
    let mut session = app.gateway.store.read(organization).await?;
    let found = call_logs::get(&mut session, organization, id).await?;
    let found = found.ok_or_else(|| Problem::not_found("call"))?;
    let event = |event: call_logs::CallEvent| CallEventView {
        stage: event.stage,
        facts: event.facts,
        at: event.at.into(),
        received_at: event.received_at.into(),
    };
    let events = found.events.into_iter().map(event).collect();
    let (parent_id, leg_ids) = (found.parent, found.legs);
    Ok(Answer(CallView { communication: found.communication.into(), events, parent_id, leg_ids }))
}
