//! What happens to messages after they were written: statuses, edits, revocations. What comes before its message waits
//! for it.

use std::collections::HashMap;

use providers::{DeliveryStatus, EventKind, StatusChange};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sqlx::types::Json;
use uuid::Uuid;

use super::messages::Stored;
use super::writer::{Work, Writer};
use super::{edits, outgoing};
use crate::clock::Timestamp;
use crate::model::{AccountId, OrganizationId};
use crate::store::bulk::{Column, Rows};
use crate::store::messages::{RANK_OF_STATUS, provider_ref};
use crate::store::session::on;
use crate::store::{StoreError, types};

/// A change in the form in which it can wait.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub(super) enum Change {
    Status {
        status: String,
        recipient: String,
        detail: Option<Value>,
        /// Our own id of the message, as the provider handed it back.
        ours: Option<Uuid>,
        /// The provider's id of it, where it also named ours.
        #[serde(default)]
        id: Option<String>,
    },
    Edited {
        kind: String,
        content: Option<String>,
        /// The files it has now, as [`providers::Attachment`]s; empty leaves the old ones.
        files: Vec<Value>,
    },
    Revoked,
}

/// A change, the message it is for, and where it came from.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) organization_id: OrganizationId,
    pub(super) account_id: AccountId,
    pub(super) reference: Uuid,
    pub(super) key: String,
    pub(super) change: Change,
    pub(super) at: Timestamp,
    /// The submission to count it for; none if it waited.
    pub(super) submission: Option<usize>,
    pub(super) message: Option<Uuid>,
}

type Waited = (OrganizationId, Uuid, String, AccountId, Json<Change>, Timestamp);

pub(super) async fn apply(
    writer: &mut Writer<'_>,
    works: &[Work<'_>],
    stored: &Stored,
) -> Result<(), StoreError> {
    let pending: Vec<Pending> = works.iter().filter_map(read).collect();
    let keys: Vec<(OrganizationId, Uuid)> = stored.keys().copied().collect();
    join(writer, pending, &keys, stored).await
}

/// Applies changes, and those that waited for the messages of these keys.
pub(super) async fn join(
    writer: &mut Writer<'_>,
    mut pending: Vec<Pending>,
    keys: &[(OrganizationId, Uuid)],
    stored: &Stored,
) -> Result<(), StoreError> {
    pending.extend(take_waiting(writer, keys).await?);
    if pending.is_empty() {
        return Ok(());
    }
    find_messages(writer, &mut pending, stored).await?;
    let (mut found, waiting): (Vec<_>, Vec<_>) =
        pending.into_iter().partition(|pending| pending.message.is_some());
    found.sort_by_key(|pending| pending.at);
    park(writer, waiting).await?;
    outgoing::name(writer, &found.iter().collect::<Vec<_>>()).await?;
    apply_statuses(writer, &found).await?;
    for pending in &found {
        match &pending.change {
            Change::Status { .. } => {}
            Change::Edited { kind, content, files } => {
                let edit = edits::Edit { kind, content: content.as_deref(), files };
                edits::rewrite(writer, pending, Some(edit)).await?;
            }
            Change::Revoked => edits::rewrite(writer, pending, None).await?,
        }
    }
    Ok(())
}

fn read(work: &Work<'_>) -> Option<Pending> {
    let item = work.item;
    let (target, change) = match &item.event.kind {
        EventKind::Status(status) => (&status.reference, status_change(status)),
        EventKind::Edited { target, content } => {
            let kind = content.kind().to_owned();
            let files = content.attachments().iter().map(|file| json!(file)).collect();
            let content = content.text().map(ToOwned::to_owned);
            (target, Change::Edited { kind, content, files })
        }
        EventKind::Revoked { target } => (target, Change::Revoked),
        _ => return None,
    };
    Some(Pending {
        organization_id: item.organization_id,
        account_id: item.account_id,
        reference: provider_ref(item.provider, &target.0),
        key: item.event.key.0.clone(),
        change,
        at: item.event.at,
        submission: Some(work.submission),
        message: None,
    })
}

fn status_change(status: &StatusChange) -> Change {
    let mut detail = Map::new();
    if let Some(failure) = &status.failure {
        detail.insert("failure".to_owned(), json!(failure));
    }
    if let Some(pricing) = &status.pricing {
        detail.insert("pricing".to_owned(), pricing.clone());
    }
    if let Some(cost) = &status.cost {
        detail.insert("cost".to_owned(), json!(cost));
    }
    let ours: Option<Uuid> = status.ours.as_deref().and_then(|id| id.parse().ok());
    Change::Status {
        status: status.status.word().to_owned(),
        recipient: status.recipient.clone().unwrap_or_default(),
        detail: (!detail.is_empty()).then_some(Value::Object(detail)),
        id: ours.map(|_| status.reference.0.clone()),
        ours,
    }
}

/// Takes out what waited for messages.
async fn take_waiting(
    writer: &mut Writer<'_>,
    keys: &[(OrganizationId, Uuid)],
) -> Result<Vec<Pending>, StoreError> {
    let rows = || {
        Rows::new()
            .column("o", Column::Uuid(keys.iter().map(|(o, _)| o.0).collect()))
            .column("r", Column::Uuid(keys.iter().map(|(_, r)| *r).collect()))
    };
    let waited: Vec<Waited> = rows()
        .query(
            &mut writer.session,
            "select w.organization_id, w.provider_ref, w.key, w.account_id, w.change, w.at
             from k join waiting_changes w on w.organization_id = k.o and w.provider_ref = k.r",
        )
        .await?;
    if !waited.is_empty() {
        rows()
            .execute(
                &mut writer.session,
                "delete from waiting_changes
                 where (organization_id, provider_ref) in (select k.o, k.r from k)",
            )
            .await?;
        let organizations = keys.iter().map(|(organization, _)| organization.0).collect();
        Rows::new()
            .column("o", Column::Uuid(organizations))
            .execute(
                &mut writer.session,
                "update event_heads set waiting = false
                 where waiting and organization_id in (select k.o from k) and not exists (
                     select 1 from waiting_changes w where w.organization_id = event_heads.organization_id)",
            )
            .await?;
    }
    let pending =
        |(organization_id, reference, key, account_id, Json(change), at): Waited| Pending {
            organization_id,
            account_id,
            reference,
            key,
            change,
            at,
            submission: None,
            message: None,
        };
    Ok(waited.into_iter().map(pending).collect())
}

/// Finds each change's message: among those just written, by the provider's id, or by our own.
async fn find_messages(
    writer: &mut Writer<'_>,
    pending: &mut [Pending],
    stored: &Stored,
) -> Result<(), StoreError> {
    for change in pending.iter_mut() {
        change.message = stored.get(&(change.organization_id, change.reference)).copied();
    }
    let missing: Vec<&Pending> = pending.iter().filter(|p| p.message.is_none()).collect();
    let by_reference: Vec<(OrganizationId, Uuid, Uuid)> = Rows::new()
        .column("o", Column::Uuid(missing.iter().map(|p| p.organization_id.0).collect()))
        .column("r", Column::Uuid(missing.iter().map(|p| p.reference).collect()))
        .query(
            &mut writer.session,
            "select m.organization_id, m.provider_ref, m.id from k join messages m
             on m.organization_id = k.o and m.provider_ref = k.r
             union all
             select m.organization_id, m.provider_ref, m.message_id from k join message_refs m
             on m.organization_id = k.o and m.provider_ref = k.r",
        )
        .await?;
    let ours = |pending: &Pending| match &pending.change {
        Change::Status { ours, .. } => *ours,
        _ => None,
    };
    let with_ours: Vec<(Uuid, Uuid)> =
        missing.iter().filter_map(|p| Some((p.organization_id.0, ours(p)?))).collect();
    let by_id: Vec<(OrganizationId, Uuid)> = Rows::new()
        .column("o", Column::Uuid(with_ours.iter().map(|(o, _)| *o).collect()))
        .column("i", Column::Uuid(with_ours.iter().map(|(_, id)| *id).collect()))
        .query(
            &mut writer.session,
            "select m.organization_id, m.id from k join messages m
             on m.organization_id = k.o and m.id = k.i",
        )
        .await?;
    let by_reference: HashMap<(OrganizationId, Uuid), Uuid> =
        by_reference.into_iter().map(|(o, reference, id)| ((o, reference), id)).collect();
    for change in pending.iter_mut().filter(|p| p.message.is_none()) {
        let organization = change.organization_id;
        let by_our_id = ours(change).filter(|id| by_id.contains(&(organization, *id)));
        change.message = by_reference.get(&(organization, change.reference)).copied().or(by_our_id);
    }
    Ok(())
}

/// Lets changes wait for their message.
async fn park(writer: &mut Writer<'_>, waiting: Vec<Pending>) -> Result<(), StoreError> {
    let mut organizations: Vec<Uuid> = waiting.iter().map(|w| w.organization_id.0).collect();
    organizations.dedup();
    for pending in waiting {
        let sql = "insert into waiting_changes
                   (organization_id, provider_ref, key, account_id, change, at, received_at)
                   values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing";
        let (now, change) = (writer.now, Json(&pending.change));
        let written = on!(writer.session, |c| {
            let query = sqlx::query(sql).bind(pending.organization_id).bind(pending.reference);
            let query = query.bind(&pending.key).bind(pending.account_id).bind(change);
            query.bind(pending.at).bind(now).execute(c).await.map(|done| done.rows_affected())
        })?;
        if let Some(submission) = pending.submission {
            let receipt = &mut writer.receipts[submission];
            if written > 0 {
                receipt.waiting += 1;
            } else {
                receipt.duplicate += 1;
            }
        }
    }
    Rows::new()
        .column("o", Column::Uuid(organizations))
        .execute(
            &mut writer.session,
            "update event_heads set waiting = true
             where not waiting and organization_id in (select k.o from k)",
        )
        .await
}

/// Writes the history, and moves each message's status forward, never back.
async fn apply_statuses(writer: &mut Writer<'_>, found: &[Pending]) -> Result<(), StoreError> {
    let statuses: Vec<(&Pending, Uuid, &str, &str, Option<&Value>)> = found
        .iter()
        .filter_map(|pending| match &pending.change {
            Change::Status { status, recipient, detail, .. } => {
                let message = pending.message?;
                Some((pending, message, status.as_str(), recipient.as_str(), detail.as_ref()))
            }
            _ => None,
        })
        .collect();
    let new: Vec<(Uuid, String, String)> = Rows::new()
        .column(
            "organization_id",
            Column::Uuid(statuses.iter().map(|s| s.0.organization_id.0).collect()),
        )
        .column("message_id", Column::Uuid(statuses.iter().map(|s| s.1).collect()))
        .column("status", Column::Text(statuses.iter().map(|s| s.2).collect()))
        .column("recipient", Column::Text(statuses.iter().map(|s| s.3).collect()))
        .column("detail", Column::Json(statuses.iter().map(|s| s.4.map(Json)).collect()))
        .column("at", Column::Time(statuses.iter().map(|s| s.0.at).collect()))
        .column("received_at", Column::Time(vec![writer.now; statuses.len()]))
        .insert_returning(
            &mut writer.session,
            "message_statuses",
            "on conflict do nothing returning message_id, status, recipient",
        )
        .await?;
    let mut new: std::collections::HashSet<(Uuid, String, String)> = new.into_iter().collect();
    let mut furthest: HashMap<(OrganizationId, Uuid), Furthest<'_>> = HashMap::new();
    for (pending, message, status, recipient, detail) in statuses {
        let is_new = new.remove(&(message, status.to_owned(), recipient.to_owned()));
        writer.count_pending(pending, is_new);
        if !is_new {
            continue;
        }
        let rank = types::delivery_status(status)?;
        let next = Furthest { status: rank, at: pending.at, recipient, detail };
        let entry = furthest.entry((pending.organization_id, message)).or_insert(next);
        if rank > entry.status {
            *entry = next;
        }
    }
    advance(writer, &furthest).await
}

/// The furthest of a message's new statuses.
#[derive(Debug, Clone, Copy)]
struct Furthest<'a> {
    status: DeliveryStatus,
    at: Timestamp,
    recipient: &'a str,
    detail: Option<&'a Value>,
}

async fn advance(
    writer: &mut Writer<'_>,
    furthest: &HashMap<(OrganizationId, Uuid), Furthest<'_>>,
) -> Result<(), StoreError> {
    let rows: Vec<_> = furthest.iter().collect();
    let statement = format!(
        "update messages set status = k.st, processed_at = k.now from k
         where messages.organization_id = k.o and messages.id = k.i and {RANK_OF_STATUS} < k.rk
         returning organization_id, id"
    );
    let advanced: Vec<(OrganizationId, Uuid)> = Rows::new()
        .column("o", Column::Uuid(rows.iter().map(|((o, _), _)| o.0).collect()))
        .column("i", Column::Uuid(rows.iter().map(|((_, id), _)| *id).collect()))
        .column("st", Column::Text(rows.iter().map(|(_, f)| f.status.word()).collect()))
        .column("rk", Column::Int(rows.iter().map(|(_, f)| i64::from(f.status.rank())).collect()))
        .column("now", Column::Time(vec![writer.now; rows.len()]))
        .query(&mut writer.session, &statement)
        .await?;
    for (organization, message) in advanced {
        let Some(furthest) = furthest.get(&(organization, message)) else {
            continue;
        };
        let mut data = Map::new();
        data.insert("status".to_owned(), json!(furthest.status.word()));
        data.insert("at".to_owned(), json!(furthest.at));
        if !furthest.recipient.is_empty() {
            data.insert("recipient".to_owned(), json!(furthest.recipient));
        }
        if let Some(Value::Object(detail)) = furthest.detail {
            data.extend(detail.clone());
            edits::merge_metadata(writer, organization, message, detail).await?;
        }
        writer.outbox.push(organization, "message.status", message, Some(Value::Object(data)));
    }
    let news: Vec<outgoing::News<'_>> = rows
        .iter()
        .map(|((organization, message), furthest)| outgoing::News {
            organization: *organization,
            message: *message,
            status: furthest.status,
            detail: furthest.detail,
            at: furthest.at,
        })
        .collect();
    outgoing::tell(writer, &news).await
}

impl Writer<'_> {
    pub(super) fn count_pending(&mut self, pending: &Pending, is_new: bool) {
        if let Some(submission) = pending.submission {
            let receipt = &mut self.receipts[submission];
            if is_new {
                receipt.stored += 1;
            } else {
                receipt.duplicate += 1;
            }
        }
    }
}
