//! `api_keys`: who may call the API. Only a hash of each key is kept.

use super::bulk::{Column, Rows};
use super::session::on;
use super::{Session, StoreError};
use crate::clock::Timestamp;
use crate::model::{ApiKey, ApiKeyId, OrganizationId, Scope};

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: ApiKeyId,
    name: String,
    prefix: String,
    scopes: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

impl From<Row> for ApiKey {
    fn from(row: Row) -> Self {
        ApiKey {
            id: row.id,
            name: row.name,
            prefix: row.prefix,
            scopes: scopes_of(&row.scopes),
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
        }
    }
}

/// A key found by its secret.
#[derive(Debug, Clone)]
pub struct FoundKey {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Its id.
    pub id: ApiKeyId,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
}

/// Words we no longer know grant nothing.
fn scopes_of(text: &str) -> Vec<Scope> {
    text.split(' ').filter_map(Scope::from_word).collect()
}

/// Writes a new key.
pub async fn insert(
    session: &mut Session,
    organization: OrganizationId,
    key: &ApiKey,
    secret_hash: &[u8; 32],
) -> Result<(), StoreError> {
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.word()).collect();
    let scopes = scopes.join(" ");
    let sql =
        "insert into api_keys (organization_id, id, name, prefix, secret_hash, scopes, created_at,
               expires_at) values ($1, $2, $3, $4, $5, $6, $7, $8)";
    on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(key.id).bind(&key.name);
        let query = query.bind(&key.prefix).bind(&secret_hash[..]).bind(&scopes);
        query.bind(key.created_at).bind(key.expires_at).execute(c).await.map(drop)
    })?;
    Ok(())
}

/// All keys of an organization, newest first, revoked ones too.
pub async fn list(
    session: &mut Session,
    organization: OrganizationId,
) -> Result<Vec<ApiKey>, StoreError> {
    let sql = "select id, name, prefix, scopes, created_at, expires_at, last_used_at, revoked_at
               from api_keys where organization_id = $1 order by id desc limit 1000";
    let rows: Vec<Row> =
        on!(session, |c| sqlx::query_as(sql).bind(organization).fetch_all(c).await)?;
    Ok(rows.into_iter().map(ApiKey::from).collect())
}

/// What a key may do; `None` if there is no such key.
pub async fn scopes(
    session: &mut Session,
    organization: OrganizationId,
    id: ApiKeyId,
) -> Result<Option<Vec<Scope>>, StoreError> {
    let sql = "select scopes from api_keys where organization_id = $1 and id = $2";
    let found: Option<String> = on!(session, |c| {
        sqlx::query_scalar(sql).bind(organization).bind(id).fetch_optional(c).await
    })?;
    Ok(found.as_deref().map(scopes_of))
}

/// Takes a key back. `false` if there is no such key, or it was taken back before.
pub async fn revoke(
    session: &mut Session,
    organization: OrganizationId,
    id: ApiKeyId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "update api_keys set revoked_at = $3
               where organization_id = $1 and id = $2 and revoked_at is null";
    let done = on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(id).bind(now);
        query.execute(c).await.map(|done| done.rows_affected())
    })?;
    Ok(done > 0)
}

/// The key of that secret, unless it was revoked: the one look-up that does not know its organization yet.
pub async fn find_by_hash(
    session: &mut Session,
    secret_hash: &[u8; 32],
) -> Result<Option<FoundKey>, StoreError> {
    let sql = "select organization_id, id, scopes, expires_at from api_keys
               where secret_hash = $1 and revoked_at is null /* every organization: authentication */";
    let row: Option<(OrganizationId, ApiKeyId, String, Option<Timestamp>)> =
        on!(session, |c| sqlx::query_as(sql).bind(&secret_hash[..]).fetch_optional(c).await)?;
    Ok(row.map(|(organization_id, id, scopes, expires_at)| FoundKey {
        organization_id,
        id,
        scopes: scopes_of(&scopes),
        expires_at,
    }))
}

/// Notes when keys were last used.
pub async fn touch(
    session: &mut Session,
    used: &[((OrganizationId, ApiKeyId), Timestamp)],
) -> Result<(), StoreError> {
    Rows::new()
        .column(
            "o",
            Column::Uuid(used.iter().map(|((organization, _), _)| organization.0).collect()),
        )
        .column("i", Column::Uuid(used.iter().map(|((_, id), _)| id.0).collect()))
        .column("at", Column::Time(used.iter().map(|(_, at)| *at).collect()))
        .execute(
            session,
            "update api_keys set last_used_at = k.at from k
             where api_keys.organization_id = k.o and api_keys.id = k.i",
        )
        .await
}
