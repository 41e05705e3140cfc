//! What intake knows of messages of ours: the ids by which providers call them, how the queue learns what became of them, and
//! whom they must not go to any more.

use std::num::NonZeroUsize;
use std::sync::Mutex;

use lru::LruCache;
use providers::{Cause, DeliveryStatus, FailureClass};
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use super::changes::{self, Change, Pending};
use super::identities::{Identities, Memory};
use super::messages::Stored;
use super::writer::Writer;
use crate::clock::Timestamp;
use crate::ids::Ids;
use crate::model::{Lane, OrganizationId, Suppress};
use crate::store::bulk::{Column, Rows};
use crate::store::events::Outbox;
use crate::store::sending::{lanes, suppressions};
use crate::store::session::on;
use crate::store::{Session, StoreError, types};

/// A transaction in which messages of ours got the ids by which their provider calls them.
pub(in crate::store) struct Joining<'a> {
    pub(in crate::store) session: Session,
    pub(in crate::store) outbox: Outbox,
    pub(in crate::store) ids: &'a Ids,
    pub(in crate::store) now: Timestamp,
}

impl Joining<'_> {
    /// Joins what was told of these messages before their ids were known. The head must be locked.
    pub(in crate::store) async fn join(
        self,
        organization: OrganizationId,
        references: &[Uuid],
    ) -> Result<(Session, Outbox), StoreError> {
        let Self { session, outbox, ids, now } = self;
        if references.is_empty() {
            return Ok((session, outbox));
        }
        let memory: Memory = Mutex::new(LruCache::new(NonZeroUsize::MIN));
        let identities = Identities::new(&memory);
        let mut writer = Writer { session, outbox, ids, now, identities, receipts: Vec::new() };
        let keys: Vec<_> = references.iter().map(|reference| (organization, *reference)).collect();
        changes::join(&mut writer, Vec::new(), &keys, &Stored::new()).await?;
        Ok((writer.session, writer.outbox))
    }
}

/// Gives messages that a status found by our own id the id by which the provider calls them.
pub(super) async fn name(writer: &mut Writer<'_>, found: &[&Pending]) -> Result<(), StoreError> {
    let named: Vec<(&Pending, Uuid, &str)> = found
        .iter()
        .filter_map(|pending| match &pending.change {
            Change::Status { id: Some(id), .. } => Some((*pending, pending.message?, id.as_str())),
            _ => None,
        })
        .collect();
    Rows::new()
        .column("o", Column::Uuid(named.iter().map(|(p, ..)| p.organization_id.0).collect()))
        .column("i", Column::Uuid(named.iter().map(|(_, id, _)| *id).collect()))
        .column("r", Column::Uuid(named.iter().map(|(p, ..)| p.reference).collect()))
        .column("p", Column::Text(named.iter().map(|(.., id)| *id).collect()))
        .execute(
            &mut writer.session,
            "update messages set provider_ref = k.r, provider_message_id = k.p from k
             where messages.organization_id = k.o and messages.id = k.i and messages.provider_ref is null
             and not exists (select 1 from messages other
                             where other.organization_id = k.o and other.provider_ref = k.r)",
        )
        .await
}

/// How far a provider says that a message has come.
pub(super) struct News<'a> {
    pub(super) organization: OrganizationId,
    pub(super) message: Uuid,
    pub(super) status: DeliveryStatus,
    pub(super) detail: Option<&'a Value>,
    /// When it happened.
    pub(super) at: Timestamp,
}

/// The queue hears of every message of ours that got further, and whoever could not be reached is left alone for a day.
pub(super) async fn tell(writer: &mut Writer<'_>, news: &[News<'_>]) -> Result<(), StoreError> {
    let (again, news): (Vec<&News<'_>>, Vec<&News<'_>>) =
        news.iter().partition(|news| news.may_pass());
    send_again(writer, &again).await?;
    let further: Vec<(OrganizationId, Uuid, &'static str)> = news
        .iter()
        .filter(|news| news.status >= DeliveryStatus::Sent)
        .map(|news| (news.organization, news.message, told(news.status)))
        .collect();
    tell_queue(writer, &further).await?;
    let told: Vec<suppressions::Telling<'_>> =
        news.iter().filter_map(|news| news.telling()).collect();
    suppressions::put_by_message(&mut writer.session, &told, writer.now).await
}

impl<'a> News<'a> {
    /// Whether it failed for a reason that passes: too fast, out of order for now.
    fn may_pass(&self) -> bool {
        self.status == DeliveryStatus::Failed
            && self.class().is_some_and(|class| class.cause().is_none())
    }

    /// What it says about writing to the recipient again.
    fn telling(&self) -> Option<suppressions::Telling<'a>> {
        let suppress = match self.class()?.cause()? {
            Cause::Recipient(reach) if self.status == DeliveryStatus::Failed => {
                Suppress::of(reach)?
            }
            _ => return None,
        };
        let cause = suppressions::Cause {
            reason: suppress.reason,
            scope: suppress.scope,
            detail: self.detail.and_then(|detail| detail["failure"]["detail"].as_str()),
            until: suppress.lasts.map(|lasts| self.at + lasts),
            since: self.at,
        };
        let (organization, message) = (self.organization, self.message);
        Some(suppressions::Telling { organization, message, cause })
    }

    /// What to do about the failure.
    fn class(&self) -> Option<FailureClass> {
        let class = self.detail.and_then(|detail| detail["failure"]["class"].as_str());
        class.and_then(FailureClass::from_name)
    }
}

/// What failed after the provider had taken it, for a reason that passes, is due again, while there is time; each time four
/// times later. What has no time left is given up.
async fn send_again(writer: &mut Writer<'_>, news: &[&News<'_>]) -> Result<(), StoreError> {
    let now = writer.now;
    for news in news {
        let (organization, message) = (news.organization, news.message);
        let sql = last_try(&writer.session);
        let found: Option<(String, i64, Timestamp)> = on!(writer.session, |c| {
            sqlx::query_as(sqlx::AssertSqlSafe(sql.as_str()))
                .bind(organization)
                .bind(message)
                .bind(news.at + chrono::TimeDelta::seconds(1))
                .fetch_optional(c)
                .await
        })?;
        // A failure of an earlier try, told again: a later one is what counts.
        let Some((channel, throttled, expires_at)) = found else { continue };
        let exponent = u32::try_from(throttled.clamp(0, 6)).unwrap_or(6);
        let at = now + chrono::TimeDelta::seconds(5 * 4_i64.pow(exponent));
        if at >= expires_at {
            tell_queue(writer, &[(organization, message, "failed")]).await?;
            continue;
        }
        let failure = news.detail.map(|detail| Json(&detail["failure"]));
        let queue = "update outbound set state = 'due', due_at = $3, throttled = throttled + 1, last_failure = $4
                     where organization_id = $1 and message_id = $2";
        let status = "update messages set status = 'queued' where organization_id = $1 and id = $2";
        let history = "delete from message_statuses
                       where organization_id = $1 and message_id = $2 and status = 'failed'";
        on!(writer.session, |c| {
            let query = sqlx::query(queue).bind(organization).bind(message);
            query.bind(at).bind(failure).execute(&mut *c).await?;
            sqlx::query(status).bind(organization).bind(message).execute(&mut *c).await?;
            sqlx::query(history).bind(organization).bind(message).execute(c).await.map(drop)
        })?;
        let lane = Lane { organization_id: organization, channel: types::channel(&channel)? };
        lanes::wake(&mut writer.session, lane, at).await?;
        let data = serde_json::json!({ "status": "queued", "next_attempt_at": at });
        writer.outbox.push(organization, "message.status", message, Some(data));
    }
    Ok(())
}

/// Finds and locks a message that the provider has taken, unless a later try has begun since the failure.
fn last_try(session: &Session) -> String {
    session.locking(
        "select channel, throttled, expires_at from outbound
         where organization_id = $1 and message_id = $2 and state in ('sent', 'unknown')
         and not exists (select 1 from send_attempts later where later.organization_id = $1
                         and later.message_id = $2 and later.started_at > $3)",
    )
}

/// What the queue makes of a status. Bare `sent` may still belong to an earlier try of what is tried again.
fn told(status: DeliveryStatus) -> &'static str {
    match status {
        DeliveryStatus::Failed => "failed",
        DeliveryStatus::Delivered | DeliveryStatus::Read | DeliveryStatus::Played => "arrived",
        _ => "sent",
    }
}

/// Those nobody knew of have arrived, and so have those that are to be tried again although an earlier try arrived; those
/// that failed can be sent again by a person.
async fn tell_queue(
    writer: &mut Writer<'_>,
    news: &[(OrganizationId, Uuid, &'static str)],
) -> Result<(), StoreError> {
    Rows::new()
        .column("o", Column::Uuid(news.iter().map(|(o, ..)| o.0).collect()))
        .column("i", Column::Uuid(news.iter().map(|(_, id, _)| *id).collect()))
        .column(
            "st",
            Column::Text(news.iter().map(|(.., told)| *told).collect()),
        )
        .column("now", Column::Time(vec![writer.now; news.len()]))
        .execute(
            &mut writer.session,
            "update outbound set state = case k.st when 'failed' then 'dead' else 'sent' end, updated_at = k.now,
                 worker_id = null, claim_id = null from k
             where outbound.organization_id = k.o and outbound.message_id = k.i
             and (outbound.state = 'unknown' or (outbound.state = 'sent' and k.st = 'failed')
                  or (outbound.state = 'due' and outbound.attempts > 0 and k.st = 'arrived'))",
        )
        .await
}
