//! `organizations` and `organization_keys`: tenants, and the keys that seal their credentials.

use super::events::create_head;
use super::session::on;
use super::{Session, StoreError};
use crate::clock::Timestamp;
use crate::model::{Organization, OrganizationId};
use crate::vault::MasterKeyId;

type Found = (OrganizationId, String, String, Option<String>, Timestamp);

fn organization_of(row: Found) -> Organization {
    let (id, name, plan_tier, default_country, created_at) = row;
    Organization { id, name, plan_tier, default_country, created_at }
}

/// A wrapped data key.
#[derive(Debug, Clone)]
pub struct WrappedKey {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The master key that wraps it.
    pub master_key_id: MasterKeyId,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
}

/// Writes a new organization with its event head. Needs the owner's rights.
pub async fn insert(session: &mut Session, organization: &Organization) -> Result<(), StoreError> {
    let sql = "insert into organizations (id, name, plan_tier, default_country, created_at)
               values ($1, $2, $3, $4, $5) /* organization_id is id here */";
    on!(session, |c| {
        let query = sqlx::query(sql).bind(organization.id).bind(&organization.name);
        let query = query.bind(&organization.plan_tier).bind(&organization.default_country);
        query.bind(organization.created_at).execute(c).await.map(drop)
    })?;
    create_head(session, organization.id).await
}

/// One organization.
pub async fn get(
    session: &mut Session,
    id: OrganizationId,
) -> Result<Option<Organization>, StoreError> {
    let sql = "select id, name, plan_tier, default_country, created_at from organizations
               where id = $1 /* organization_id is id here */";
    let row: Option<Found> =
        on!(session, |c| sqlx::query_as(sql).bind(id).fetch_optional(c).await)?;
    Ok(row.map(organization_of))
}

/// All organizations, oldest first.
pub async fn list(session: &mut Session) -> Result<Vec<Organization>, StoreError> {
    let sql = "select id, name, plan_tier, default_country, created_at from organizations
               order by id /* every organization: for the operator and for sweeps */";
    let rows: Vec<Found> = on!(session, |c| sqlx::query_as(sql).fetch_all(c).await)?;
    Ok(rows.into_iter().map(organization_of).collect())
}

/// Writes an organization's data key. Its first key only: a second is refused as a duplicate.
pub async fn insert_key(
    session: &mut Session,
    key: &WrappedKey,
    now: Timestamp,
) -> Result<(), StoreError> {
    // One key an organization: its id is the organization's.
    let sql =
        "insert into organization_keys (organization_id, id, master_key_id, wrapped, created_at)
               values ($1, $1, $2, $3, $4)";
    on!(session, |c| {
        let query = sqlx::query(sql).bind(key.organization_id).bind(&key.master_key_id.0);
        query.bind(&key.wrapped).bind(now).execute(c).await.map(drop)
    })?;
    Ok(())
}

/// An organization's data key, still wrapped.
pub async fn key(
    session: &mut Session,
    organization: OrganizationId,
) -> Result<Option<WrappedKey>, StoreError> {
    let sql = "select master_key_id, wrapped from organization_keys where organization_id = $1";
    let row: Option<(String, Vec<u8>)> =
        on!(session, |c| sqlx::query_as(sql).bind(organization).fetch_optional(c).await)?;
    Ok(row.map(|(id, wrapped)| WrappedKey {
        organization_id: organization,
        master_key_id: MasterKeyId(id),
        wrapped,
    }))
}

/// All data keys, still wrapped.
pub async fn keys(session: &mut Session) -> Result<Vec<WrappedKey>, StoreError> {
    let sql = "select organization_id, master_key_id, wrapped from organization_keys
               /* every organization: re-wrapping and the directory */";
    let rows: Vec<(OrganizationId, String, Vec<u8>)> =
        on!(session, |c| sqlx::query_as(sql).fetch_all(c).await)?;
    let key = |(organization_id, id, wrapped)| WrappedKey {
        organization_id,
        master_key_id: MasterKeyId(id),
        wrapped,
    };
    Ok(rows.into_iter().map(key).collect())
}

/// Replaces a data key's wrapping.
pub async fn rewrap(session: &mut Session, key: &WrappedKey) -> Result<(), StoreError> {
    let sql = "update organization_keys set master_key_id = $2, wrapped = $3
               where organization_id = $1";
    on!(session, |c| {
        let query = sqlx::query(sql).bind(key.organization_id).bind(&key.master_key_id.0);
        query.bind(&key.wrapped).execute(c).await.map(drop)
    })?;
    Ok(())
}

/// The version of what processes hold in memory: it grows whenever accounts, routes or keys change.
pub async fn directory_version(session: &mut Session) -> Result<i64, StoreError> {
    let sql = "select version from directory /* every organization: one counter for all */";
    Ok(on!(session, |c| sqlx::query_scalar(sql).fetch_one(c).await)?)
}

/// Tells all processes that accounts, routes or keys changed.
pub async fn bump_directory(session: &mut Session) -> Result<(), StoreError> {
    let sql =
        "update directory set version = version + 1 /* every organization: one counter for all */";
    on!(session, |c| sqlx::query(sql).execute(c).await.map(drop))?;
    Ok(())
}
