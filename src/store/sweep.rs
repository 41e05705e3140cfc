//! Statements that clean up across organizations. They run with the rights of intake, in small transactions.

use uuid::Uuid;

use super::session::{dialect, on};
use super::{Session, StoreError};
use crate::clock::Timestamp;
use crate::ids;
use crate::model::OrganizationId;

/// How many rows one statement deletes: a sweep's transaction holds an organization's head, or SQLite's writer, for some
/// milliseconds and no longer.
const CHUNK: i64 = 250;

/// From when on open items and their requests are kept. Those that came before are deleted too, but only if their
/// organization was told so long enough ago.
#[derive(Debug, Clone, Copy)]
pub struct KeepOpen {
    /// What came at this time or later is kept.
    pub from: Timestamp,
    /// So is what was told of later than this, or never.
    pub told_from: Timestamp,
}

/// Deletes an organization's raw webhooks older than `keep_from`; those with open items only as `open` allows, and those that
/// brought messages of which not all could be read only if they are as old. Returns how many; call again while it returns many.
pub async fn delete_inbox(
    session: &mut Session,
    organization: OrganizationId,
    keep_from: Timestamp,
    open: KeepOpen,
) -> Result<u64, StoreError> {
    let sql = "delete from webhook_inbox where organization_id = $1 and id in (
                   select i.id from webhook_inbox i where i.organization_id = $1 and i.id < $2
                   and not exists (select 1 from webhook_quarantine q
                        where q.inbox_id = i.id and q.state = 'open'
                        and (i.id >= $3 or q.noticed_at is null or q.noticed_at > $4))
                   and not (i.id >= $3 and exists (select 1 from unread_messages u where u.inbox_id = i.id))
                   order by i.id limit $5)";
    let (old, very_old) = (ids::first_at(keep_from), ids::first_at(open.from));
    Ok(on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(old).bind(very_old);
        let query = query.bind(open.told_from).bind(CHUNK);
        query.execute(c).await.map(|done| done.rows_affected())
    })?)
}

/// Deletes an organization's items older than its open ones may be; those that are still open only if it was told.
pub async fn delete_quarantine(
    session: &mut Session,
    organization: OrganizationId,
    open: KeepOpen,
) -> Result<u64, StoreError> {
    let sql = "delete from webhook_quarantine where organization_id = $1 and id in (
                   select id from webhook_quarantine where organization_id = $1 and id < $2
                   and (state <> 'open' or noticed_at <= $3) order by id limit $4)";
    let old = ids::first_at(open.from);
    Ok(on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(old).bind(open.told_from).bind(CHUNK);
        query.execute(c).await.map(|done| done.rows_affected())
    })?)
}

/// Forgets in which requests an organization's unread messages came that are older than `keep_from`: nobody can read them again.
/// Returns of how many; call again while it returns many.
pub async fn delete_unread(
    session: &mut Session,
    organization: OrganizationId,
    keep_from: Timestamp,
) -> Result<u64, StoreError> {
    let sql = "delete from unread_messages where organization_id = $1 and provider_ref in (
                   select provider_ref from unread_messages where organization_id = $1 and inbox_id < $2
                   limit $3)";
    let old = ids::first_at(keep_from);
    Ok(on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(old).bind(CHUNK);
        query.execute(c).await.map(|done| done.rows_affected())
    })?)
}

/// Deletes an organization's entries of the audit log that were written before `keep_from`. Returns how many; call again
/// while it returns many.
pub async fn delete_audit(
    session: &mut Session,
    organization: OrganizationId,
    keep_from: Timestamp,
) -> Result<u64, StoreError> {
    let sql = "delete from audit_log where organization_id = $1 and id in (
                   select id from audit_log where organization_id = $1 and id < $2
                   order by id limit $3)";
    let old = ids::first_at(keep_from);
    Ok(on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(old).bind(CHUNK);
        query.execute(c).await.map(|done| done.rows_affected())
    })?)
}

/// Deletes an organization's events older than `keep_from`, and notes up to which number, so that a reader who comes too
/// late is told.
pub async fn delete_events(
    session: &mut Session,
    organization: OrganizationId,
    keep_from: Timestamp,
) -> Result<u64, StoreError> {
    let newest = "select max(seq) from (select seq, at from events where organization_id = $1
                  order by seq limit $3) oldest where at < $2";
    let last: Option<i64> = on!(session, |c| {
        sqlx::query_scalar(newest).bind(organization).bind(keep_from).bind(CHUNK).fetch_one(c).await
    })?;
    let Some(last) = last else { return Ok(0) };
    let delete = "delete from events where organization_id = $1 and seq <= $2";
    let note =
        "update event_heads set pruned_seq = $2 where organization_id = $1 and pruned_seq < $2";
    Ok(on!(session, |c| {
        sqlx::query(note).bind(organization).bind(last).execute(&mut *c).await?;
        let query = sqlx::query(delete).bind(organization).bind(last);
        query.execute(c).await.map(|done| done.rows_affected())
    })?)
}

/// Deletes statuses that have waited for their message since before `keep_from`. The session must be a transaction.
pub async fn delete_waiting(
    session: &mut Session,
    keep_from: Timestamp,
) -> Result<u64, StoreError> {
    let sql =
        "delete from waiting_changes where received_at < $1 /* every organization: a sweep */";
    let lock = dialect!(session,
        sqlite: "select organization_id from event_heads where waiting /* every organization: a sweep */",
        postgres: "select organization_id from event_heads where waiting
                   order by organization_id for update /* every organization: a sweep */",
    );
    let clear = "update event_heads set waiting = false where waiting and not exists (
                     select 1 from waiting_changes w where w.organization_id = event_heads.organization_id)
                 /* every organization: a sweep */";
    Ok(on!(session, |c| {
        // The heads are locked first: what is parked from here on waits, and is seen below.
        sqlx::query(lock).execute(&mut *c).await?;
        let deleted = sqlx::query(sql).bind(keep_from).execute(&mut *c).await?.rows_affected();
        sqlx::query(clear).execute(c).await.map(|_| deleted)
    })?)
}

/// How many changes wait for their message.
pub async fn waiting_count(session: &mut Session) -> Result<i64, StoreError> {
    let sql = "select count(*) from waiting_changes /* every organization: a metric */";
    Ok(on!(session, |c| sqlx::query_scalar(sql).fetch_one(c).await)?)
}

/// When the newest webhook was received: if that lies in the future, the machine's clock went back.
pub async fn newest_webhook(session: &mut Session) -> Result<Option<Timestamp>, StoreError> {
    let sql = "select max(received_at) from webhook_inbox where id > $1 /* every organization: a check */";
    let recent = Uuid::nil();
    Ok(on!(session, |c| sqlx::query_scalar(sql).bind(recent).fetch_one(c).await)?)
}

/// Whether the session's role can reach rows of other organizations: on PostgreSQL, whether it may bypass row-level
/// security. On SQLite there are no roles.
pub async fn can_bypass_isolation(session: &mut Session) -> Result<bool, StoreError> {
    let sql = dialect!(session,
        sqlite: "select false",
        postgres: "select rolsuper or rolbypassrls from pg_roles where rolname = current_user /* every organization: a check */",
    );
    Ok(on!(session, |c| sqlx::query_scalar(sql).fetch_one(c).await)?)
}
