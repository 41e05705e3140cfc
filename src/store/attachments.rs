//! `message_attachments`: where the files of messages can be had.

use providers::Attachment;
use serde_json::Value;
use uuid::Uuid;

use super::bulk::{Column, Rows};
use super::session::on;
use super::{Session, StoreError};
use crate::model::OrganizationId;

/// A file, the message it belongs to, and its place there.
pub(super) type Placed<'a> = ((OrganizationId, Uuid), i64, &'a Attachment);

/// Writes the files of new messages.
pub(super) async fn insert(session: &mut Session, files: &[Placed<'_>]) -> Result<(), StoreError> {
    let each = || files.iter().map(|(_, _, file)| *file);
    let text =
        |pick: fn(&Attachment) -> Option<&str>| Column::MaybeText(each().map(pick).collect());
    Rows::new()
        .column("organization_id", Column::Uuid(files.iter().map(|((o, _), _, _)| o.0).collect()))
        .column("message_id", Column::Uuid(files.iter().map(|((_, id), _, _)| *id).collect()))
        .column("position", Column::Int(files.iter().map(|(_, position, _)| *position).collect()))
        .column("kind", Column::Text(each().map(|file| file.kind.word()).collect()))
        .column("provider_media_id", text(|file| file.media_id.as_deref()))
        .column("url", text(|file| file.url.as_deref()))
        .column("mime_type", text(|file| file.mime_type.as_deref()))
        .column("filename", text(|file| file.filename.as_deref()))
        .column("size", Column::MaybeInt(each().map(|file| file.size).collect()))
        .column("sha256", text(|file| file.sha256.as_deref()))
        .insert(session, "message_attachments", "on conflict do nothing")
        .await
}

/// Gives a message other files, as JSON of [`Attachment`].
pub(super) async fn replace(
    session: &mut Session,
    organization: OrganizationId,
    message: Uuid,
    files: &[Value],
) -> Result<(), StoreError> {
    let sql = "insert into message_attachments (organization_id, message_id, position, kind,
               provider_media_id, url, mime_type, filename, size, sha256)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
               on conflict (organization_id, message_id, position) do update set kind = excluded.kind,
               provider_media_id = excluded.provider_media_id, url = excluded.url,
               mime_type = excluded.mime_type, filename = excluded.filename, size = excluded.size,
               sha256 = excluded.sha256";
    for (position, file) in (0_i64..).zip(files) {
        let text = |name: &str| file[name].as_str();
        on!(session, |c| {
            let query = sqlx::query(sql).bind(organization).bind(message).bind(position);
            let query = query.bind(text("kind").unwrap_or("document")).bind(text("media_id"));
            let query = query.bind(text("url")).bind(text("mime_type")).bind(text("filename"));
            query.bind(file["size"].as_i64()).bind(text("sha256")).execute(c).await.map(drop)
        })?;
    }
    Ok(())
}
