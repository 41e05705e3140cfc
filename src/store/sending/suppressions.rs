//! `suppressions`: whom not to write to, and why.

use providers::{Address, Channel};

use crate::clock::Timestamp;
use crate::model::OrganizationId;
use crate::store::session::on;
use crate::store::{Session, StoreError};

/// Somebody who is not written to on a channel.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Suppression {
    /// The channel.
    pub channel: String,
    /// The kind of their address.
    pub kind: String,
    /// What all spellings of their address have in common.
    pub match_key: String,
    /// Their address.
    pub value: String,
    /// `opted_out`, `undeliverable` or `manual`.
    pub reason: String,
    /// More about it.
    pub detail: Option<String>,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
    /// When it began.
    pub created_at: Timestamp,
}

/// Why somebody is not written to.
#[derive(Debug, Clone)]
pub struct Cause<'a> {
    /// `opted_out`, `undeliverable` or `manual`.
    pub reason: &'a str,
    /// More about it.
    pub detail: Option<&'a str>,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

/// From now on this address is not written to. What somebody asked for themselves is not shortened by anything else.
pub async fn put(
    session: &mut Session,
    organization: OrganizationId,
    channel: Channel,
    address: &Address,
    cause: &Cause<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "insert into suppressions
               (organization_id, channel, kind, match_key, value, reason, detail, until, created_at)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
               on conflict (organization_id, channel, kind, match_key) do update set
               reason = excluded.reason, detail = excluded.detail, until = excluded.until,
               created_at = excluded.created_at
               where suppressions.until is not null or excluded.until is null";
    let key = address.match_key();
    on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(channel.word()).bind(address.kind());
        let query = query.bind(key.as_ref()).bind(address.value()).bind(cause.reason);
        query.bind(cause.detail).bind(cause.until).bind(now).execute(c).await.map(drop)
    })?;
    Ok(())
}

/// Whether this address is not written to now.
pub async fn find(
    session: &mut Session,
    organization: OrganizationId,
    channel: Channel,
    address: &Address,
    now: Timestamp,
) -> Result<Option<Suppression>, StoreError> {
    let sql = "select channel, kind, match_key, value, reason, detail, until, created_at from suppressions
               where organization_id = $1 and channel = $2 and kind = $3 and match_key = $4
               and (until is null or until > $5)";
    let key = address.match_key();
    Ok(on!(session, |c| {
        let query =
            sqlx::query_as(sql).bind(organization).bind(channel.word()).bind(address.kind());
        query.bind(key.as_ref()).bind(now).fetch_optional(c).await
    })?)
}

/// Everybody who is not written to now, at most `limit`, after this address.
pub async fn list(
    session: &mut Session,
    organization: OrganizationId,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Suppression>, StoreError> {
    let sql = "select channel, kind, match_key, value, reason, detail, until, created_at from suppressions
               where organization_id = $1 and (until is null or until > $2)
               order by created_at desc limit $3";
    Ok(on!(session, |c| {
        sqlx::query_as(sql).bind(organization).bind(now).bind(limit).fetch_all(c).await
    })?)
}

/// Takes a suppression back. `false` if there was none.
pub async fn delete(
    session: &mut Session,
    organization: OrganizationId,
    channel: Channel,
    address: &Address,
) -> Result<bool, StoreError> {
    let sql = "delete from suppressions
               where organization_id = $1 and channel = $2 and kind = $3 and match_key = $4";
    let key = address.match_key();
    let done = on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(channel.word()).bind(address.kind());
        query.bind(key.as_ref()).execute(c).await.map(|done| done.rows_affected())
    })?;
    Ok(done > 0)
}
