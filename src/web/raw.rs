//! `/api/v1/webhook-inbox/requests`: webhooks as they came.

use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::answer::Answer;
use super::extract::{Access, Id, Query, cursor, limit};
use super::inbox::ReplayView;
use super::times::At;
use super::{App, Problem};
use crate::flow::replay;
use crate::model::{InboxId, Scope};
use crate::store::inbox;

/// A request as it was kept.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookView {
    /// Its id.
    id: Uuid,
    /// The account whose keys verified it; null if that is another organization's, which shares the application.
    account_id: Option<Uuid>,
    /// The provider.
    provider: String,
    /// The HTTP method.
    method: String,
    /// The size of its body in bytes.
    size: i64,
    /// When it reached us.
    received_at: At,
    /// The URL, as the provider called it.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// The headers that matter for reading it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<String>,
    /// The raw body, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

/// A page of requests, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookList {
    /// The requests.
    items: Vec<WebhookView>,
    /// The `cursor` of the next page; null on the last one.
    next_cursor: Option<Uuid>,
}

/// Pages of requests.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// How many, 1 to 200; 50 if not given.
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Raw webhooks that named only this organization, newest first, without their bodies.
#[utoipa::path(get, path = "/api/v1/webhook-inbox/requests", tag = "webhook-inbox", params(Page), responses(
    (status = 200, body = WebhookList),
))]
pub(super) async fn requests(
    State(app): State<App>,
    access: Access,
    Query(query): Query<Page>,
) -> Result<Answer<WebhookList>, Problem> {
    let organization = access.needs(Scope::InboxRead)?;
    let (limit, before) = (limit(query.limit)?, cursor(query.cursor.as_deref())?);
    let mut session = app.gateway.store.read(organization).await?;
    let found = inbox::requests(&mut session, organization, before, limit).await?;
    let full = i64::try_from(found.len()).unwrap_or(i64::MAX) == limit;
    let next_cursor = found.last().filter(|_| full).map(|entry| entry.id.0);
    let view = |entry: inbox::InboxEntry| WebhookView {
        id: entry.id.0,
        account_id: entry.own_account_id.map(|id| id.0),
        provider: entry.provider,
        method: entry.method,
        size: entry.size,
        received_at: entry.received_at.into(),
        url: None,
        headers: None,
        body_base64: None,
    };
    Ok(Answer(WebhookList { items: found.into_iter().map(view).collect(), next_cursor }))
}

/// One raw webhook, with its body.
#[utoipa::path(get, path = "/api/v1/webhook-inbox/requests/{id}", tag = "webhook-inbox", params(("id" = Uuid, Path)), responses(
    (status = 200, body = WebhookView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn request(
    State(app): State<App>,
    access: Access,
    Id(id): Id<InboxId>,
) -> Result<Answer<WebhookView>, Problem> {
    let organization = access.needs(Scope::InboxRead)?;
    let mut session = app.gateway.store.read(organization).await?;
    let found = inbox::request(&mut session, organization, id).await?;
    let found = found.ok_or_else(|| Problem::not_found("webhook"))?;
    Ok(Answer(WebhookView {
        id: found.id.0,
        account_id: found.own_account_id.map(|id| id.0),
        provider: found.provider,
        method: found.method,
        size: i64::try_from(found.body.len()).unwrap_or(i64::MAX),
        received_at: found.received_at.into(),
        url: Some(found.url),
        headers: Some(found.headers),
        body_base64: Some(STANDARD.encode(&found.body)),
    }))
}

/// Reads one raw webhook again.
#[utoipa::path(post, path = "/api/v1/webhook-inbox/requests/{id}/replay", tag = "webhook-inbox", params(("id" = Uuid, Path)), responses(
    (status = 200, body = ReplayView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn replay_request(
    State(app): State<App>,
    access: Access,
    Id(id): Id<InboxId>,
) -> Result<Answer<ReplayView>, Problem> {
    access.needs(Scope::InboxWrite)?;
    let replayed = replay::request(&app.gateway, &access.actor(), id).await?;
    Ok(Answer(replayed.into()))
}
