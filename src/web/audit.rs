//! `/api/v1/audit-log`: who did what.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::answer::Answer;
use super::extract::{Access, Query, cursor, limit};
use super::times::At;
use super::{App, Problem};
use crate::model::Scope;
use crate::store::audit::{self, CountedEntry};

/// An entry of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EntryView {
    /// Its id.
    id: Uuid,
    /// `key`, `user` or `operator`.
    actor_kind: String,
    /// The id of the key or user; of a person who is no member of any organization here, the name that the identity
    /// provider gives them, which only their own organization sees.
    actor_id: String,
    /// What was done: `account.create`, `key.revoke`, `access.refused` …
    action: String,
    /// What it was done to.
    subject: String,
    /// Anything else.
    detail: Value,
    /// The request's id, as in `X-Request-Id` and the logs.
    request_id: Option<String>,
    /// When; of what was refused, when it happened first.
    at: At,
    /// How often: `access.refused` is one entry for what a caller tried against an organization within an hour. 1 for
    /// everything else.
    count: i64,
    /// When it happened last.
    last_at: At,
}

/// A page of the audit log, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EntryList {
    /// The entries.
    items: Vec<EntryView>,
    /// The `cursor` of the next page; null on the last one.
    next_cursor: Option<Uuid>,
}

/// Pages.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// How many, 1 to 200; 50 if not given.
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Who did what, newest first.
#[utoipa::path(get, path = "/api/v1/audit-log", tag = "access", params(Page), responses((status = 200, body = EntryList)))]
pub(super) async fn list(
    State(app): State<App>,
    access: Access,
    Query(query): Query<Page>,
) -> Result<Answer<EntryList>, Problem> {
    let organization = access.needs(Scope::AuditRead)?;
    let (limit, before) = (limit(query.limit)?, cursor(query.cursor.as_deref())?);
    let mut session = app.gateway.store.read(organization).await?;
    let found = audit::list(&mut session, organization, before, limit).await?;
    let full = i64::try_from(found.len()).unwrap_or(i64::MAX) == limit;
    let next_cursor = found.last().filter(|_| full).map(|found| found.entry.id);
    let view = |CountedEntry { entry, count, last_at }| EntryView {
        id: entry.id,
        actor_kind: entry.actor_kind,
        actor_id: entry.actor_id,
        action: entry.action,
        subject: entry.subject,
        detail: entry.detail,
        request_id: entry.request_id,
        at: entry.at.into(),
        count,
        last_at: last_at.into(),
    };
    Ok(Answer(EntryList { items: found.into_iter().map(view).collect(), next_cursor }))
}
