//! A message's status, as sending moves it: forward in the order of ranks, and by name where it is reopened.

use providers::DeliveryStatus;
use serde_json::{Value, json};
use sqlx::types::Json;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::{MessageId, OrganizationId};
use crate::store::bulk::{Column, Rows};
use crate::store::events::Outbox;
use crate::store::messages::RANK_OF_STATUS;
use crate::store::session::on;
use crate::store::{Session, StoreError};

/// How far a message has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Move {
    pub(super) message: MessageId,
    /// With which attempt; 0 before the first.
    pub(super) attempt: i64,
    pub(super) status: DeliveryStatus,
    pub(super) at: Timestamp,
}

/// Writes the statuses into the histories and moves messages forward, never back.
pub(super) async fn advance(
    session: &mut Session,
    outbox: &mut Outbox,
    organization: OrganizationId,
    moves: &[Move],
    failure: Option<&Value>,
) -> Result<(), StoreError> {
    let detail = failure.map(|failure| json!({ "failure": failure }));
    Rows::new()
        .column("organization_id", Column::Uuid(vec![organization.0; moves.len()]))
        .column("message_id", Column::Uuid(moves.iter().map(|m| m.message.0).collect()))
        .column("status", Column::Text(moves.iter().map(|m| m.status.word()).collect()))
        .column("recipient", Column::Text(vec![""; moves.len()]))
        .column("attempt", Column::Int(moves.iter().map(|m| m.attempt).collect()))
        .column("detail", Column::Json(vec![detail.as_ref().map(Json); moves.len()]))
        .column("at", Column::Time(moves.iter().map(|m| m.at).collect()))
        .column("received_at", Column::Time(moves.iter().map(|m| m.at).collect()))
        .insert(session, "message_statuses", "on conflict do nothing")
        .await?;
    let statement = format!(
        "update messages set status = k.st, processed_at = k.at from k
         where messages.organization_id = k.o and messages.id = k.i and {RANK_OF_STATUS} < k.rk
         returning id, status"
    );
    let advanced: Vec<(Uuid, String)> = Rows::new()
        .column("o", Column::Uuid(vec![organization.0; moves.len()]))
        .column("i", Column::Uuid(moves.iter().map(|m| m.message.0).collect()))
        .column("st", Column::Text(moves.iter().map(|m| m.status.word()).collect()))
        .column("rk", Column::Int(moves.iter().map(|m| i64::from(m.status.rank())).collect()))
        .column("at", Column::Time(moves.iter().map(|m| m.at).collect()))
        .query(session, &statement)
        .await?;
    for (id, status) in advanced {
        let mut data = json!({ "status": status });
        if let Some(failure) = failure {
            data["failure"] = failure.clone();
            show_failure(session, organization, id, failure).await?;
        }
        outbox.push(organization, "message.status", id, Some(data));
    }
    Ok(())
}

/// Sets a message's status whatever it was, unless it has arrived: it failed after it had been taken, and is given up, sent
/// again, or in doubt.
pub(super) async fn reopen(
    session: &mut Session,
    organization: OrganizationId,
    message: Uuid,
    status: DeliveryStatus,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql =
        "update messages set status = $3, processed_at = $4 where organization_id = $1 and id = $2
               and status not in ('delivered', 'read', 'played')";
    on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(message).bind(status.word());
        query.bind(now).execute(c).await.map(drop)
    })?;
    Ok(())
}

/// Shows on the timeline why a message failed.
pub(super) async fn show_failure(
    session: &mut Session,
    organization: OrganizationId,
    message: Uuid,
    failure: &Value,
) -> Result<(), StoreError> {
    let sql =
        session.locking("select metadata from messages where organization_id = $1 and id = $2");
    let read = sqlx::AssertSqlSafe(sql);
    let write = "update messages set metadata = $3 where organization_id = $1 and id = $2";
    on!(session, |c| {
        let found: Option<Option<Json<Value>>> = sqlx::query_scalar(read)
            .bind(organization)
            .bind(message)
            .fetch_optional(&mut *c)
            .await?;
        let mut metadata = found.flatten().map_or_else(|| json!({}), |Json(value)| value);
        metadata["failure"] = failure.clone();
        let query = sqlx::query(write).bind(organization).bind(message).bind(Json(metadata));
        query.execute(c).await.map(drop)
    })?;
    Ok(())
}
