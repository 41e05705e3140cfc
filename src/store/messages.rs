//! `messages` and what hangs on them: how a provider's id becomes a reference, and what a message's id leads to.

use std::collections::HashSet;

use providers::{Channel, DeliveryStatus, Direction};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::types::Json;
use uuid::Uuid;

use super::bulk::{Column, Rows};
use super::session::on;
use super::timeline::Placed;
use super::{Session, StoreError, timeline, types};
use crate::clock::Timestamp;
use crate::model::{AccountId, Communication, IdentityId, MessageId, OrganizationId};

/// Which messages to list.
#[derive(Debug, Clone, Default)]
pub struct MessageFilter {
    /// On this channel.
    pub channel: Option<Channel>,
    /// In this direction.
    pub direction: Option<Direction>,
    /// In this status.
    pub status: Option<String>,
    /// With this id at the provider.
    pub provider_message_id: Option<String>,
    /// With a smaller id than this.
    pub before: Option<Uuid>,
}

impl MessageFilter {
    /// Whether many messages may have to be read to find those of a page.
    pub fn is_narrow(&self) -> bool {
        let words = self.status.is_some() || self.provider_message_id.is_some();
        words || self.channel.is_some() || self.direction.is_some()
    }
}

/// A message with its history.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageDetail {
    /// The message as it stands in the timeline.
    pub communication: Communication<'static>,
    /// The provider's ids of it.
    pub provider_message_ids: Vec<String>,
    /// Every status it went through, in the order in which they happened.
    pub statuses: Vec<StatusEntry>,
    /// Every change its author made to it.
    pub edits: Vec<EditEntry>,
}

/// A status a message went through.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusEntry {
    /// The status.
    pub status: String,
    /// Which recipient; empty where there is one.
    pub recipient: String,
    /// Which attempt to send it, from 1; 0 where that is not known.
    pub attempt: i64,
    /// Why it failed, what it cost.
    pub detail: Option<Value>,
    /// When it happened.
    pub at: Timestamp,
    /// When we were told.
    pub received_at: Timestamp,
}

/// A change of a message by its author.
#[derive(Debug, Clone, PartialEq)]
pub struct EditEntry {
    /// `edited` or `revoked`.
    pub what: String,
    /// What it said before.
    pub content_before: Option<String>,
    /// When it happened.
    pub at: Timestamp,
}

/// Messages, newest first, and where the next page begins.
pub async fn list(
    session: &mut Session,
    organization: OrganizationId,
    filter: &MessageFilter,
    limit: i64,
) -> Result<(Vec<Communication<'static>>, Option<Uuid>), StoreError> {
    let sql = "select id, id as place from messages where organization_id = $1 and id < $2
               and ($3 is null or channel = $3) and ($4 is null or direction = $4)
               and ($5 is null or status = $5) and ($6 is null or provider_message_id = $6)
               order by id desc limit $7";
    let before = filter.before.unwrap_or(Uuid::max());
    let (channel, direction) =
        (filter.channel.map(Channel::word), filter.direction.map(Direction::word));
    let found: Vec<Placed> = on!(session, |c| {
        let query = sqlx::query_as(sql).bind(organization).bind(before).bind(channel);
        let query = query.bind(direction).bind(&filter.status).bind(&filter.provider_message_id);
        query.bind(limit + 1).fetch_all(c).await
    })?;
    timeline::page_of(session, organization, found, limit).await
}

/// Whether there is a message of this id.
pub async fn exists(
    session: &mut Session,
    organization: OrganizationId,
    id: MessageId,
) -> Result<bool, StoreError> {
    let sql = "select exists (select 1 from messages where organization_id = $1 and id = $2)";
    Ok(on!(session, |c| {
        sqlx::query_scalar(sql).bind(organization).bind(id).fetch_one(c).await
    })?)
}

/// One message with its history.
pub async fn get(
    session: &mut Session,
    organization: OrganizationId,
    id: MessageId,
) -> Result<Option<MessageDetail>, StoreError> {
    let ids = "select provider_message_id from messages
               where organization_id = $1 and id = $2 and provider_message_id is not null
               union all select provider_message_id from message_refs
               where organization_id = $1 and message_id = $2";
    let statuses =
        "select status, recipient, attempt, detail, at, received_at from message_statuses
                    where organization_id = $1 and message_id = $2 order by at, received_at";
    let edits = "select what, content_before, at from message_edits
                 where organization_id = $1 and message_id = $2 order by at";
    type Status = (String, String, i64, Option<Json<Value>>, Timestamp, Timestamp);
    type Edit = (String, Option<String>, Timestamp);
    let found = timeline::by_ids(session, organization, &[id.0]).await?;
    let Some(communication) = found.into_iter().next().filter(|found| found.kind != "call") else {
        return Ok(None);
    };
    let (provider_message_ids, statuses, edits) = on!(session, |c| {
        let query = sqlx::query_scalar(ids).bind(organization).bind(id);
        let ids: Vec<String> = query.fetch_all(&mut *c).await?;
        let query = sqlx::query_as(statuses).bind(organization).bind(id);
        let statuses: Vec<Status> = query.fetch_all(&mut *c).await?;
        let query = sqlx::query_as(edits).bind(organization).bind(id);
        let edits: Vec<Edit> = query.fetch_all(c).await?;
        (ids, statuses, edits)
    });
    let status = |(status, recipient, attempt, detail, at, received_at): Status| StatusEntry {
        status,
        recipient,
        attempt,
        detail: detail.map(|Json(detail)| detail),
        at,
        received_at,
    };
    let edit = |(what, content_before, at): Edit| EditEntry { what, content_before, at };
    let mut statuses: Vec<StatusEntry> = statuses.into_iter().map(status).collect();
    // Some providers tell the time in seconds: within one, the order of news is the order of ranks.
    let rank = |status: &str| DeliveryStatus::from_word(status).map_or(-1, DeliveryStatus::rank);
    statuses.sort_by_key(|status| (status.at.timestamp(), rank(&status.status)));
    Ok(Some(MessageDetail {
        communication,
        provider_message_ids,
        statuses,
        edits: edits.into_iter().map(edit).collect(),
    }))
}

/// How far a message has come; `None` if there is no such message.
pub async fn status(
    session: &mut Session,
    organization: OrganizationId,
    id: MessageId,
) -> Result<Option<DeliveryStatus>, StoreError> {
    let sql = "select status from messages where organization_id = $1 and id = $2";
    let word: Option<String> = on!(session, |c| {
        sqlx::query_scalar(sql).bind(organization).bind(id).fetch_optional(c).await
    })?;
    word.map(|word| types::delivery_status(&word)).transpose()
}

/// How a message came to us.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Passage {
    /// `inbound` or `outbound`.
    pub direction: String,
    /// On which channel.
    pub channel: String,
    /// Through which account, if any.
    pub account_id: Option<AccountId>,
    /// The provider's id of it, if any.
    pub provider_message_id: Option<String>,
    /// Our line.
    pub our_address: Option<String>,
    /// The person at the other end, if known.
    pub identity_id: Option<IdentityId>,
}

/// How a message came to us.
pub async fn passage(
    session: &mut Session,
    organization: OrganizationId,
    id: MessageId,
) -> Result<Option<Passage>, StoreError> {
    let sql = "select direction, channel, account_id, provider_message_id, our_address, identity_id
               from messages where organization_id = $1 and id = $2";
    Ok(on!(session, |c| {
        sqlx::query_as(sql).bind(organization).bind(id).fetch_optional(c).await
    })?)
}

/// What a message (or call) is found by: the first 16 bytes of SHA-256 of the provider's word, a zero byte and the
/// provider's id. Provider ids are unique within the provider, long, and of any form; this has one length.
pub fn provider_ref(provider: &str, id: &str) -> Uuid {
    let mut digest = Sha256::new();
    digest.update(provider);
    digest.update([0]);
    digest.update(id);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.finalize()[..16]);
    Uuid::from_bytes(bytes)
}

/// The message that the provider calls so, if it is known.
pub async fn named(
    session: &mut Session,
    organization: OrganizationId,
    reference: Uuid,
) -> Result<Option<MessageId>, StoreError> {
    let sql = "select id from messages where organization_id = $1 and provider_ref = $2";
    Ok(on!(session, |c| {
        sqlx::query_scalar(sql).bind(organization).bind(reference).fetch_optional(c).await
    })?)
}

/// Which of these organizations has the message or call of that reference; `None` if none, or more than one, has it.
pub async fn owner_of(
    session: &mut Session,
    organizations: &[OrganizationId],
    reference: Uuid,
) -> Result<Option<OrganizationId>, StoreError> {
    let wanted: Vec<_> = organizations.iter().map(|id| (*id, reference)).collect();
    let found = known(session, &wanted).await?;
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some((only, _)), None) => Ok(Some(only)),
        _ => Ok(None),
    }
}

/// Those of these messages and calls, named by their organization and reference, that the organization has.
pub async fn known(
    session: &mut Session,
    wanted: &[(OrganizationId, Uuid)],
) -> Result<HashSet<(OrganizationId, Uuid)>, StoreError> {
    let found: Vec<(OrganizationId, Uuid)> = Rows::new()
        .column("o", Column::Uuid(wanted.iter().map(|(organization, _)| organization.0).collect()))
        .column("r", Column::Uuid(wanted.iter().map(|(_, reference)| *reference).collect()))
        .query(
            session,
            "select m.organization_id, m.provider_ref from k join messages m
             on m.organization_id = k.o and m.provider_ref = k.r
             union
             select m.organization_id, m.provider_ref from k join message_refs m
             on m.organization_id = k.o and m.provider_ref = k.r
             union
             select c.organization_id, c.provider_ref from k join call_logs c
             on c.organization_id = k.o and c.provider_ref = k.r",
        )
        .await?;
    Ok(found.into_iter().collect())
}

/// A message's status as a number, in SQL: [`providers::DeliveryStatus::rank`].
pub(super) const RANK_OF_STATUS: &str = "(case messages.status
    when 'queued' then 0 when 'sending' then 1 when 'unknown' then 2 when 'canceled' then 3 when 'received' then 4
    when 'sent' then 5 when 'failed' then 6 when 'delivered' then 7 when 'read' then 8 when 'played' then 9
    else -1 end)";

#[cfg(test)]
mod tests {
    use super::DeliveryStatus;

    #[test]
    fn the_rank_in_sql_is_the_rank_in_code() {
        for status in DeliveryStatus::ALL {
            let case = format!("when '{}' then {} ", status.word(), status.rank());
            let sql = super::RANK_OF_STATUS.replace('\n', " ");
            assert!(sql.contains(&case), "{case}");
        }
    }
}
