//! `audit_log`: who did what. Rows are written and read, never changed.

use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use super::session::on;
use super::{Session, StoreError};
use crate::clock::Timestamp;
use crate::model::OrganizationId;

/// One entry.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Its id.
    pub id: Uuid,
    /// `key`, `user`, `operator` or `unknown`.
    pub actor_kind: String,
    /// The id of the key or user.
    pub actor_id: String,
    /// What was done: `account.create`, `key.revoke`, `access.refused` …
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// Anything else worth knowing. Never holds a secret.
    pub detail: Value,
    /// The request.
    pub request_id: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// Writes an entry.
pub async fn insert(
    session: &mut Session,
    organization: OrganizationId,
    entry: &AuditEntry,
) -> Result<(), StoreError> {
    let sql =
        "insert into audit_log (organization_id, id, actor_kind, actor_id, action, subject, detail,
               request_id, at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(entry.id).bind(&entry.actor_kind);
        let query = query.bind(&entry.actor_id).bind(&entry.action).bind(&entry.subject);
        let query = query.bind(Json(&entry.detail)).bind(&entry.request_id).bind(entry.at);
        query.execute(c).await.map(drop)
    })?;
    Ok(())
}

/// Entries, newest first, before `before`.
pub async fn list(
    session: &mut Session,
    organization: OrganizationId,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<AuditEntry>, StoreError> {
    let sql =
        "select id, actor_kind, actor_id, action, subject, detail, request_id, at from audit_log
               where organization_id = $1 and id < $2 order by id desc limit $3";
    type Found = (Uuid, String, String, String, String, Json<Value>, Option<String>, Timestamp);
    let before = before.unwrap_or(Uuid::max());
    let rows: Vec<Found> = on!(session, |c| {
        sqlx::query_as(sql).bind(organization).bind(before).bind(limit).fetch_all(c).await
    })?;
    let entry =
        |(id, actor_kind, actor_id, action, subject, Json(detail), request_id, at): Found| {
            AuditEntry { id, actor_kind, actor_id, action, subject, detail, request_id, at }
        };
    Ok(rows.into_iter().map(entry).collect())
}
