//! Messages of which not all could be read: they remember the request that they came in, and whoever reads more of it, when it
//! is delivered or read again, fills them.

use providers::{Content, EventKind};
use serde_json::json;
use sqlx::types::Json;
use uuid::Uuid;

use super::messages::{Row, Stored, write_attachments};
use super::wishes;
use super::writer::{Work, Writer};
use crate::model::{OrganizationId, Submission};
use crate::store::StoreError;
use crate::store::bulk::{Column, Rows};
use crate::store::messages::provider_ref;
use crate::store::session::dialect;

/// Whether what a message says may be read better one day.
pub(super) fn is_unread(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Message(message) if message.content.may_say_more())
}

/// Remembers, of the new messages of a batch that are unread, the requests that they came in.
pub(super) async fn note(
    writer: &mut Writer<'_>,
    batch: &[&Submission],
    works: &[Work<'_>],
    stored: &Stored,
) -> Result<(), StoreError> {
    let unread = works.iter().filter(|work| is_unread(&work.item.event.kind));
    let placed = unread.filter_map(|work| {
        let EventKind::Message(message) = &work.item.event.kind else { return None };
        let reference = provider_ref(work.item.provider, &message.reference.0);
        let organization = work.item.organization_id;
        let is_new = stored.contains_key(&(organization, reference));
        is_new.then_some((organization, reference, work))
    });
    let placed: Vec<(OrganizationId, Uuid, &Work<'_>)> = placed.collect();
    let requests = || placed.iter().map(|(_, _, work)| &batch[work.submission].request);
    Rows::new()
        .column("organization_id", Column::Uuid(placed.iter().map(|(o, _, _)| o.0).collect()))
        .column("provider_ref", Column::Uuid(placed.iter().map(|(_, r, _)| *r).collect()))
        .column("provider", Column::Text(requests().map(|request| request.provider).collect()))
        .column(
            "inbox_organization_id",
            Column::Uuid(requests().map(|request| request.organization_id.0).collect()),
        )
        .column("inbox_id", Column::Uuid(requests().map(|request| request.id.0).collect()))
        .column("attempts", Column::Int(vec![0; placed.len()]))
        .insert(&mut writer.session, "unread_messages", "on conflict do nothing")
        .await
}

/// Fills messages that are known as unread with what these rows say of them: each under its id and in its place. What was
/// announced when it came is announced as edited; a number's history, which announces files before it brings them, is not.
pub(super) async fn fill(writer: &mut Writer<'_>, rows: &[&Row<'_>]) -> Result<(), StoreError> {
    let says_more = |row: &&Row<'_>| !matches!(row.message.content, Content::Unsupported { .. });
    let richer: Vec<&Row<'_>> = rows.iter().copied().filter(says_more).collect();
    if richer.is_empty() {
        return Ok(());
    }
    let statement = dialect!(writer.session,
        sqlite: "update messages set kind = k.kd, content = k.ct, processed_at = k.at,
                 metadata = nullif(json_patch(
                     json_remove(coalesce(messages.metadata, '{}'), '$.what', '$.code', '$.detail'),
                     coalesce(k.md, '{}')), '{}')
                 from k where messages.organization_id = k.o and messages.provider_ref = k.r
                 and messages.kind = 'unsupported' returning organization_id, id, provider_ref",
        postgres: "update messages set kind = k.kd, content = k.ct, processed_at = k.at,
                   metadata = nullif((coalesce(messages.metadata, '{}'::jsonb) - array['what', 'code', 'detail'])
                       || coalesce(k.md, '{}'::jsonb), '{}'::jsonb)
                   from k where messages.organization_id = k.o and messages.provider_ref = k.r
                   and messages.kind = 'unsupported' returning organization_id, id, provider_ref",
    );
    let filled: Vec<(OrganizationId, Uuid, Uuid)> = Rows::new()
        .column("o", Column::Uuid(richer.iter().map(|r| r.work.item.organization_id.0).collect()))
        .column("r", Column::Uuid(richer.iter().map(|r| r.reference).collect()))
        .column("kd", Column::Text(richer.iter().map(|r| r.message.content.kind()).collect()))
        .column("ct", Column::MaybeText(richer.iter().map(|r| r.content).collect()))
        .column("md", Column::Json(richer.iter().map(|r| r.metadata.as_ref().map(Json)).collect()))
        .column("at", Column::Time(vec![writer.now; richer.len()]))
        .query(&mut writer.session, statement)
        .await?;
    let mut done = Vec::new();
    for (organization, id, reference) in filled {
        let named = richer.iter().filter(|row| {
            row.reference == reference && row.work.item.organization_id == organization
        });
        done.extend(named.map(|row| row.known_as(id)));
    }
    for row in &done {
        let Work { submission, item } = row.work;
        // What was read again is written now, whatever was known of it before.
        if let Some(receipt) = writer.receipts.get_mut(submission) {
            receipt.stored += 1;
            receipt.duplicate = receipt.duplicate.saturating_sub(1);
        }
        if !row.message.historical {
            let data = json!({ "read_at": writer.now });
            writer.outbox.push(item.organization_id, "message.edited", row.id, Some(data));
        }
    }
    let done: Vec<&Row<'_>> = done.iter().collect();
    write_attachments(writer, &done).await?;
    wishes::of_messages(writer, &done).await?;
    Rows::new()
        .column("o", Column::Uuid(done.iter().map(|r| r.work.item.organization_id.0).collect()))
        .column("r", Column::Uuid(done.iter().map(|r| r.reference).collect()))
        .execute(
            &mut writer.session,
            "delete from unread_messages where (organization_id, provider_ref) in (select k.o, k.r from k)",
        )
        .await
}
