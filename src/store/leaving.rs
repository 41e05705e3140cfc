//! What is kept for a time and will soon be deleted: open items of the inbox, of which somebody is told before, and counts of
//! everything, for a warning.

use uuid::Uuid;

use super::session::on;
use super::{Session, StoreError};
use crate::clock::Timestamp;
use crate::ids;
use crate::model::{AccountId, OrganizationId};

/// How many rows one statement marks.
const CHUNK: i64 = 5_000;

/// How far rows are counted.
pub const COUNTED: i64 = 10_000;

/// Open items of which nobody was told yet, by the account to tell it at, provider and reason.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Leaving {
    /// The account that the items came through, if it is the organization's; else one of its own, of the same provider if
    /// there is one. `None` if it has none.
    pub account_id: Option<AccountId>,
    /// The provider's word.
    pub provider: String,
    /// `unreadable`, `unrouted`, `ambiguous` or `refused`.
    pub reason: String,
    /// How many.
    pub count: i64,
    /// When the oldest of them came.
    pub oldest: Timestamp,
}

/// An organization's open items that came before `before` and of which it was not told.
pub async fn untold(
    session: &mut Session,
    organization: OrganizationId,
    before: Timestamp,
) -> Result<Vec<Leaving>, StoreError> {
    let sql = "select account_id, provider, reason, count(*) as count, min(created_at) as oldest from (
                   select coalesce(a.id,
                              (select x.id from accounts x where x.organization_id = $1 and x.provider = q.provider
                               order by x.id limit 1),
                              (select x.id from accounts x where x.organization_id = $1 order by x.id limit 1))
                              as account_id,
                          q.provider, q.reason, q.created_at
                   from webhook_quarantine q
                   left join accounts a on a.organization_id = q.organization_id and a.id = q.account_id
                   where q.organization_id = $1 and q.id < $2 and q.state = 'open' and q.noticed_at is null) leaving
               group by account_id, provider, reason order by account_id, provider, reason";
    let before = ids::first_at(before);
    Ok(on!(session, |c| sqlx::query_as(sql).bind(organization).bind(before).fetch_all(c).await)?)
}

/// Notes that an organization was told of its open items from before `before`. Returns of how many; call again while it
/// returns many.
pub async fn told(
    session: &mut Session,
    organization: OrganizationId,
    before: Timestamp,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let sql = "update webhook_quarantine set noticed_at = $3 where organization_id = $1 and id in (
                   select id from webhook_quarantine where organization_id = $1 and id < $2
                   and state = 'open' and noticed_at is null order by id limit $4)";
    let before = ids::first_at(before);
    Ok(on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(before).bind(now).bind(CHUNK);
        query.execute(c).await.map(|done| done.rows_affected())
    })?)
}

/// From when on each kind of thing is kept.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// Raw webhooks.
    pub inbox: Timestamp,
    /// Open items.
    pub open: Timestamp,
    /// Events.
    pub events: Timestamp,
    /// The queue's journal, and answers under an Idempotency-Key.
    pub queue: Timestamp,
    /// The audit log.
    pub audit: Timestamp,
}

/// How much of an organization's is older than that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Old {
    /// Raw webhooks, each of these at most [`COUNTED`].
    pub webhooks: i64,
    /// Open items of the inbox.
    pub open_items: i64,
    /// Events.
    pub events: i64,
    /// Messages whose sending is over.
    pub sent: i64,
    /// Answers under an Idempotency-Key.
    pub answers: i64,
    /// Entries of the audit log.
    pub audited: i64,
}

/// Counts it.
pub async fn count(
    session: &mut Session,
    organization: OrganizationId,
    kept: Kept,
) -> Result<Old, StoreError> {
    let webhooks = "select count(*) from (select 1 as one from webhook_inbox
                    where organization_id = $1 and id < $2 limit $3) counted";
    let open = "select count(*) from (select 1 as one from webhook_quarantine
                where organization_id = $1 and id < $2 and state = 'open' limit $3) counted";
    let audited = "select count(*) from (select 1 as one from audit_log
                   where organization_id = $1 and id < $2 limit $3) counted";
    let sent = "select count(*) from (select 1 as one from outbound where organization_id = $1
                and message_id < $2 and state in ('sent', 'canceled') limit $3) counted";
    // Events are numbered in the order of their times, and the oldest are the first.
    let events = "select count(*) from (select at from events where organization_id = $1 order by seq limit $3) oldest
                  where at < $2";
    let answers = "select count(*) from (select 1 as one from idempotency_keys
                   where organization_id = $1 and created_at < $2 limit $3) counted";
    let mut by_id = Vec::with_capacity(4);
    let first = [kept.inbox, kept.open, kept.audit, kept.queue].map(ids::first_at);
    for (sql, first) in [webhooks, open, audited, sent].into_iter().zip(first) {
        by_id.push(counted(session, sql, organization, first).await?);
    }
    let mut by_time = Vec::with_capacity(2);
    for (sql, from) in [(events, kept.events), (answers, kept.queue)] {
        let count: i64 = on!(session, |c| {
            let query = sqlx::query_scalar(sql).bind(organization).bind(from).bind(COUNTED);
            query.fetch_one(c).await
        })?;
        by_time.push(count);
    }
    Ok(Old {
        webhooks: by_id[0],
        open_items: by_id[1],
        audited: by_id[2],
        sent: by_id[3],
        events: by_time[0],
        answers: by_time[1],
    })
}

async fn counted(
    session: &mut Session,
    sql: &'static str,
    organization: OrganizationId,
    first: Uuid,
) -> Result<i64, StoreError> {
    Ok(on!(session, |c| {
        let query = sqlx::query_scalar(sql).bind(organization).bind(first).bind(COUNTED);
        query.fetch_one(c).await
    })?)
}
