//! `webhook_inbox` and `webhook_quarantine`: webhooks as they came, and what of them waits.

use uuid::Uuid;

use super::session::on;
use super::{Session, StoreError};
use crate::clock::Timestamp;
use crate::model::{AccountId, InboxId, KeyFingerprint, OrganizationId, QuarantineId};

/// A request as it was kept.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct InboxRequest {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Its id.
    pub id: InboxId,
    /// The account whose keys verified it.
    pub account_id: AccountId,
    /// The same account, if it is this organization's.
    pub own_account_id: Option<AccountId>,
    /// The fingerprint of the key that it was signed with; see [`InboxRequest::key`].
    key_fingerprint: Option<Vec<u8>>,
    /// The provider's word.
    pub provider: String,
    /// The HTTP method.
    pub method: String,
    /// The absolute URL.
    pub url: String,
    /// The headers that matter, one `name: value` a line.
    pub headers: String,
    /// The raw body.
    pub body: Vec<u8>,
    /// When it reached us.
    pub received_at: Timestamp,
}

/// A request without its body, for lists.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct InboxEntry {
    /// Its id.
    pub id: InboxId,
    /// The account whose keys verified it, if it is this organization's.
    pub own_account_id: Option<AccountId>,
    /// The provider's word.
    pub provider: String,
    /// The HTTP method.
    pub method: String,
    /// Its body's size in bytes.
    pub size: i64,
    /// When it reached us.
    pub received_at: Timestamp,
}

/// An item that waits, or did.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct QuarantineEntry {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Its id.
    pub id: QuarantineId,
    /// Whose request it stood in.
    pub inbox_organization_id: OrganizationId,
    /// The request it stood in.
    pub inbox_id: InboxId,
    /// The account whose keys verified the request, if it is this organization's; not read with what a route claims.
    #[sqlx(default)]
    pub own_account_id: Option<AccountId>,
    /// The provider's word.
    pub provider: String,
    /// Where it stood.
    pub position: String,
    /// `unreadable`, `unrouted`, `ambiguous` or `refused`.
    pub reason: String,
    /// The same in a sentence.
    pub detail: String,
    /// The line of ours it names.
    pub line: Option<String>,
    /// The item as it came.
    pub raw: String,
    /// `open`, `resolved` or `discarded`.
    pub state: String,
    /// How often it was replayed.
    pub attempts: i64,
    /// What the last replay came to.
    pub last_result: Option<String>,
    /// When it was last replayed.
    pub last_attempt_at: Option<Timestamp>,
    /// When it came.
    pub created_at: Timestamp,
}

/// Where an item of a request waits, or did.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Place {
    /// Whose the item is.
    pub organization_id: OrganizationId,
    /// Where it stood.
    pub position: String,
    /// As in [`QuarantineEntry::reason`].
    pub reason: String,
    /// The line of ours it names.
    pub line: Option<String>,
    /// `open`, `resolved` or `discarded`.
    pub state: String,
}

/// Which items to list.
#[derive(Debug, Clone, Default)]
pub struct QuarantineFilter {
    /// In this state.
    pub state: Option<String>,
    /// For this reason.
    pub reason: Option<String>,
    /// Of this provider.
    pub provider: Option<String>,
    /// That came at this time or later.
    pub from: Option<Timestamp>,
    /// That came before this time.
    pub until: Option<Timestamp>,
    /// With a smaller id than this.
    pub before: Option<Uuid>,
}

impl InboxRequest {
    /// The key that it was signed with; `None` in what an older version kept.
    pub fn key(&self) -> Option<KeyFingerprint> {
        let bytes = self.key_fingerprint.as_deref()?;
        bytes.try_into().ok().map(KeyFingerprint)
    }
}

/// One request, with its body.
pub async fn request(
    session: &mut Session,
    organization: OrganizationId,
    id: InboxId,
) -> Result<Option<InboxRequest>, StoreError> {
    let sql = "select i.organization_id, i.id, i.account_id, i.provider, i.method, i.url, i.headers, i.body,
               i.received_at, i.key_fingerprint, a.id as own_account_id from webhook_inbox i
               left join accounts a on a.organization_id = i.organization_id and a.id = i.account_id
               where i.organization_id = $1 and i.id = $2";
    Ok(on!(session, |c| sqlx::query_as(sql).bind(organization).bind(id).fetch_optional(c).await)?)
}

/// Requests, newest first, before `before`.
pub async fn requests(
    session: &mut Session,
    organization: OrganizationId,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<InboxEntry>, StoreError> {
    let sql = "select i.id, a.id as own_account_id, i.provider, i.method,
               cast(length(i.body) as bigint) as size, i.received_at from webhook_inbox i
               left join accounts a on a.organization_id = i.organization_id and a.id = i.account_id
               where i.organization_id = $1 and i.id < $2 order by i.id desc limit $3";
    let before = before.unwrap_or(Uuid::max());
    Ok(on!(session, |c| {
        sqlx::query_as(sql).bind(organization).bind(before).bind(limit).fetch_all(c).await
    })?)
}

/// One item.
pub async fn item(
    session: &mut Session,
    organization: OrganizationId,
    id: QuarantineId,
) -> Result<Option<QuarantineEntry>, StoreError> {
    let sql = "select q.*, a.id as own_account_id from webhook_quarantine q
               left join accounts a on a.organization_id = q.organization_id and a.id = q.account_id
               where q.organization_id = $1 and q.id = $2";
    Ok(on!(session, |c| sqlx::query_as(sql).bind(organization).bind(id).fetch_optional(c).await)?)
}

/// Items, newest first.
pub async fn items(
    session: &mut Session,
    organization: OrganizationId,
    filter: &QuarantineFilter,
    limit: i64,
) -> Result<Vec<QuarantineEntry>, StoreError> {
    let sql = "select q.*, a.id as own_account_id from webhook_quarantine q
               left join accounts a on a.organization_id = q.organization_id and a.id = q.account_id
               where q.organization_id = $1 and q.id < $2
               and ($3 is null or q.state = $3) and ($4 is null or q.reason = $4)
               and ($5 is null or q.provider = $5) and q.created_at >= $6 and q.created_at < $7
               order by q.id desc limit $8";
    select(session, sql, organization, filter, limit).await
}

/// Items to replay: those that were tried least often, oldest first. Whoever asks again gets beyond what cannot be resolved.
pub async fn items_to_replay(
    session: &mut Session,
    organization: OrganizationId,
    filter: &QuarantineFilter,
    limit: i64,
) -> Result<Vec<QuarantineEntry>, StoreError> {
    let sql = "select * from webhook_quarantine where organization_id = $1 and id < $2
               and ($3 is null or state = $3) and ($4 is null or reason = $4)
               and ($5 is null or provider = $5) and created_at >= $6 and created_at < $7
               order by attempts, id limit $8";
    select(session, sql, organization, filter, limit).await
}

async fn select(
    session: &mut Session,
    sql: &'static str,
    organization: OrganizationId,
    filter: &QuarantineFilter,
    limit: i64,
) -> Result<Vec<QuarantineEntry>, StoreError> {
    let before = filter.before.unwrap_or(Uuid::max());
    let from = filter.from.unwrap_or(Timestamp::UNIX_EPOCH);
    let until = filter.until.unwrap_or_else(far_future);
    Ok(on!(session, |c| {
        let query = sqlx::query_as(sql).bind(organization).bind(before).bind(&filter.state);
        let query = query.bind(&filter.reason).bind(&filter.provider).bind(from).bind(until);
        query.bind(limit).fetch_all(c).await
    })?)
}

/// Open items of any organization that name this line of a provider, oldest first, after the one with id `after`: what a
/// route claims.
pub async fn unrouted(
    session: &mut Session,
    provider: &str,
    line: &str,
    after: Uuid,
    limit: i64,
) -> Result<Vec<QuarantineEntry>, StoreError> {
    let sql = "select * from webhook_quarantine where state = 'open' and provider = $1 and line = $2 and id > $3
               order by id limit $4 /* every organization: what nobody claimed belongs to the platform */";
    Ok(on!(session, |c| sqlx::query_as(sql)
        .bind(provider)
        .bind(line)
        .bind(after)
        .bind(limit)
        .fetch_all(c)
        .await)?)
}

/// Where the items of one request wait, or did, whoever keeps them; `organization` keeps the request.
pub async fn places(
    session: &mut Session,
    organization: OrganizationId,
    id: InboxId,
) -> Result<Vec<Place>, StoreError> {
    let sql = "select organization_id, position, reason, line, state from webhook_quarantine
               where inbox_organization_id = $1 and inbox_id = $2
               /* every organization: those whose items stood in one request */";
    Ok(on!(session, |c| sqlx::query_as(sql).bind(organization).bind(id).fetch_all(c).await)?)
}

/// Notes what a replay came to.
pub async fn record_attempt(
    session: &mut Session,
    organization: OrganizationId,
    id: QuarantineId,
    state: &str,
    result: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "update webhook_quarantine set state = $3, last_result = $4, last_attempt_at = $5,
               attempts = attempts + 1 where organization_id = $1 and id = $2";
    on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(id).bind(state).bind(result);
        query.bind(now).execute(c).await.map(drop)
    })?;
    Ok(())
}

/// Closes an open item that nobody wants. `false` if there is no such open item.
pub async fn discard(
    session: &mut Session,
    organization: OrganizationId,
    id: QuarantineId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "update webhook_quarantine set state = 'discarded', last_attempt_at = $3
               where organization_id = $1 and id = $2 and state = 'open'";
    let done = on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(id).bind(now);
        query.execute(c).await.map(|done| done.rows_affected())
    })?;
    Ok(done > 0)
}

/// How many items are open, over all organizations.
pub async fn open_count(session: &mut Session) -> Result<i64, StoreError> {
    let sql = "select count(*) from webhook_quarantine where state = 'open'
               /* every organization: a metric */";
    Ok(on!(session, |c| sqlx::query_scalar(sql).fetch_one(c).await)?)
}

/// Later than anything that is stored.
fn far_future() -> Timestamp {
    Timestamp::from_timestamp(253_402_300_799, 0).unwrap_or(Timestamp::MAX_UTC)
}
