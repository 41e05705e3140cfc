//! `gateway_keys`: secrets of the gateway itself, wrapped by the master key.

use super::session::on;
use super::{Session, StoreError};
use crate::clock::Timestamp;
use crate::vault::MasterKeyId;

/// A wrapped key of the gateway's own.
#[derive(Debug, Clone)]
pub struct GatewayKey {
    /// The master key that wraps it.
    pub master_key_id: MasterKeyId,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
}

/// The key of that name, still wrapped.
pub async fn get(session: &mut Session, name: &str) -> Result<Option<GatewayKey>, StoreError> {
    let sql = "select master_key_id, wrapped from gateway_keys where name = $1
               /* every organization: the gateway's own */";
    let row: Option<(String, Vec<u8>)> =
        on!(session, |c| sqlx::query_as(sql).bind(name).fetch_optional(c).await)?;
    Ok(row.map(|(id, wrapped)| GatewayKey { master_key_id: MasterKeyId(id), wrapped }))
}

/// Writes a key, unless there is one of that name: of two processes that make it at once, one's counts. Needs the owner's
/// rights.
pub async fn insert(
    session: &mut Session,
    name: &str,
    key: &GatewayKey,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "insert into gateway_keys (name, master_key_id, wrapped, created_at) values ($1, $2, $3, $4)
               on conflict (name) do nothing /* every organization: the gateway's own */";
    on!(session, |c| {
        let query = sqlx::query(sql).bind(name).bind(&key.master_key_id.0);
        query.bind(&key.wrapped).bind(now).execute(c).await.map(drop)
    })?;
    Ok(())
}

/// Replaces a key's wrapping. Needs the owner's rights.
pub async fn rewrap(session: &mut Session, name: &str, key: &GatewayKey) -> Result<(), StoreError> {
    let sql = "update gateway_keys set master_key_id = $2, wrapped = $3 where name = $1
               /* every organization: the gateway's own */";
    on!(session, |c| {
        let query = sqlx::query(sql).bind(name).bind(&key.master_key_id.0);
        query.bind(&key.wrapped).execute(c).await.map(drop)
    })?;
    Ok(())
}
