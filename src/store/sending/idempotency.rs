//! `idempotency_keys`: requests that were answered, so that a second one of the same key gets the same answer.

use serde_json::Value;
use sqlx::types::Json;

use crate::clock::Timestamp;
use crate::model::OrganizationId;
use crate::store::session::{Connection, on};
use crate::store::{Session, StoreError};

/// An answer that was given.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// SHA-256 of the request.
    pub fingerprint: Vec<u8>,
    /// The HTTP status.
    pub status: i64,
    /// The body.
    pub answer: Value,
}

/// Takes the key until the session ends. `false` if another process is answering a request of this key right now.
pub async fn hold(
    session: &mut Session,
    organization: OrganizationId,
    key: &str,
) -> Result<bool, StoreError> {
    match session.connection() {
        // SQLite has one writer at a time.
        Connection::Sqlite(_) => Ok(true),
        Connection::Postgres(connection) => {
            let sql = "select pg_try_advisory_xact_lock(hashtextextended($1, 0))";
            let name = format!("idempotency:{organization}:{key}");
            Ok(sqlx::query_scalar(sql).bind(name).fetch_one(connection).await?)
        }
    }
}

/// The answer that was given to a request of this key.
pub async fn find(
    session: &mut Session,
    organization: OrganizationId,
    key: &str,
) -> Result<Option<Answered>, StoreError> {
    let sql = "select fingerprint, status, answer from idempotency_keys
               where organization_id = $1 and key = $2";
    let found: Option<(Vec<u8>, i64, Json<Value>)> =
        on!(session, |c| sqlx::query_as(sql).bind(organization).bind(key).fetch_optional(c).await)?;
    Ok(found.map(|(fingerprint, status, Json(answer))| Answered { fingerprint, status, answer }))
}

/// Keeps an answer, in the transaction that did what it says.
pub async fn keep(
    session: &mut Session,
    organization: OrganizationId,
    key: &str,
    answered: &Answered,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "insert into idempotency_keys (organization_id, key, fingerprint, status, answer, created_at)
               values ($1, $2, $3, $4, $5, $6)";
    on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(key).bind(&answered.fingerprint);
        let query = query.bind(answered.status).bind(Json(&answered.answer)).bind(now);
        query.execute(c).await.map(drop)
    })?;
    Ok(())
}
