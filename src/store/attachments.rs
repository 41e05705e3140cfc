//! `message_attachments`: where the files of messages can be had.

use providers::Attachment;
use serde_json::Value;
use uuid::Uuid;

use super::bulk::{Column, Rows};
use super::session::on;
use super::{Session, StoreError};
use crate::clock::Timestamp;
use crate::ids::Ids;
use crate::model::{MediaState, OrganizationId};

/// A file, the message it belongs to, and its place there.
pub(super) type Placed<'a> = ((OrganizationId, Uuid), i64, &'a Attachment);

/// Writes the files of new messages; they are to be fetched at once.
pub(super) async fn insert(
    session: &mut Session,
    ids: &Ids,
    now: Timestamp,
    files: &[Placed<'_>],
) -> Result<(), StoreError> {
    let each = || files.iter().map(|(_, _, file)| *file);
    let text =
        |pick: fn(&Attachment) -> Option<&str>| Column::MaybeText(each().map(pick).collect());
    Rows::new()
        .column("organization_id", Column::Uuid(files.iter().map(|((o, _), _, _)| o.0).collect()))
        .column("message_id", Column::Uuid(files.iter().map(|((_, id), _, _)| *id).collect()))
        .column("position", Column::Int(files.iter().map(|(_, position, _)| *position).collect()))
        .column("id", Column::Uuid(files.iter().map(|_| ids.next()).collect()))
        .column("kind", Column::Text(each().map(|file| file.kind.word()).collect()))
        .column("provider_media_id", text(|file| file.media_id.as_deref()))
        .column("url", text(|file| file.url.as_deref()))
        .column("mime_type", text(|file| file.mime_type.as_deref()))
        .column("filename", text(|file| file.filename.as_deref()))
        .column("size", Column::MaybeInt(each().map(|file| file.size).collect()))
        .column("sha256", text(|file| file.sha256.as_deref()))
        .column("state", Column::Text(vec![MediaState::Pending.word(); files.len()]))
        .column("attempts", Column::Int(vec![0; files.len()]))
        .column("due_at", Column::Time(vec![now; files.len()]))
        .column("wanted_at", Column::Time(vec![now; files.len()]))
        .insert(session, "message_attachments", "on conflict do nothing")
        .await
}

/// Gives a message other files, as JSON of [`Attachment`]. A file that is the same stays as it is; another one in its place
/// is fetched, under the same id.
pub(super) async fn replace(
    session: &mut Session,
    ids: &Ids,
    now: Timestamp,
    (organization, message): (OrganizationId, Uuid),
    files: &[Value],
) -> Result<(), StoreError> {
    let sql = "insert into message_attachments as a (organization_id, message_id, position, kind,
               provider_media_id, url, mime_type, filename, size, sha256, id, state, attempts,
               due_at, wanted_at)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'pending', 0, $12, $12)
               on conflict (organization_id, message_id, position) do update set kind = excluded.kind,
               provider_media_id = excluded.provider_media_id, url = excluded.url,
               mime_type = excluded.mime_type, filename = excluded.filename, size = excluded.size,
               sha256 = excluded.sha256, state = 'pending', due_at = excluded.due_at,
               wanted_at = excluded.wanted_at, stored_mime_type = null, stored_size = null,
               stored_sha256 = null, warning = null, last_error = null
               where not coalesce(a.provider_media_id = excluded.provider_media_id,
                   a.provider_media_id is null and excluded.provider_media_id is null
                   and a.url is not distinct from excluded.url)";
    for (position, file) in (0_i64..).zip(files) {
        let text = |name: &str| file[name].as_str();
        on!(session, |c| {
            let query = sqlx::query(sql).bind(organization).bind(message).bind(position);
            let query = query.bind(text("kind").unwrap_or("document")).bind(text("media_id"));
            let query = query.bind(text("url")).bind(text("mime_type")).bind(text("filename"));
            let query = query.bind(file["size"].as_i64()).bind(text("sha256"));
            query.bind(ids.next()).bind(now).execute(c).await.map(drop)
        })?;
    }
    Ok(())
}
