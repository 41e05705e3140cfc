//! `unread_messages`: messages of which not all could be read, and the kept request that each came in.

use uuid::Uuid;

use super::session::on;
use super::{Session, StoreError};
use crate::clock::Timestamp;
use crate::ids;
use crate::model::{InboxId, OrganizationId};

/// Which requests to read again.
#[derive(Debug, Clone, Default)]
pub struct UnreadFilter {
    /// Of this provider.
    pub provider: Option<String>,
    /// That came at this time or later.
    pub from: Option<Timestamp>,
    /// That came before this time.
    pub until: Option<Timestamp>,
}

/// A request that brought such messages.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct UnreadRequest {
    /// Whose it is.
    pub inbox_organization_id: OrganizationId,
    /// Its id.
    pub inbox_id: InboxId,
    /// The provider's word.
    pub provider: String,
}

/// Requests with such messages of the organization's; the platform's are those that it keeps. First those that were read again
/// least often, and of these the oldest.
pub async fn requests(
    session: &mut Session,
    organization: OrganizationId,
    filter: &UnreadFilter,
    limit: i64,
) -> Result<Vec<UnreadRequest>, StoreError> {
    let sql =
        "select inbox_organization_id, inbox_id, min(provider) as provider from unread_messages
               where (organization_id = $1 or inbox_organization_id = $1)
               and ($2 is null or provider = $2) and inbox_id >= $3 and inbox_id < $4
               group by inbox_organization_id, inbox_id order by max(attempts), inbox_id limit $5";
    let first = ids::first_at(filter.from.unwrap_or(Timestamp::UNIX_EPOCH));
    let end = filter.until.map_or(Uuid::max(), ids::first_at);
    Ok(on!(session, |c| {
        let query = sqlx::query_as(sql).bind(organization).bind(&filter.provider);
        query.bind(first).bind(end).bind(limit).fetch_all(c).await
    })?)
}

/// Notes that a request was read again, and returns how many of its messages are still unread: of the organization's; the
/// platform's are all.
pub async fn tried(
    session: &mut Session,
    organization: OrganizationId,
    request: &UnreadRequest,
) -> Result<u64, StoreError> {
    let sql = "update unread_messages set attempts = attempts + 1
               where inbox_id = $2 and inbox_organization_id = $3
               and (organization_id = $1 or inbox_organization_id = $1)";
    Ok(on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(request.inbox_id);
        let query = query.bind(request.inbox_organization_id);
        query.execute(c).await.map(|done| done.rows_affected())
    })?)
}
