//! `idempotency_keys`: requests that were answered, so that a second one of the same key gets the same answer.
//! `idempotency_progress`, `idempotency_pieces`: how far those have come that are carried out piece by piece.

use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

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

/// How far a request has come that is carried out piece by piece.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// SHA-256 of the request.
    pub fingerprint: Vec<u8>,
    /// How many of its messages are decided.
    pub done: i64,
    /// The process that carries it out.
    pub holder: Uuid,
    /// Until when no other process does.
    pub held_until: Timestamp,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// Nothing.
    Unused,
    /// A part of its request was carried out.
    UnderWay(Progress),
    /// Its request was answered.
    Answered(Answered),
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

#[derive(Debug, sqlx::FromRow)]
struct Row {
    fingerprint: Vec<u8>,
    status: Option<i64>,
    answer: Option<Json<Value>>,
    done: Option<i64>,
    holder: Option<Uuid>,
    held_until: Option<Timestamp>,
}

/// What is known of a key.
pub async fn find(
    session: &mut Session,
    organization: OrganizationId,
    key: &str,
) -> Result<Standing, StoreError> {
    let sql = "select fingerprint, status, answer, null as done, null as holder, null as held_until
               from idempotency_keys where organization_id = $1 and key = $2
               union all select fingerprint, null, null, done, holder, held_until
               from idempotency_progress where organization_id = $1 and key = $2";
    let rows: Vec<Row> =
        on!(session, |c| sqlx::query_as(sql).bind(organization).bind(key).fetch_all(c).await)?;
    let mut standing = Standing::Unused;
    for Row { fingerprint, status, answer, done, holder, held_until } in rows {
        if let (Some(status), Some(Json(answer))) = (status, answer) {
            return Ok(Standing::Answered(Answered { fingerprint, status, answer }));
        }
        if let (Some(done), Some(holder), Some(held_until)) = (done, holder, held_until) {
            standing = Standing::UnderWay(Progress { fingerprint, done, holder, held_until });
        }
    }
    Ok(standing)
}

/// What became of the messages of a request that are decided, piece by piece, in their order.
pub async fn pieces(
    session: &mut Session,
    organization: OrganizationId,
    key: &str,
) -> Result<Vec<Value>, StoreError> {
    let sql = "select results from idempotency_pieces where organization_id = $1 and key = $2
               order by first";
    let found: Vec<(Json<Value>,)> =
        on!(session, |c| sqlx::query_as(sql).bind(organization).bind(key).fetch_all(c).await)?;
    Ok(found.into_iter().map(|(Json(results),)| results).collect())
}

/// Notes what became of the messages of a piece that begins at `first`, and how far the request has come with it; in the
/// transaction that wrote the piece. The head must be locked.
pub async fn advance(
    session: &mut Session,
    organization: OrganizationId,
    key: &str,
    (first, results): (i64, &Value),
    progress: &Progress,
    now: Timestamp,
) -> Result<(), StoreError> {
    let piece = "insert into idempotency_pieces (organization_id, key, first, results, created_at)
                 values ($1, $2, $3, $4, $5)";
    let come = "insert into idempotency_progress
                (organization_id, key, fingerprint, done, holder, held_until, created_at)
                values ($1, $2, $3, $4, $5, $6, $7) on conflict (organization_id, key) do update
                set done = excluded.done, holder = excluded.holder, held_until = excluded.held_until";
    on!(session, |c| {
        let query = sqlx::query(piece).bind(organization).bind(key).bind(first);
        query.bind(Json(results)).bind(now).execute(&mut *c).await?;
        let query = sqlx::query(come).bind(organization).bind(key).bind(&progress.fingerprint);
        let query = query.bind(progress.done).bind(progress.holder).bind(progress.held_until);
        query.bind(now).execute(c).await.map(drop)
    })?;
    Ok(())
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

/// Forgets how far a request had come: it is answered.
pub async fn forget_progress(
    session: &mut Session,
    organization: OrganizationId,
    key: &str,
) -> Result<(), StoreError> {
    let pieces = "delete from idempotency_pieces where organization_id = $1 and key = $2";
    let progress = "delete from idempotency_progress where organization_id = $1 and key = $2";
    on!(session, |c| {
        sqlx::query(pieces).bind(organization).bind(key).execute(&mut *c).await?;
        sqlx::query(progress).bind(organization).bind(key).execute(c).await.map(drop)
    })?;
    Ok(())
}
