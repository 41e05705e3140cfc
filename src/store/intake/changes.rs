//! What happens to messages after they were written: statuses, edits, revocations. What comes before its message waits
//! for it.

use providers::{EventKind, Failure, Party, StatusChange};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sqlx::types::Json;
use uuid::Uuid;

use super::messages::Stored;
use super::people::{self, Person};
use super::places::{self, Attempt};
use super::writer::{Work, Writer};
use super::{edits, outgoing, statuses};
use crate::clock::Timestamp;
use crate::model::failure::describe;
use crate::model::{AccountId, OrganizationId};
use crate::store::StoreError;
use crate::store::bulk::{Column, Rows};
use crate::store::messages::provider_ref;
use crate::store::session::on;

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

impl Change {
    /// Our own id of the message, where a status names it.
    pub(super) fn ours(&self) -> Option<Uuid> {
        match self {
            Change::Status { ours, .. } => *ours,
            Change::Edited { .. } | Change::Revoked => None,
        }
    }
}

impl Pending {
    /// Who is at the other end, with every address and name that it tells.
    fn person(&self) -> Option<Person<'_>> {
        let party = self.person.as_ref()?;
        let addresses = party.addresses.iter().collect();
        let known = Person::known(self.organization_id, addresses, self.at);
        let (name, username) = (party.name.as_deref(), party.username.as_deref());
        Some(Person { name, username, ..known })
    }
}

/// A change, the message it is for, and where it came from.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) organization_id: OrganizationId,
    pub(super) account_id: AccountId,
    pub(super) reference: Uuid,
    pub(super) key: String,
    pub(super) change: Change,
    /// Who is at the other end of the message, where that tells more than one address.
    pub(super) person: Option<Party>,
    pub(super) at: Timestamp,
    /// The submission to count it for; none if it waited.
    pub(super) submission: Option<usize>,
    pub(super) message: Option<Uuid>,
    /// Which attempt to send the message it is about.
    pub(super) attempt: Attempt,
}

type Waited = (OrganizationId, Uuid, String, AccountId, Json<Parked>, Timestamp);

/// A change as it waits.
#[derive(Debug, Deserialize)]
struct Parked {
    #[serde(flatten)]
    change: Change,
    #[serde(default)]
    person: Option<Party>,
}

/// The same, as it is written.
#[derive(Debug, Serialize)]
struct Parking<'a> {
    #[serde(flatten)]
    change: &'a Change,
    #[serde(skip_serializing_if = "Option::is_none")]
    person: Option<&'a Party>,
}

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
    places::find(writer, &mut pending, stored).await?;
    let (mut found, waiting): (Vec<_>, Vec<_>) =
        pending.into_iter().partition(|pending| pending.message.is_some());
    found.sort_by_key(|pending| pending.at);
    park(writer, waiting).await?;
    // That it is about a message that there is keeps what other programs send from making people known here.
    people::resolve(writer, &found.iter().filter_map(Pending::person).collect::<Vec<_>>()).await?;
    outgoing::name(writer, &found.iter().collect::<Vec<_>>()).await?;
    statuses::apply(writer, &found).await?;
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
        person: item.event.person.as_deref().cloned(),
        at: item.event.at,
        submission: Some(work.submission),
        message: None,
        attempt: Attempt::default(),
    })
}

fn status_change(status: &StatusChange) -> Change {
    let mut detail = Map::new();
    if let Some(failure) = &status.failure {
        let failure = Failure {
            code: Some(failure.code.clone()),
            ..Failure::new(failure.class, failure.detail.clone().unwrap_or_default())
        };
        detail.insert("failure".to_owned(), describe(&failure));
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
        |(organization_id, reference, key, account_id, Json(parked), at): Waited| Pending {
            organization_id,
            account_id,
            reference,
            key,
            change: parked.change,
            person: parked.person,
            at,
            submission: None,
            message: None,
            attempt: Attempt::default(),
        };
    Ok(waited.into_iter().map(pending).collect())
}

/// Lets changes wait for their message.
async fn park(writer: &mut Writer<'_>, waiting: Vec<Pending>) -> Result<(), StoreError> {
    let mut organizations: Vec<Uuid> = waiting.iter().map(|w| w.organization_id.0).collect();
    organizations.dedup();
    for pending in waiting {
        let sql = "insert into waiting_changes
                   (organization_id, provider_ref, key, account_id, change, at, received_at)
                   values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing";
        let parking = Parking { change: &pending.change, person: pending.person.as_ref() };
        let (now, change) = (writer.now, Json(parking));
        let written = on!(writer.session, |c| {
            let query = sqlx::query(sql).bind(pending.organization_id).bind(pending.reference);
            let query = query.bind(&pending.key).bind(pending.account_id).bind(&change);
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
