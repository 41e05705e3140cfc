//! `routes`: which account carries which of our lines.

use super::session::on;
use super::types::{channel, route_state};
use super::{Session, StoreError};
use crate::clock::Timestamp;
use crate::model::{AccountId, OrganizationId, Route, RouteId, RouteState};

#[derive(Debug, sqlx::FromRow)]
struct Row {
    organization_id: OrganizationId,
    id: RouteId,
    account_id: AccountId,
    channel: String,
    address: String,
    handle: Option<String>,
    state: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl TryFrom<Row> for Route {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Route {
            organization_id: row.organization_id,
            id: row.id,
            account_id: row.account_id,
            channel: channel(&row.channel)?,
            address: row.address,
            handle: row.handle,
            state: route_state(&row.state)?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Writes a new route. A second active one of a channel, or a second one of a line, is a duplicate.
pub async fn insert(session: &mut Session, route: &Route) -> Result<(), StoreError> {
    let sql =
        "insert into routes (organization_id, id, account_id, channel, address, handle, state,
               created_at, updated_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    on!(session, |c| {
        let query = sqlx::query(sql).bind(route.organization_id).bind(route.id);
        let query = query.bind(route.account_id).bind(route.channel.word()).bind(&route.address);
        let query = query.bind(&route.handle).bind(route.state.word());
        query.bind(route.created_at).bind(route.updated_at).execute(c).await.map(drop)
    })?;
    Ok(())
}

/// Changes a route's state. `false` if there is no such route.
pub async fn set_state(
    session: &mut Session,
    organization: OrganizationId,
    id: RouteId,
    state: RouteState,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql =
        "update routes set state = $3, updated_at = $4 where organization_id = $1 and id = $2";
    let done = on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(id).bind(state.word()).bind(now);
        query.execute(c).await.map(|done| done.rows_affected())
    })?;
    Ok(done > 0)
}

/// Deletes a route. `false` if there is no such route.
pub async fn delete(
    session: &mut Session,
    organization: OrganizationId,
    id: RouteId,
) -> Result<bool, StoreError> {
    let sql = "delete from routes where organization_id = $1 and id = $2";
    let done = on!(session, |c| {
        sqlx::query(sql)
            .bind(organization)
            .bind(id)
            .execute(c)
            .await
            .map(|done| done.rows_affected())
    })?;
    Ok(done > 0)
}

/// Deletes all routes of an account.
pub async fn delete_of_account(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
) -> Result<(), StoreError> {
    let sql = "delete from routes where organization_id = $1 and account_id = $2";
    on!(session, |c| sqlx::query(sql).bind(organization).bind(account).execute(c).await.map(drop))?;
    Ok(())
}

/// One route.
pub async fn get(
    session: &mut Session,
    organization: OrganizationId,
    id: RouteId,
) -> Result<Option<Route>, StoreError> {
    let sql = "select organization_id, id, account_id, channel, address, handle, state, created_at, updated_at
               from routes where organization_id = $1 and id = $2";
    let row: Option<Row> =
        on!(session, |c| sqlx::query_as(sql).bind(organization).bind(id).fetch_optional(c).await)?;
    row.map(Route::try_from).transpose()
}

/// All routes of an organization, oldest first.
pub async fn list(
    session: &mut Session,
    organization: OrganizationId,
) -> Result<Vec<Route>, StoreError> {
    let sql = "select organization_id, id, account_id, channel, address, handle, state, created_at, updated_at
               from routes where organization_id = $1 order by id limit 1000";
    let rows: Vec<Row> =
        on!(session, |c| sqlx::query_as(sql).bind(organization).fetch_all(c).await)?;
    rows.into_iter().map(Route::try_from).collect()
}

/// All routes of an account, oldest first.
pub async fn list_of_account(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
) -> Result<Vec<Route>, StoreError> {
    let sql = "select organization_id, id, account_id, channel, address, handle, state, created_at, updated_at
               from routes where organization_id = $1 and account_id = $2 order by id";
    let rows: Vec<Row> = on!(session, |c| {
        sqlx::query_as(sql).bind(organization).bind(account).fetch_all(c).await
    })?;
    rows.into_iter().map(Route::try_from).collect()
}

/// All routes of all organizations, for the directory.
pub async fn list_all(session: &mut Session) -> Result<Vec<Route>, StoreError> {
    let sql = "select organization_id, id, account_id, channel, address, handle, state, created_at, updated_at
               from routes /* every organization: the directory */";
    let rows: Vec<Row> = on!(session, |c| sqlx::query_as(sql).fetch_all(c).await)?;
    rows.into_iter().map(Route::try_from).collect()
}

/// The route that carries what an organization sends on a channel.
pub async fn active(
    session: &mut Session,
    organization: OrganizationId,
    channel: providers::Channel,
) -> Result<Option<Route>, StoreError> {
    let sql = "select organization_id, id, account_id, channel, address, handle, state, created_at, updated_at
               from routes where organization_id = $1 and channel = $2 and state = 'active'";
    let row: Option<Row> = on!(session, |c| {
        sqlx::query_as(sql).bind(organization).bind(channel.word()).fetch_optional(c).await
    })?;
    row.map(Route::try_from).transpose()
}
