//! `/api/v1/webhook-inbox`: what waits of webhooks for a person, a route or a fix, and is read again.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::answer::Answer;
use super::body::Json;
use super::extract::{Access, Id, Query, cursor, instant, limit};
use super::times::At;
use super::{App, Problem, limits};
use crate::flow::replay::{self, Replayed};
use crate::flow::unread::UNREAD;
use crate::model::{QuarantineId, QuarantineReason, Scope};
use crate::store::inbox::{self, QuarantineEntry, QuarantineFilter};

/// An item that waits, or did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QuarantineView {
    /// Its id.
    id: Uuid,
    /// The request it stood in.
    webhook_id: Uuid,
    /// The account whose keys verified the request; null if that is another organization's, which shares the application.
    account_id: Option<Uuid>,
    /// The provider.
    provider: String,
    /// Where it stood, or its key.
    position: String,
    /// `unreadable`, `unrouted` (no route claims its line), `ambiguous` or `refused` (by the store).
    reason: String,
    /// The same in a sentence.
    detail: String,
    /// The line of ours it names.
    line: Option<String>,
    /// The item as it came.
    raw: String,
    /// `open`, `resolved` or `discarded`.
    state: String,
    /// How often it was replayed.
    attempts: i64,
    /// What the last replay came to.
    last_result: Option<String>,
    /// When it was last replayed.
    last_attempt_at: Option<At>,
    /// When it came.
    created_at: At,
}

/// A page of items, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QuarantineList {
    /// The items.
    items: Vec<QuarantineView>,
    /// The `cursor` of the next page; null on the last one.
    next_cursor: Option<Uuid>,
}

/// What a replay came to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReplayView {
    /// The item, if one was replayed.
    item_id: Option<Uuid>,
    /// The raw webhook, if a whole one was replayed.
    webhook_id: Option<Uuid>,
    /// Whether nothing of it waits any longer, and no message of it is still unread.
    resolved: bool,
    /// How many of this organization's items in the request were written now, those that fill a message included.
    stored: u32,
    /// How many were known already.
    duplicate: u32,
    /// How many wait for their message.
    waiting: u32,
    /// How many are quarantined still.
    quarantined: u32,
    /// The same in a sentence.
    result: String,
}

/// What a replay of several items came to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReplayList {
    /// One entry an item, in the order in which they were replayed; at most 1000. Then one a raw webhook that brought messages
    /// of which not all could be read; at most 1000.
    items: Vec<ReplayView>,
    /// How many of them wait no longer.
    resolved: usize,
}

/// Which items to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// `open` (if not given), `resolved`, `discarded` or `all`.
    state: Option<String>,
    /// `unreadable`, `unrouted`, `ambiguous` or `refused`.
    reason: Option<String>,
    /// Of this provider.
    provider: Option<String>,
    /// That came at this instant or later.
    from: Option<String>,
    /// That came before this instant.
    to: Option<String>,
    /// How many, 1 to 200; 50 if not given.
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Which open items to replay. Everything that is given must hold.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayBody {
    /// `unreadable`, `unrouted`, `ambiguous` or `refused`; `unsupported` for raw webhooks that brought messages of which not all
    /// could be read.
    reason: Option<String>,
    /// Of this provider.
    provider: Option<String>,
    /// That came at this instant or later.
    from: Option<At>,
    /// That came before this instant.
    to: Option<At>,
}

impl From<QuarantineEntry> for QuarantineView {
    fn from(entry: QuarantineEntry) -> Self {
        Self {
            id: entry.id.0,
            webhook_id: entry.inbox_id.0,
            account_id: entry.own_account_id.map(|id| id.0),
            provider: entry.provider,
            position: entry.position,
            reason: entry.reason,
            detail: entry.detail,
            line: entry.line,
            raw: entry.raw,
            state: entry.state,
            attempts: entry.attempts,
            last_result: entry.last_result,
            last_attempt_at: entry.last_attempt_at.map(At),
            created_at: entry.created_at.into(),
        }
    }
}

impl From<Replayed> for ReplayView {
    fn from(replayed: Replayed) -> Self {
        Self {
            item_id: replayed.item.map(|id| id.0),
            webhook_id: replayed.request.map(|id| id.0),
            resolved: replayed.resolved,
            stored: replayed.receipt.stored,
            duplicate: replayed.receipt.duplicate,
            waiting: replayed.receipt.waiting,
            quarantined: replayed.receipt.quarantined,
            result: replayed.result,
        }
    }
}

fn reason(word: Option<String>) -> Result<Option<String>, Problem> {
    match word.as_deref().map(QuarantineReason::from_word) {
        Some(None) => {
            Err(Problem::invalid("reason", "must be unreadable, unrouted, ambiguous or refused"))
        }
        _ => Ok(word),
    }
}

fn replayed_reason(word: Option<String>) -> Result<Option<String>, Problem> {
    match word.as_deref() {
        Some(UNREAD) => Ok(word),
        _ => reason(word).map_err(|_| {
            let reason = "must be unreadable, unrouted, ambiguous, refused or unsupported";
            Problem::invalid("reason", reason)
        }),
    }
}

fn provider(word: Option<String>) -> Result<Option<String>, Problem> {
    match word.as_deref().map(providers::provider) {
        Some(None) => {
            Err(Problem::invalid("provider", "must be meta, twilio, telnyx, waha or evolution"))
        }
        _ => Ok(word),
    }
}

/// Items of genuine webhooks that could not be read or routed, newest first.
#[utoipa::path(get, path = "/api/v1/webhook-inbox", tag = "webhook-inbox", params(Filter), responses(
    (status = 200, body = QuarantineList),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    State(app): State<App>,
    access: Access,
    Query(query): Query<Filter>,
) -> Result<Answer<QuarantineList>, Problem> {
    let organization = access.needs(Scope::InboxRead)?;
    let limit = limit(query.limit)?;
    let state = match query.state.as_deref().unwrap_or("open") {
        "all" => None,
        state @ ("open" | "resolved" | "discarded") => Some(state.to_owned()),
        _ => return Err(Problem::invalid("state", "must be open, resolved, discarded or all")),
    };
    let filter = QuarantineFilter {
        state,
        reason: reason(query.reason)?,
        provider: provider(query.provider)?,
        from: instant("from", query.from.as_deref())?,
        until: instant("to", query.to.as_deref())?,
        before: cursor(query.cursor.as_deref())?,
    };
    let store = app.gateway.store.clone();
    let found = async move {
        inbox::items(&mut store.read(organization).await?, organization, &filter, limit).await
    };
    let found = limits::search(&app, organization, found).await?;
    let full = i64::try_from(found.len()).unwrap_or(i64::MAX) == limit;
    let next_cursor = found.last().filter(|_| full).map(|entry| entry.id.0);
    let items = found.into_iter().map(QuarantineView::from).collect();
    Ok(Answer(QuarantineList { items, next_cursor }))
}

/// One item.
#[utoipa::path(get, path = "/api/v1/webhook-inbox/{id}", tag = "webhook-inbox", params(("id" = Uuid, Path)), responses(
    (status = 200, body = QuarantineView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn get(
    State(app): State<App>,
    access: Access,
    Id(id): Id<QuarantineId>,
) -> Result<Answer<QuarantineView>, Problem> {
    let organization = access.needs(Scope::InboxRead)?;
    let mut session = app.gateway.store.read(organization).await?;
    let entry = inbox::item(&mut session, organization, id).await?;
    entry.map(|entry| Answer(entry.into())).ok_or_else(|| Problem::not_found("quarantined item"))
}

/// Closes an open item that nobody wants. The request it stood in is kept as long as others are.
#[utoipa::path(delete, path = "/api/v1/webhook-inbox/{id}", tag = "webhook-inbox", params(("id" = Uuid, Path)), responses(
    (status = 204),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn discard(
    State(app): State<App>,
    access: Access,
    Id(id): Id<QuarantineId>,
) -> Result<StatusCode, Problem> {
    access.needs(Scope::InboxWrite)?;
    replay::discard(&app.gateway, &access.actor(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Reads an item's request again: what of it is this organization's. What was written before changes nothing.
#[utoipa::path(post, path = "/api/v1/webhook-inbox/{id}/replay", tag = "webhook-inbox", params(("id" = Uuid, Path)), responses(
    (status = 200, body = ReplayView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn replay(
    State(app): State<App>,
    access: Access,
    Id(id): Id<QuarantineId>,
) -> Result<Answer<ReplayView>, Problem> {
    access.needs(Scope::InboxWrite)?;
    let replayed = replay::item(&app.gateway, &access.actor(), id).await?;
    Ok(Answer(replayed.into()))
}

/// Replays the open items that the filter selects, at most 1000: first those that were tried least often, and of these the
/// oldest. Called again, it goes on with the others. Then raw webhooks that brought messages of kind `unsupported`: what can be
/// read of them by now fills these, under their ids (`message.edited`).
#[utoipa::path(post, path = "/api/v1/webhook-inbox/replay", tag = "webhook-inbox", request_body = ReplayBody, responses(
    (status = 200, body = ReplayList),
))]
pub(super) async fn replay_range(
    State(app): State<App>,
    access: Access,
    Json(body): Json<ReplayBody>,
) -> Result<Answer<ReplayList>, Problem> {
    access.needs(Scope::InboxWrite)?;
    let filter = QuarantineFilter {
        state: None,
        reason: replayed_reason(body.reason)?,
        provider: provider(body.provider)?,
        from: body.from.map(|At(at)| at),
        until: body.to.map(|At(at)| at),
        before: None,
    };
    let replayed = replay::range(&app.gateway, &access.actor(), filter).await?;
    let resolved = replayed.iter().filter(|one| one.resolved).count();
    let items = replayed.into_iter().map(ReplayView::from).collect();
    Ok(Answer(ReplayList { items, resolved }))
}
