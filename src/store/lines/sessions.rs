//! `account_sessions`: linked devices, and who deals with each of them now.
//!
//! Whoever asks or changes a device holds its lease, so that of two processes (or of a process and a person) one comes
//! second. A lease that was not given back ends by itself.

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::{AccountId, Device, OrganizationId};
use crate::store::session::on;
use crate::store::types::{device_state, wish};
use crate::store::{Session, StoreError};

#[derive(Debug, sqlx::FromRow)]
struct Row {
    state: String,
    wish: String,
    linked: bool,
    number: Option<String>,
    detail: Option<String>,
    since: Timestamp,
    checked_at: Option<Timestamp>,
    failures: i64,
    unanswered: i64,
    next_start_at: Option<Timestamp>,
    alerted_at: Option<Timestamp>,
    due_at: Timestamp,
}

impl TryFrom<Row> for Device {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Device {
            state: device_state(&row.state)?,
            wish: wish(&row.wish)?,
            linked: row.linked,
            number: row.number,
            detail: row.detail,
            since: row.since,
            checked_at: row.checked_at,
            failures: row.failures,
            unanswered: row.unanswered,
            next_start_at: row.next_start_at,
            alerted_at: row.alerted_at,
            due_at: row.due_at,
        })
    }
}

/// A device. `None` if it was never dealt with.
pub async fn get(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
) -> Result<Option<Device>, StoreError> {
    let sql = "select state, wish, linked, number, detail, since, checked_at, failures, unanswered,
               next_start_at, alerted_at, due_at from account_sessions
               where organization_id = $1 and account_id = $2";
    let row: Option<Row> = on!(session, |c| {
        sqlx::query_as(sql).bind(organization).bind(account).fetch_optional(c).await
    })?;
    row.map(Device::try_from).transpose()
}

/// Takes the lease of a device until `until`, if nobody else has it; with `due` only if it is due to be looked at. The row
/// is made if it is new. `false` if it was not taken.
pub async fn lease(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
    (id, until): (Uuid, Timestamp),
    due: bool,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "insert into account_sessions
               (organization_id, account_id, state, wish, linked, since, failures, unanswered, due_at, lease_id, lease_until)
               values ($1, $2, 'unknown', 'nothing', $7, $5, 0, 0, $5, $3, $4)
               on conflict (organization_id, account_id) do update set
               lease_id = excluded.lease_id, lease_until = excluded.lease_until
               where (account_sessions.lease_until is null or account_sessions.lease_until <= $5)
               and ($6 = 0 or account_sessions.due_at <= $5)";
    let taken = on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(account).bind(id).bind(until);
        let query = query.bind(now).bind(i64::from(due)).bind(false);
        query.execute(c).await.map(|done| done.rows_affected())
    })?;
    Ok(taken > 0)
}

/// Writes a device whose lease is `lease`; with `release` the lease is given back. `false` if the lease was lost: then
/// nothing is written.
pub async fn put(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
    lease: Uuid,
    device: &Device,
    release: bool,
) -> Result<bool, StoreError> {
    let sql = "update account_sessions set state = $4, wish = $5, linked = $6, number = $7, detail = $8, since = $9,
               checked_at = $10, failures = $11, unanswered = $12, next_start_at = $13, alerted_at = $14, due_at = $15,
               lease_until = case when $16 = 1 then null else lease_until end
               where organization_id = $1 and account_id = $2 and lease_id = $3 and lease_until is not null";
    let written = on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(account).bind(lease);
        let query = query.bind(device.state.word()).bind(device.wish.word()).bind(device.linked);
        let query = query.bind(&device.number).bind(&device.detail).bind(device.since);
        let query = query.bind(device.checked_at).bind(device.failures).bind(device.unanswered);
        let query = query.bind(device.next_start_at).bind(device.alerted_at).bind(device.due_at);
        query.bind(i64::from(release)).execute(c).await.map(|done| done.rows_affected())
    })?;
    Ok(written > 0)
}

/// Forgets the device of an account that is taken away.
pub async fn delete(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
) -> Result<(), StoreError> {
    let sql = "delete from account_sessions where organization_id = $1 and account_id = $2";
    on!(session, |c| sqlx::query(sql).bind(organization).bind(account).execute(c).await.map(drop))?;
    Ok(())
}

/// The accounts of all organizations whose device is not to be looked at now: it is not due, or somebody deals with it.
pub async fn resting(session: &mut Session, now: Timestamp) -> Result<Vec<AccountId>, StoreError> {
    let sql = "select account_id from account_sessions where due_at > $1 or lease_until > $1
               /* every organization: what is looked at by the clock */";
    Ok(on!(session, |c| sqlx::query_scalar(sql).bind(now).fetch_all(c).await)?)
}
