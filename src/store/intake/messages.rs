//! Messages: each is written once, whoever delivers it how often.

use std::collections::{HashMap, HashSet};

use providers::{Content, DeliveryStatus, Direction, EventKind, Message};
use serde_json::{Map, Value, json};
use sqlx::types::Json;
use uuid::Uuid;

use super::identities::Identities;
use super::writer::{Work, Writer};
use super::{unread, wishes};
use crate::ids::Ids;
use crate::model::OrganizationId;
use crate::store::bulk::{Column, Rows};
use crate::store::messages::provider_ref;
use crate::store::{StoreError, attachments};

/// The messages that this batch has written, by provider reference.
pub(super) type Stored = HashMap<(OrganizationId, Uuid), Uuid>;

/// A message as it will stand in its table.
pub(super) struct Row<'a> {
    pub(super) work: Work<'a>,
    pub(super) message: &'a Message,
    pub(super) id: Uuid,
    pub(super) reference: Uuid,
    identity: Option<Uuid>,
    pub(super) content: Option<&'a str>,
    pub(super) metadata: Option<Value>,
}

/// The messages of a batch: those that may be new, and those that repeat one of them.
pub(super) fn rows<'a>(
    ids: &Ids,
    identities: &Identities<'_>,
    works: &[Work<'a>],
) -> (Vec<Row<'a>>, Vec<Work<'a>>) {
    let mut rows: Vec<Row<'a>> = Vec::with_capacity(works.len());
    let mut seen = HashSet::with_capacity(works.len());
    let mut repeated = Vec::new();
    for work in works {
        let EventKind::Message(message) = &work.item.event.kind else {
            continue;
        };
        let reference = provider_ref(work.item.provider, &message.reference.0);
        if seen.insert((work.item.organization_id, reference)) {
            rows.push(row(ids, identities, *work, message, reference));
        } else {
            repeated.push(*work);
        }
    }
    (rows, repeated)
}

pub(super) async fn insert(
    writer: &mut Writer<'_>,
    works: &[Work<'_>],
) -> Result<Stored, StoreError> {
    let (rows, repeated) = rows(writer.ids, &writer.identities, works);
    let inserted = write(writer, &rows).await?;
    let mut stored = Stored::new();
    let mut historical: HashMap<(usize, OrganizationId), (Uuid, u32)> = HashMap::new();
    let mut fresh: Vec<&Row<'_>> = Vec::new();
    let mut known: Vec<&Row<'_>> = Vec::new();
    for row in &rows {
        let organization = row.work.item.organization_id;
        let is_new = inserted.contains(&row.id);
        writer.count(&row.work, is_new);
        if !is_new {
            known.push(row);
            continue;
        }
        stored.insert((organization, row.reference), row.id);
        fresh.push(row);
        if row.message.historical {
            let key = (row.work.submission, organization);
            historical.entry(key).or_insert((row.id, 0)).1 += 1;
        } else {
            writer.outbox.push(organization, row.event(), row.id, None);
        }
    }
    for work in &repeated {
        writer.count(work, false);
    }
    // Old messages must not set anything off: one event says that there are some.
    for ((_, organization), (first, count)) in historical {
        let data = json!({ "messages": count });
        writer.outbox.push(organization, "history.imported", first, Some(data));
    }
    write_attachments(writer, &fresh).await?;
    wishes::of_messages(writer, &fresh).await?;
    unread::fill(writer, &known).await?;
    Ok(stored)
}

impl<'a> Row<'a> {
    /// The same of a message that is known under this id.
    pub(super) fn known_as(&self, id: Uuid) -> Row<'a> {
        let Self { work, message, reference, identity, content, .. } = *self;
        Row { work, message, id, reference, identity, content, metadata: None }
    }

    /// What a new message is announced as.
    pub(super) fn event(&self) -> &'static str {
        match self.message.direction {
            Direction::Inbound => "message.received",
            Direction::Outbound => "message.sent",
        }
    }
}

fn row<'a>(
    ids: &Ids,
    identities: &Identities<'_>,
    work: Work<'a>,
    message: &'a Message,
    reference: Uuid,
) -> Row<'a> {
    let organization = work.item.organization_id;
    let address = message.party.addresses.first();
    let identity = address.and_then(|address| identities.identity(organization, address));
    Row {
        work,
        message,
        id: ids.at(work.item.event.at),
        reference,
        identity: identity.map(|identity| identity.0),
        content: message.content.text(),
        metadata: metadata(message),
    }
}

async fn write(writer: &mut Writer<'_>, rows: &[Row<'_>]) -> Result<HashSet<Uuid>, StoreError> {
    let inserted: Vec<(Uuid,)> = columns(rows)
        .column("created_at", Column::Time(vec![writer.now; rows.len()]))
        .insert_returning(
            &mut writer.session,
            "messages",
            "on conflict (organization_id, provider_ref) do nothing returning id",
        )
        .await?;
    Ok(inserted.into_iter().map(|(id,)| id).collect())
}

/// The rows by column: everything but when they were written.
pub(super) fn columns<'r>(rows: &'r [Row<'_>]) -> Rows<'r> {
    let items = || rows.iter().map(|row| row.work.item);
    let messages = || rows.iter().map(|row| row.message);
    let status = |message: &Message| match (message.direction, message.status) {
        (Direction::Inbound, _) => DeliveryStatus::Received.word(),
        (Direction::Outbound, status) => status.unwrap_or(DeliveryStatus::Sent).word(),
    };
    Rows::new()
        .column("organization_id", Column::Uuid(items().map(|i| i.organization_id.0).collect()))
        .column("id", Column::Uuid(rows.iter().map(|row| row.id).collect()))
        .column("account_id", Column::Uuid(items().map(|i| i.account_id.0).collect()))
        .column("identity_id", Column::MaybeUuid(rows.iter().map(|row| row.identity).collect()))
        .column("provider_ref", Column::Uuid(rows.iter().map(|row| row.reference).collect()))
        .column(
            "provider_message_id",
            Column::Text(messages().map(|m| m.reference.0.as_str()).collect()),
        )
        .column("provider", Column::Text(items().map(|i| i.provider).collect()))
        .column("channel", Column::Text(messages().map(|m| m.channel.word()).collect()))
        .column("direction", Column::Text(messages().map(|m| m.direction.word()).collect()))
        .column(
            "our_address",
            Column::MaybeText(items().map(|i| i.our_address.as_deref()).collect()),
        )
        .column("kind", Column::Text(messages().map(|m| m.content.kind()).collect()))
        .column("content", Column::MaybeText(rows.iter().map(|r| r.content).collect()))
        .column("status", Column::Text(messages().map(status).collect()))
        .column(
            "metadata",
            Column::Json(rows.iter().map(|r| r.metadata.as_ref().map(Json)).collect()),
        )
        .column("occurred_at", Column::Time(items().map(|i| i.event.at).collect()))
}

pub(super) async fn write_attachments(
    writer: &mut Writer<'_>,
    rows: &[&Row<'_>],
) -> Result<(), StoreError> {
    let files: Vec<_> = rows
        .iter()
        .flat_map(|row| {
            let owner = (row.work.item.organization_id, row.id);
            (0_i64..).zip(row.message.content.attachments()).map(move |(n, file)| (owner, n, file))
        })
        .collect();
    attachments::insert(&mut writer.session, writer.ids, writer.now, &files).await
}

/// Everything about a message that has no column of its own; `None` for a plain text.
fn metadata(message: &Message) -> Option<Value> {
    let plain = matches!(message.content, Content::Text { .. } | Content::Media { .. });
    let mut members = Map::new();
    if !plain && let Ok(Value::Object(mut content)) = serde_json::to_value(&message.content) {
        content.remove("kind");
        members.extend(content);
    }
    if message.context != providers::Context::default()
        && let Ok(Value::Object(mut context)) = serde_json::to_value(&message.context)
    {
        // It is an answer like any other to all who read it.
        context.remove("opt_in_word");
        members.extend(context);
    }
    (!members.is_empty()).then_some(Value::Object(members))
}
