//! `media_files`, and `message_attachments` as files that are fetched and kept.

use providers::{Attachment, MediaKind};
use uuid::Uuid;

use super::session::{dialect, on};
use super::types::media_state;
use super::{Session, StoreError};
use crate::clock::Timestamp;
use crate::ids;
use crate::model::{
    AccountId, FetchedFile, MediaFile, MediaId, MediaState, MessageId, OrganizationId, WantedFile,
};

/// One file: of a message, or handed to us.
pub async fn get(
    session: &mut Session,
    organization: OrganizationId,
    id: MediaId,
) -> Result<Option<MediaFile>, StoreError> {
    let sql = "select message_id, state, coalesce(stored_mime_type, mime_type), filename,
                   coalesce(stored_size, size), stored_sha256, blob_key, warning, last_error
               from message_attachments where organization_id = $1 and id = $2
               union all
               select null, 'stored', mime_type, filename, size, sha256, blob_key, null, null
               from media_files where organization_id = $1 and id = $2";
    type Text = Option<String>;
    type Found = (Option<MessageId>, String, Text, Text, Option<i64>, Text, Text, Text, Text);
    let found: Option<Found> = on!(session, |c| {
        sqlx::query_as(sql).bind(organization).bind(id).fetch_optional(c).await
    })?;
    let file = |found: Found| {
        let (message_id, state, mime_type, filename, size, sha256, blob_key, warning, last_error) =
            found;
        let state = media_state(&state)?;
        Ok(MediaFile {
            id,
            message_id,
            state,
            mime_type,
            filename,
            size,
            sha256,
            blob_key,
            warning,
            last_error,
        })
    };
    found.map(file).transpose()
}

/// Writes down a file that was handed to us.
pub async fn insert(
    session: &mut Session,
    organization: OrganizationId,
    id: MediaId,
    filename: Option<&str>,
    file: &FetchedFile,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "insert into media_files (organization_id, id, mime_type, filename, size, sha256,
               blob_key, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8)";
    on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(id).bind(&file.mime_type);
        let query = query.bind(filename).bind(file.size).bind(&file.sha256).bind(&file.blob_key);
        query.bind(now).execute(c).await.map(drop)
    })?;
    Ok(())
}

/// Claims a file that is due, of any organization but these two, until `until`: whoever has not said by then what
/// became of it is given up.
pub async fn claim(
    session: &mut Session,
    busy: [Option<OrganizationId>; 2],
    now: Timestamp,
    until: Timestamp,
) -> Result<Option<WantedFile>, StoreError> {
    let sql = dialect!(session,
        sqlite: "update message_attachments set due_at = $2, attempts = attempts + 1
                 where (organization_id, id) in (
                     select organization_id, id from message_attachments
                     where state = 'pending' and due_at <= $1
                     and organization_id is not $3 and organization_id is not $4
                     order by due_at limit 1)
                 returning organization_id, id, message_id, attempts, wanted_at /* every organization: a claim */",
        postgres: "update message_attachments a set due_at = $2, attempts = attempts + 1 from (
                       select organization_id, id from message_attachments
                       where state = 'pending' and due_at <= $1
                       and organization_id is distinct from $3 and organization_id is distinct from $4
                       order by due_at limit 1 for update skip locked) due
                   where a.organization_id = due.organization_id and a.id = due.id
                   returning a.organization_id, a.id, a.message_id, a.attempts, a.wanted_at /* every organization: a claim */",
    );
    type Claimed = (OrganizationId, MediaId, MessageId, i64, Timestamp);
    let claimed: Option<Claimed> = on!(session, |c| {
        let query = sqlx::query_as(sql).bind(now).bind(until).bind(busy[0]).bind(busy[1]);
        query.fetch_optional(c).await
    })?;
    let Some((organization_id, id, message_id, attempts, wanted_at)) = claimed else {
        return Ok(None);
    };
    let (account_id, attachment) = source(session, organization_id, id).await?;
    Ok(Some(WantedFile {
        organization_id,
        id,
        message_id,
        account_id,
        attachment,
        attempts,
        wanted_at,
    }))
}

/// Which account brought a file, and what the provider says of it.
async fn source(
    session: &mut Session,
    organization: OrganizationId,
    id: MediaId,
) -> Result<(Option<AccountId>, Attachment), StoreError> {
    let sql = "select m.account_id, a.kind, a.provider_media_id, a.url, a.mime_type, a.filename,
                   a.size, a.sha256
               from message_attachments a
               left join messages m on m.organization_id = a.organization_id and m.id = a.message_id
               where a.organization_id = $1 and a.id = $2";
    type Text = Option<String>;
    type Found = (Option<AccountId>, String, Text, Text, Text, Text, Option<i64>, Text);
    let (account, kind, media_id, url, mime_type, filename, size, sha256): Found =
        on!(session, |c| sqlx::query_as(sql).bind(organization).bind(id).fetch_one(c).await)?;
    let kind = kind_of(&kind);
    Ok((account, Attachment { kind, media_id, url, mime_type, filename, size, sha256 }))
}

fn kind_of(word: &str) -> MediaKind {
    use MediaKind::{Audio, Document, Image, Sticker, Video, Voice};
    let all = [Image, Audio, Voice, Video, Sticker];
    all.into_iter().find(|kind| kind.word() == word).unwrap_or(Document)
}

/// Writes down that a claimed file came. Returns whether the claim still held.
pub async fn stored(
    session: &mut Session,
    wanted: &WantedFile,
    file: &FetchedFile,
) -> Result<bool, StoreError> {
    let sql =
        "update message_attachments set state = 'stored', blob_key = $4, stored_mime_type = $5,
               stored_size = $6, stored_sha256 = $7, warning = $8, due_at = null, last_error = null
               where organization_id = $1 and id = $2 and state = 'pending' and attempts = $3";
    let done = on!(session, |c| {
        let query = sqlx::query(sql).bind(wanted.organization_id).bind(wanted.id);
        let query = query.bind(wanted.attempts).bind(&file.blob_key).bind(&file.mime_type);
        let query = query.bind(file.size).bind(&file.sha256).bind(&file.warning);
        query.execute(c).await.map(|done| done.rows_affected())
    })?;
    Ok(done > 0)
}

/// Writes down that a claimed file did not come: it stays pending until `again`, or has failed or expired for good.
/// Returns whether the claim still held.
pub async fn not_stored(
    session: &mut Session,
    wanted: &WantedFile,
    state: MediaState,
    again: Option<Timestamp>,
    error: &str,
) -> Result<bool, StoreError> {
    let sql = "update message_attachments set state = $4, due_at = $5, last_error = $6
               where organization_id = $1 and id = $2 and state = 'pending' and attempts = $3";
    let done = on!(session, |c| {
        let query = sqlx::query(sql).bind(wanted.organization_id).bind(wanted.id);
        let query = query.bind(wanted.attempts).bind(state.word()).bind(again).bind(error);
        query.execute(c).await.map(|done| done.rows_affected())
    })?;
    Ok(done > 0)
}

/// Asks for a file of a message again, unless it is stored or has not been tried yet. Returns whether it was asked for.
pub async fn want_again(
    session: &mut Session,
    organization: OrganizationId,
    id: MediaId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    // If it is being fetched right now, it is fetched twice, and the later claim counts.
    let sql = "update message_attachments set state = 'pending', due_at = $3, wanted_at = $3
               where organization_id = $1 and id = $2 and state <> 'stored'
               and (state <> 'pending' or last_error is not null)";
    let done = on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(id).bind(now);
        query.execute(c).await.map(|done| done.rows_affected())
    })?;
    Ok(done > 0)
}

/// When the next file is due.
pub async fn next_due(session: &mut Session) -> Result<Option<Timestamp>, StoreError> {
    let sql = "select min(due_at) from message_attachments
               where state = 'pending' /* every organization: a job's timer */";
    Ok(on!(session, |c| sqlx::query_scalar(sql).fetch_one(c).await)?)
}

/// How many files one clean-up takes.
const CHUNK: i64 = 500;

/// A file that has been kept long enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldFile {
    id: MediaId,
    handed_to_us: bool,
    /// Where it is kept.
    pub blob_key: String,
    /// Nothing younger refers to the same bytes: they can be deleted.
    pub is_free: bool,
}

/// Files that were made known before `before`, at most some hundreds.
pub async fn old(
    session: &mut Session,
    organization: OrganizationId,
    before: Timestamp,
) -> Result<Vec<OldFile>, StoreError> {
    let first = ids::first_at(before);
    let sql = "select * from (
                   select id, false as handed_to_us, blob_key from message_attachments
                   where organization_id = $1 and id < $2 and blob_key is not null
                   union all
                   select id, true, blob_key from media_files where organization_id = $1 and id < $2) old
               order by id limit $3";
    let younger = "select count(*) from (
                       select 1 as one from message_attachments
                       where organization_id = $1 and blob_key = $2 and id >= $3
                       union all
                       select 1 from media_files
                       where organization_id = $1 and id = $4 and id >= $3) younger";
    let found: Vec<(MediaId, bool, String)> = on!(session, |c| {
        sqlx::query_as(sql).bind(organization).bind(first).bind(CHUNK).fetch_all(c).await
    })?;
    let mut files = Vec::with_capacity(found.len());
    for (id, handed_to_us, blob_key) in found {
        // What was handed to us is kept under its own id.
        let owner = blob_key.rsplit('/').next().and_then(|id| Uuid::parse_str(id).ok());
        let count: i64 = on!(session, |c| {
            let query = sqlx::query_scalar(younger).bind(organization).bind(&blob_key);
            query.bind(first).bind(owner).fetch_one(c).await
        })?;
        files.push(OldFile { id, handed_to_us, blob_key, is_free: count == 0 });
    }
    Ok(files)
}

/// Writes down that files are no longer kept.
pub async fn forget(
    session: &mut Session,
    organization: OrganizationId,
    files: &[OldFile],
) -> Result<(), StoreError> {
    let attachment = "update message_attachments set blob_key = null, due_at = null,
                      state = 'expired', last_error = 'it is no longer kept'
                      where organization_id = $1 and id = $2 and blob_key = $3";
    let upload = "delete from media_files where organization_id = $1 and id = $2 and blob_key = $3";
    for file in files {
        let sql = if file.handed_to_us { upload } else { attachment };
        on!(session, |c| {
            let query = sqlx::query(sql).bind(organization).bind(file.id).bind(&file.blob_key);
            query.execute(c).await.map(drop)
        })?;
    }
    Ok(())
}
