//! Statuses of messages: their history, and how far they move a message.
//!
//! A status moves a message forward, never back, and is written once for each message, attempt and status. A failure of a
//! message of ours that was taken moves nothing by itself: the verdict on it does, which is the same as on a refusal.

use std::collections::{HashMap, HashSet};

use providers::DeliveryStatus;
use serde_json::{Map, Value, json};
use sqlx::types::Json;
use uuid::Uuid;

use super::changes::{Change, Pending};
use super::places::Attempt;
use super::writer::Writer;
use super::{edits, outgoing};
use crate::clock::Timestamp;
use crate::model::OrganizationId;
use crate::store::bulk::{Column, Rows};
use crate::store::messages::RANK_OF_STATUS;
use crate::store::sending::failed::{self, FailedLater, Standing};
use crate::store::{StoreError, types};

/// A status that was not known before.
#[derive(Debug, Clone, Copy)]
pub(super) struct News<'a> {
    pub(super) organization: OrganizationId,
    pub(super) message: Uuid,
    pub(super) status: DeliveryStatus,
    pub(super) attempt: Attempt,
    recipient: &'a str,
    detail: Option<&'a Value>,
    at: Timestamp,
}

/// What tells statuses of one message apart.
type Key = (Uuid, String, String, i64);

/// Writes the history, and moves each message's status forward, never back.
pub(super) async fn apply(writer: &mut Writer<'_>, found: &[Pending]) -> Result<(), StoreError> {
    let statuses: Vec<(&Pending, News<'_>)> = found
        .iter()
        .filter_map(|pending| news_of(pending).transpose())
        .collect::<Result<_, _>>()?;
    let mut new = write_history(writer, &statuses).await?;
    let mut furthest: HashMap<(OrganizationId, Uuid), News<'_>> = HashMap::new();
    let mut failures: Vec<News<'_>> = Vec::new();
    for (pending, news) in statuses {
        let key = (
            news.message,
            news.status.word().to_owned(),
            news.recipient.to_owned(),
            news.attempt.number,
        );
        let is_new = new.remove(&key);
        writer.count_pending(pending, is_new);
        if !is_new {
            continue;
        }
        if news.status == DeliveryStatus::Failed && news.attempt.state.is_some() {
            failures.push(news);
            continue;
        }
        let entry = furthest.entry((news.organization, news.message)).or_insert(news);
        if news.status > entry.status {
            *entry = news;
        }
    }
    let furthest: Vec<News<'_>> = furthest.into_values().collect();
    advance(writer, &furthest).await?;
    outgoing::tell(writer, &furthest).await?;
    for news in failures {
        let failed = FailedLater {
            organization: news.organization,
            message: news.message,
            attempt: news.attempt.number,
            whole: news.attempt.whole && news.recipient.is_empty(),
            failure: failed::failure_in(news.detail),
            at: news.at,
        };
        let (session, outbox) = (&mut writer.session, &mut writer.outbox);
        failed::judge(session, outbox, &failed, Standing::Taken, writer.now).await?;
        // What the failure means is shown by its verdict; what it cost is shown all the same.
        let mut cost = news.detail.and_then(Value::as_object).cloned().unwrap_or_default();
        cost.remove("failure");
        if !cost.is_empty() {
            edits::merge_metadata(writer, news.organization, news.message, &cost).await?;
        }
    }
    Ok(())
}

fn news_of(pending: &Pending) -> Result<Option<(&Pending, News<'_>)>, StoreError> {
    let (Change::Status { status, recipient, detail, .. }, Some(message)) =
        (&pending.change, pending.message)
    else {
        return Ok(None);
    };
    let news = News {
        organization: pending.organization_id,
        message,
        status: types::delivery_status(status)?,
        attempt: pending.attempt,
        recipient,
        detail: detail.as_ref(),
        at: pending.at,
    };
    Ok(Some((pending, news)))
}

/// Writes the statuses into the histories. Returns those that were not there.
async fn write_history(
    writer: &mut Writer<'_>,
    statuses: &[(&Pending, News<'_>)],
) -> Result<HashSet<Key>, StoreError> {
    let all = || statuses.iter().map(|(_, news)| news);
    let new: Vec<Key> = Rows::new()
        .column("organization_id", Column::Uuid(all().map(|s| s.organization.0).collect()))
        .column("message_id", Column::Uuid(all().map(|s| s.message).collect()))
        .column("status", Column::Text(all().map(|s| s.status.word()).collect()))
        .column("recipient", Column::Text(all().map(|s| s.recipient).collect()))
        .column("attempt", Column::Int(all().map(|s| s.attempt.number).collect()))
        .column("detail", Column::Json(all().map(|s| s.detail.map(Json)).collect()))
        .column("at", Column::Time(all().map(|s| s.at).collect()))
        .column("received_at", Column::Time(vec![writer.now; statuses.len()]))
        .insert_returning(
            &mut writer.session,
            "message_statuses",
            "on conflict do nothing returning message_id, status, recipient, attempt",
        )
        .await?;
    Ok(new.into_iter().collect())
}

/// Moves messages forward. News of an attempt that has failed, or that is not the last one, moves nothing unless the message
/// arrived.
async fn advance(writer: &mut Writer<'_>, furthest: &[News<'_>]) -> Result<(), StoreError> {
    let moves = |news: &&News<'_>| {
        news.status >= DeliveryStatus::Delivered || news.attempt.number == news.attempt.last
    };
    let rows: Vec<&News<'_>> = furthest.iter().filter(moves).collect();
    let failed = DeliveryStatus::Failed.rank();
    let statement = format!(
        "update messages set status = k.st, processed_at = k.now from k
         where messages.organization_id = k.o and messages.id = k.i and {RANK_OF_STATUS} < k.rk
         and (k.rk >= {failed} or not exists (
             select 1 from message_statuses f where f.organization_id = k.o and f.message_id = k.i
             and f.status = 'failed' and f.recipient = '' and f.attempt = k.n))
         returning organization_id, id"
    );
    let advanced: Vec<(OrganizationId, Uuid)> = Rows::new()
        .column("o", Column::Uuid(rows.iter().map(|n| n.organization.0).collect()))
        .column("i", Column::Uuid(rows.iter().map(|n| n.message).collect()))
        .column("st", Column::Text(rows.iter().map(|n| n.status.word()).collect()))
        .column("rk", Column::Int(rows.iter().map(|n| i64::from(n.status.rank())).collect()))
        .column("n", Column::Int(rows.iter().map(|n| n.attempt.number).collect()))
        .column("now", Column::Time(vec![writer.now; rows.len()]))
        .query(&mut writer.session, &statement)
        .await?;
    let by_message: HashMap<(OrganizationId, Uuid), &News<'_>> =
        rows.iter().map(|news| ((news.organization, news.message), *news)).collect();
    for (organization, message) in advanced {
        let Some(news) = by_message.get(&(organization, message)) else { continue };
        let mut data = Map::new();
        data.insert("status".to_owned(), json!(news.status.word()));
        data.insert("at".to_owned(), json!(news.at));
        if !news.recipient.is_empty() {
            data.insert("recipient".to_owned(), json!(news.recipient));
        }
        if let Some(Value::Object(detail)) = news.detail {
            data.extend(detail.clone());
            edits::merge_metadata(writer, organization, message, detail).await?;
        }
        writer.outbox.push(organization, "message.status", message, Some(Value::Object(data)));
    }
    Ok(())
}
