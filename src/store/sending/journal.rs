//! `send_attempts`: what was tried. A row is written before a request leaves.

use chrono::TimeDelta;
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::ids;
use crate::model::{AccountId, ClaimId, MessageId, OrganizationId};
use crate::store::bulk::{Column, Rows};
use crate::store::session::on;
use crate::store::{Session, StoreError};

/// Who is about to send.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// The claim under which the messages are held.
    pub claim: ClaimId,
    /// The account.
    pub account_id: AccountId,
    /// Its provider.
    pub provider: &'a str,
    /// The line that sends.
    pub our_address: &'a str,
}

/// An attempt as the journal holds it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Attempt {
    /// Which, from 1.
    pub attempt: i64,
    /// The account.
    pub account_id: AccountId,
    /// Its provider.
    pub provider: String,
    /// The line that sent.
    pub our_address: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: Option<String>,
    /// The provider's error code.
    pub code: Option<String>,
    /// What went wrong.
    pub detail: Option<String>,
    /// The requests and their answers, without credentials.
    pub exchanges: Option<Json<Value>>,
    /// What a status told of it after it had been taken, if it failed then: `{at, failure, then, next_attempt_at}`.
    pub failed_later: Option<Json<Value>>,
}

/// Opens an attempt for each of these messages that is still held under the claim. Returns them with the numbers of their
/// attempts; what is not returned was taken over and must not be sent.
pub async fn open(
    session: &mut Session,
    organization: OrganizationId,
    opening: &Opening<'_>,
    messages: &[MessageId],
    now: Timestamp,
) -> Result<Vec<(MessageId, i64)>, StoreError> {
    let held: Vec<(MessageId, i64)> = Rows::new()
        .column("o", Column::Uuid(vec![organization.0; messages.len()]))
        .column("i", Column::Uuid(messages.iter().map(|id| id.0).collect()))
        .column("cl", Column::Uuid(vec![opening.claim.claim; messages.len()]))
        .query(
            session,
            "update outbound set attempts = attempts + 1 from k
             where outbound.organization_id = k.o and outbound.message_id = k.i
             and outbound.state = 'claimed' and outbound.claim_id = k.cl
             returning message_id, attempts",
        )
        .await?;
    Rows::new()
        .column("organization_id", Column::Uuid(vec![organization.0; held.len()]))
        .column("message_id", Column::Uuid(held.iter().map(|(id, _)| id.0).collect()))
        .column("attempt", Column::Int(held.iter().map(|(_, attempt)| *attempt).collect()))
        .column("account_id", Column::Uuid(vec![opening.account_id.0; held.len()]))
        .column("provider", Column::Text(vec![opening.provider; held.len()]))
        .column("our_address", Column::Text(vec![opening.our_address; held.len()]))
        .column("started_at", Column::Time(vec![now; held.len()]))
        .insert(session, "send_attempts", "")
        .await?;
    Ok(held)
}

/// All attempts for a message, in order.
pub async fn list(
    session: &mut Session,
    organization: OrganizationId,
    message: MessageId,
) -> Result<Vec<Attempt>, StoreError> {
    let sql =
        "select attempt, account_id, provider, our_address, started_at, finished_at, outcome, code,
               detail, exchanges, failed_later from send_attempts
               where organization_id = $1 and message_id = $2 order by attempt";
    Ok(on!(session, |c| {
        sqlx::query_as(sql).bind(organization).bind(message).fetch_all(c).await
    })?)
}

/// How many messages of a channel were sent lately.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Rate {
    /// The channel.
    pub channel: String,
    /// In the last minute.
    pub minute: i64,
    /// In the last hour.
    pub hour: i64,
}

/// How many messages an organization sent lately. Only those are counted that were accepted at `accepted_from` or later:
/// the journal is in the order of its messages, and need not be read as a whole.
pub async fn rates(
    session: &mut Session,
    organization: OrganizationId,
    accepted_from: Timestamp,
    now: Timestamp,
) -> Result<Vec<Rate>, StoreError> {
    let sql =
        "select o.channel, count(*) filter (where a.finished_at > $3) as minute, count(*) as hour
               from send_attempts a join outbound o
               on o.organization_id = a.organization_id and o.message_id = a.message_id
               where a.organization_id = $1 and a.message_id >= $2 and a.outcome = 'sent'
               and a.finished_at > $4 group by o.channel";
    let (minute, hour) = (now - TimeDelta::minutes(1), now - TimeDelta::hours(1));
    Ok(on!(session, |c| {
        let query = sqlx::query_as(sql).bind(organization).bind(ids::first_at(accepted_from));
        query.bind(minute).bind(hour).fetch_all(c).await
    })?)
}

/// When the last attempt for a message began, and through which account and line.
pub async fn last(
    session: &mut Session,
    organization: OrganizationId,
    message: Uuid,
) -> Result<Option<Attempt>, StoreError> {
    let sql =
        "select attempt, account_id, provider, our_address, started_at, finished_at, outcome, code,
               detail, exchanges, failed_later from send_attempts
               where organization_id = $1 and message_id = $2 order by attempt desc limit 1";
    Ok(on!(session, |c| {
        sqlx::query_as(sql).bind(organization).bind(message).fetch_optional(c).await
    })?)
}
