//! `accounts`: accounts at providers, their credentials sealed.

use std::collections::BTreeMap;

use sqlx::types::Json;

use super::session::on;
use super::{Session, StoreError};
use crate::clock::Timestamp;
use crate::model::{Account, AccountId, OrganizationId};

/// An account with its sealed credentials.
#[derive(Debug, Clone)]
pub struct SealedAccount {
    /// Everything else.
    pub account: Account,
    /// The credentials, sealed by the organization's data key.
    pub sealed: Vec<u8>,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    organization_id: OrganizationId,
    id: AccountId,
    provider: String,
    name: String,
    settings: Json<BTreeMap<String, String>>,
    credential_names: String,
    sealed: Vec<u8>,
    previous_expires_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<Row> for SealedAccount {
    fn from(row: Row) -> Self {
        let Json(settings) = row.settings;
        let names = row.credential_names.split(' ').filter(|name| !name.is_empty());
        let account = Account {
            organization_id: row.organization_id,
            id: row.id,
            provider: row.provider,
            name: row.name,
            settings,
            credentials: names.map(ToOwned::to_owned).collect(),
            previous_expires_at: row.previous_expires_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        SealedAccount { account, sealed: row.sealed }
    }
}

/// Writes a new account.
pub async fn insert(session: &mut Session, sealed: &SealedAccount) -> Result<(), StoreError> {
    let SealedAccount { account, sealed } = sealed;
    let names = account.credentials.join(" ");
    let sql =
        "insert into accounts (organization_id, id, provider, name, settings, credential_names,
               sealed, previous_expires_at, created_at, updated_at)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    on!(session, |c| {
        let query = sqlx::query(sql).bind(account.organization_id).bind(account.id);
        let query = query.bind(&account.provider).bind(&account.name).bind(Json(&account.settings));
        let query = query.bind(&names).bind(sealed).bind(account.previous_expires_at);
        query.bind(account.created_at).bind(account.updated_at).execute(c).await.map(drop)
    })?;
    Ok(())
}

/// Writes a known account anew.
pub async fn update(session: &mut Session, sealed: &SealedAccount) -> Result<(), StoreError> {
    let SealedAccount { account, sealed } = sealed;
    let names = account.credentials.join(" ");
    let sql = "update accounts set name = $3, settings = $4, credential_names = $5, sealed = $6,
               previous_expires_at = $7, updated_at = $8
               where organization_id = $1 and id = $2 and deleted_at is null";
    on!(session, |c| {
        let query = sqlx::query(sql).bind(account.organization_id).bind(account.id);
        let query = query.bind(&account.name).bind(Json(&account.settings)).bind(&names);
        let query = query.bind(sealed).bind(account.previous_expires_at).bind(account.updated_at);
        query.execute(c).await.map(drop)
    })?;
    Ok(())
}

/// Tells all processes that an account or its routes changed. Nobody else changes the directory until the session ends.
pub async fn changed(
    session: &mut Session,
    organization: OrganizationId,
    id: AccountId,
) -> Result<(), StoreError> {
    super::organizations::bump_directory(session).await?;
    let sql = "update accounts set changed_in = (select version from directory)
               where organization_id = $1 and id = $2";
    on!(session, |c| sqlx::query(sql).bind(organization).bind(id).execute(c).await.map(drop))?;
    Ok(())
}

/// The accounts that changed after that version of the directory, deleted ones too, `limit` at most.
pub async fn changed_since(
    session: &mut Session,
    version: i64,
    limit: i64,
) -> Result<Vec<(OrganizationId, AccountId)>, StoreError> {
    let sql = "select organization_id, id from accounts where changed_in > $1 limit $2
               /* every organization: the directory */";
    Ok(on!(session, |c| sqlx::query_as(sql).bind(version).bind(limit).fetch_all(c).await)?)
}

/// Deletes an account: its credentials are gone, its row stays for the history that names it.
pub async fn delete(
    session: &mut Session,
    organization: OrganizationId,
    id: AccountId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql =
        "update accounts set sealed = $3, credential_names = '', deleted_at = $4, updated_at = $4
               where organization_id = $1 and id = $2 and deleted_at is null";
    let done = on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(id).bind(&b""[..]).bind(now);
        query.execute(c).await.map(|done| done.rows_affected())
    })?;
    Ok(done > 0)
}

/// One account.
pub async fn get(
    session: &mut Session,
    organization: OrganizationId,
    id: AccountId,
) -> Result<Option<SealedAccount>, StoreError> {
    let sql = "select organization_id, id, provider, name, settings, credential_names, sealed,
               previous_expires_at, created_at, updated_at from accounts
               where organization_id = $1 and id = $2 and deleted_at is null";
    let row: Option<Row> =
        on!(session, |c| sqlx::query_as(sql).bind(organization).bind(id).fetch_optional(c).await)?;
    Ok(row.map(SealedAccount::from))
}

/// Whose an account is, or was before it was deleted.
pub async fn owner(
    session: &mut Session,
    id: AccountId,
) -> Result<Option<OrganizationId>, StoreError> {
    let sql = "select organization_id from accounts where id = $1
               /* every organization: who may read what the account received */";
    Ok(on!(session, |c| sqlx::query_scalar(sql).bind(id).fetch_optional(c).await)?)
}

/// All accounts of an organization, oldest first.
pub async fn list(
    session: &mut Session,
    organization: OrganizationId,
) -> Result<Vec<SealedAccount>, StoreError> {
    let sql = "select organization_id, id, provider, name, settings, credential_names, sealed,
               previous_expires_at, created_at, updated_at from accounts
               where organization_id = $1 and deleted_at is null order by id limit 1000";
    let rows: Vec<Row> =
        on!(session, |c| sqlx::query_as(sql).bind(organization).fetch_all(c).await)?;
    Ok(rows.into_iter().map(SealedAccount::from).collect())
}

/// All accounts of all organizations, for the directory.
pub async fn list_all(session: &mut Session) -> Result<Vec<SealedAccount>, StoreError> {
    let sql = "select organization_id, id, provider, name, settings, credential_names, sealed,
               previous_expires_at, created_at, updated_at from accounts
               where deleted_at is null order by id /* every organization: the directory */";
    let rows: Vec<Row> = on!(session, |c| sqlx::query_as(sql).fetch_all(c).await)?;
    Ok(rows.into_iter().map(SealedAccount::from).collect())
}
