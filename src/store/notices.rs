//! `account_notices`: what providers say about accounts, numbers and templates.

use providers::Notice;
use serde_json::{Value, json};
use sqlx::types::Json;

use super::events::Outbox;
use super::session::on;
use super::{Session, StoreError};
use crate::clock::Timestamp;
use crate::model::{AccountId, Item, OrganizationId};

/// A notice as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredNotice {
    /// The account it is about.
    pub account_id: AccountId,
    /// What it is about, in the provider's word.
    pub topic: String,
    /// One line for a person.
    pub title: String,
    /// `info`, `warning` or `critical`.
    pub severity: String,
    /// Everything the provider said.
    pub data: Value,
    /// When it happened.
    pub at: Timestamp,
}

/// Writes a notice; `false` if it was there already.
pub async fn insert(
    session: &mut Session,
    item: &Item,
    notice: &Notice,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "insert into account_notices
               (organization_id, account_id, key, topic, title, severity, data, at, received_at)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing";
    let data = Json(&notice.data);
    let written = on!(session, |c| {
        let query = sqlx::query(sql).bind(item.organization_id).bind(item.account_id);
        let query = query.bind(&item.event.key.0).bind(&notice.topic).bind(&notice.title);
        let query = query.bind(notice.severity.word()).bind(data).bind(item.event.at).bind(now);
        query.execute(c).await.map(|done| done.rows_affected())
    })?;
    Ok(written > 0)
}

/// Writes what the gateway itself has found out about an account, and tells of it. `key` tells it from all other notices of
/// the account: what was noticed before is not noticed again, and returns
/// `false`. The head must be locked.
pub async fn tell(
    session: &mut Session,
    outbox: &mut Outbox,
    (organization, account): (OrganizationId, AccountId),
    key: &str,
    notice: &Notice,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "insert into account_notices
               (organization_id, account_id, key, topic, title, severity, data, at, received_at)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $8) on conflict do nothing";
    let data = Json(&notice.data);
    let written = on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(account).bind(key);
        let query = query.bind(&notice.topic).bind(&notice.title).bind(notice.severity.word());
        query.bind(data).bind(now).execute(c).await.map(|done| done.rows_affected())
    })?;
    if written > 0 {
        outbox.push(organization, "account.notice", account.0, Some(summary(notice)));
    }
    Ok(written > 0)
}

/// What the outbox says of a notice.
pub fn summary(notice: &Notice) -> Value {
    json!({
        "topic": notice.topic,
        "title": notice.title,
        "severity": notice.severity.word(),
    })
}

/// The newest notices of an account.
pub async fn list(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
    limit: i64,
) -> Result<Vec<StoredNotice>, StoreError> {
    let sql = "select topic, title, severity, data, at from account_notices
               where organization_id = $1 and account_id = $2 order by at desc, key limit $3";
    type Found = (String, String, String, Json<Value>, Timestamp);
    let rows: Vec<Found> = on!(session, |c| {
        sqlx::query_as(sql).bind(organization).bind(account).bind(limit).fetch_all(c).await
    })?;
    let notice = |(topic, title, severity, Json(data), at): Found| StoredNotice {
        account_id: account,
        topic,
        title,
        severity,
        data,
        at,
    };
    Ok(rows.into_iter().map(notice).collect())
}
