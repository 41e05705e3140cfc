//! Requests as they came, and those of their items that must wait.

use super::writer::Writer;
use crate::model::{KeptRequest, QuarantinedItem, Submission};
use crate::store::StoreError;
use crate::store::bulk::{Column, Rows};

pub(super) async fn insert(
    writer: &mut Writer<'_>,
    batch: &[&Submission],
) -> Result<(), StoreError> {
    columns(batch)
        .insert(
            &mut writer.session,
            "webhook_inbox",
            "on conflict (organization_id, id) do nothing",
        )
        .await?;
    for (index, submission) in batch.iter().enumerate() {
        // What is replayed has its quarantined items already.
        let items: &[QuarantinedItem] = if submission.keep { &submission.quarantined } else { &[] };
        write(writer, &submission.request, items).await?;
        let count = u32::try_from(submission.quarantined.len()).unwrap_or(u32::MAX);
        writer.receipts[index].quarantined = count;
    }
    Ok(())
}

/// The requests that are to be kept, by column.
pub(super) fn columns<'r>(batch: &[&'r Submission]) -> Rows<'r> {
    let kept: Vec<&KeptRequest> =
        batch.iter().filter(|submission| submission.keep).map(|s| &s.request).collect();
    Rows::new()
        .column("organization_id", Column::Uuid(kept.iter().map(|r| r.organization_id.0).collect()))
        .column("id", Column::Uuid(kept.iter().map(|r| r.id.0).collect()))
        .column("account_id", Column::Uuid(kept.iter().map(|r| r.account_id.0).collect()))
        .column("provider", Column::Text(kept.iter().map(|r| r.provider).collect()))
        .column("method", Column::Text(kept.iter().map(|r| r.method.as_str()).collect()))
        .column("url", Column::Text(kept.iter().map(|r| r.url.as_str()).collect()))
        .column("headers", Column::Text(kept.iter().map(|r| r.headers.as_str()).collect()))
        .column("body", Column::Bytes(kept.iter().map(|r| r.body.as_ref()).collect()))
        .column("received_at", Column::Time(kept.iter().map(|r| r.received_at).collect()))
        .column(
            "key_fingerprint",
            Column::MaybeBytes(kept.iter().map(|r| r.key.as_ref().map(|k| &k.0[..])).collect()),
        )
}

async fn write(
    writer: &mut Writer<'_>,
    request: &KeptRequest,
    items: &[QuarantinedItem],
) -> Result<(), StoreError> {
    let count = items.len();
    Rows::new()
        .column(
            "organization_id",
            Column::Uuid(items.iter().map(|i| i.organization_id.0).collect()),
        )
        .column("id", Column::Uuid(items.iter().map(|i| i.id.0).collect()))
        .column("inbox_organization_id", Column::Uuid(vec![request.organization_id.0; count]))
        .column("inbox_id", Column::Uuid(vec![request.id.0; count]))
        .column("account_id", Column::Uuid(items.iter().map(|i| i.account_id.0).collect()))
        .column("provider", Column::Text(vec![request.provider; count]))
        .column("position", Column::Text(items.iter().map(|i| i.position.as_str()).collect()))
        .column("reason", Column::Text(items.iter().map(|i| i.reason.word()).collect()))
        .column("detail", Column::Text(items.iter().map(|i| i.detail.as_str()).collect()))
        .column("line", Column::MaybeText(items.iter().map(|i| i.line.as_deref()).collect()))
        .column("raw", Column::Text(items.iter().map(|i| i.raw.as_str()).collect()))
        .column("state", Column::Text(vec!["open"; count]))
        .column("attempts", Column::Int(vec![0; count]))
        .column("created_at", Column::Time(vec![writer.now; count]))
        .insert(&mut writer.session, "webhook_quarantine", "")
        .await
}
