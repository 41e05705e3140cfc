//! `audit_log`: who did what. Rows are written and read, never changed, but for refusals: those of one caller against one
//! target are one row an hour that counts them, since anybody with a key can make them by the thousand.

use chrono::{DurationRound, TimeDelta};
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
    /// When; of a refusal, when it happened first.
    pub at: Timestamp,
}

/// An entry as it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct CountedEntry {
    /// The entry.
    pub entry: AuditEntry,
    /// How often it happened.
    pub count: i64,
    /// When it happened last.
    pub last_at: Timestamp,
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

/// Writes a refusal, or counts it with those of the same caller, target and hour that are written already: then the first
/// one's detail and request stand.
pub async fn count_refusal(
    session: &mut Session,
    organization: OrganizationId,
    entry: &AuditEntry,
) -> Result<(), StoreError> {
    let sql =
        "insert into audit_log (organization_id, id, actor_kind, actor_id, action, subject, detail,
               request_id, at, hour, last_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $9)
               on conflict (organization_id, actor_kind, actor_id, action, subject, hour) where hour is not null
               do update set count = audit_log.count + 1, last_at = excluded.last_at";
    let hour = entry.at.duration_trunc(TimeDelta::hours(1)).unwrap_or(entry.at);
    on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(entry.id).bind(&entry.actor_kind);
        let query = query.bind(&entry.actor_id).bind(&entry.action).bind(&entry.subject);
        let query = query.bind(Json(&entry.detail)).bind(&entry.request_id).bind(entry.at);
        query.bind(hour).execute(c).await.map(drop)
    })?;
    Ok(())
}

/// Entries, newest first, before `before`.
pub async fn list(
    session: &mut Session,
    organization: OrganizationId,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<CountedEntry>, StoreError> {
    let sql = "select id, actor_kind, actor_id, action, subject, detail, request_id, at, count,
               coalesce(last_at, at) as last_at from audit_log
               where organization_id = $1 and id < $2 order by id desc limit $3";
    let before = before.unwrap_or(Uuid::max());
    let rows: Vec<Row> = on!(session, |c| {
        sqlx::query_as(sql).bind(organization).bind(before).bind(limit).fetch_all(c).await
    })?;
    Ok(rows.into_iter().map(CountedEntry::from).collect())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    actor_kind: String,
    actor_id: String,
    action: String,
    subject: String,
    detail: Json<Value>,
    request_id: Option<String>,
    at: Timestamp,
    count: i64,
    last_at: Timestamp,
}

impl From<Row> for CountedEntry {
    fn from(row: Row) -> Self {
        let Json(detail) = row.detail;
        let entry = AuditEntry {
            id: row.id,
            actor_kind: row.actor_kind,
            actor_id: row.actor_id,
            action: row.action,
            subject: row.subject,
            detail,
            request_id: row.request_id,
            at: row.at,
        };
        Self { entry, count: row.count, last_at: row.last_at }
    }
}
