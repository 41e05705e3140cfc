//! Edits and revocations: each is applied once, and an older edit never undoes a newer one. An edit whose new words nobody could
//! read leaves the old ones, and says so.

use serde_json::{Map, Value, json};
use sqlx::types::Json;
use uuid::Uuid;

use super::changes::Pending;
use super::writer::Writer;
use crate::model::OrganizationId;
use crate::store::session::{dialect, on};
use crate::store::{StoreError, attachments};

/// What a message says after an edit.
pub(super) struct Edit<'a> {
    pub(super) kind: &'a str,
    pub(super) content: Option<&'a str>,
    pub(super) files: &'a [Value],
}

/// What is kept of an edit whose new words could not be read.
const UNREADABLE: &str = "edited_unreadable";

impl Edit<'_> {
    /// Whether nobody could read what the message says now: it was encrypted, or is of a kind that we do not know.
    fn is_unreadable(&self) -> bool {
        self.kind == "unsupported"
    }
}

/// Applies an edit, or a revocation (`None`), once; an older edit never undoes a newer one.
pub(super) async fn rewrite(
    writer: &mut Writer<'_>,
    pending: &Pending,
    edit: Option<Edit<'_>>,
) -> Result<(), StoreError> {
    let Some(message) = pending.message else {
        return Ok(());
    };
    let organization = pending.organization_id;
    let what = match &edit {
        Some(edit) if edit.is_unreadable() => UNREADABLE,
        Some(_) => "edited",
        None => "revoked",
    };
    let insert =
        "insert into message_edits (organization_id, message_id, key, what, content_before, at)
                  select m.organization_id, m.id, $3, $4, m.content, $5 from messages m
                  where m.organization_id = $1 and m.id = $2 on conflict do nothing";
    let done = on!(writer.session, |c| {
        let query = sqlx::query(insert).bind(organization).bind(message).bind(&pending.key);
        query.bind(what).bind(pending.at).execute(c).await.map(|done| done.rows_affected())
    })?;
    writer.count_pending(pending, done > 0);
    if done == 0 {
        return Ok(());
    }
    let mut note = Map::new();
    let when = if edit.is_some() { "edited_at" } else { "revoked_at" };
    note.insert(when.to_owned(), json!(pending.at));
    merge_metadata(writer, organization, message, &note).await?;
    let kind = match edit {
        Some(edit) => {
            match edit.is_unreadable() {
                true => drop(note.insert("edit_unreadable".to_owned(), json!(true))),
                false => replace_content(writer, pending, message, &edit).await?,
            }
            say_whether_readable(writer, organization, message).await?;
            "message.edited"
        }
        None => "message.revoked",
    };
    writer.outbox.push(organization, kind, message, Some(Value::Object(note)));
    Ok(())
}

async fn replace_content(
    writer: &mut Writer<'_>,
    pending: &Pending,
    message: Uuid,
    edit: &Edit<'_>,
) -> Result<(), StoreError> {
    let organization = pending.organization_id;
    let update = "update messages set kind = $3, content = $4, processed_at = $5
                  where organization_id = $1 and id = $2 and not exists (
                      select 1 from message_edits e where e.organization_id = $1
                      and e.message_id = $2 and e.what = 'edited' and e.at > $6)";
    let now = writer.now;
    let replaced = on!(writer.session, |c| {
        let query = sqlx::query(update).bind(organization).bind(message).bind(edit.kind);
        let query = query.bind(edit.content).bind(now).bind(pending.at);
        query.execute(c).await.map(|done| done.rows_affected())
    })?;
    if replaced > 0 && !edit.files.is_empty() {
        let (ids, now) = (writer.ids, writer.now);
        let place = (organization, message);
        attachments::replace(&mut writer.session, ids, now, place, edit.files).await?;
    }
    Ok(())
}

/// Has the message say that what it shows is not what it says now, as long as its newest edit is one that could not be read.
async fn say_whether_readable(
    writer: &mut Writer<'_>,
    organization: OrganizationId,
    message: Uuid,
) -> Result<(), StoreError> {
    // Of two edits of one moment, the one that could not be read may be the newer one.
    let sql = dialect!(writer.session,
        sqlite: "update messages set metadata = case (
                     select e.what from message_edits e where e.organization_id = $1 and e.message_id = $2
                     and e.what in ('edited', $3) order by e.at desc, e.what desc limit 1)
                 when $3 then json_patch(coalesce(metadata, '{}'), '{\"edit_unreadable\":true}')
                 else json_remove(metadata, '$.edit_unreadable') end
                 where organization_id = $1 and id = $2",
        postgres: "update messages set metadata = case (
                       select e.what from message_edits e where e.organization_id = $1 and e.message_id = $2
                       and e.what in ('edited', $3) order by e.at desc, e.what desc limit 1)
                   when $3 then coalesce(metadata, '{}'::jsonb) || '{\"edit_unreadable\":true}'::jsonb
                   else metadata - 'edit_unreadable' end
                   where organization_id = $1 and id = $2",
    );
    on!(writer.session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(message).bind(UNREADABLE);
        query.execute(c).await.map(drop)
    })?;
    Ok(())
}

/// Adds members to a message's metadata.
pub(super) async fn merge_metadata(
    writer: &mut Writer<'_>,
    organization: OrganizationId,
    message: Uuid,
    members: &Map<String, Value>,
) -> Result<(), StoreError> {
    let sql = dialect!(writer.session,
        sqlite: "update messages set metadata = json_patch(coalesce(metadata, '{}'), $3)
                 where organization_id = $1 and id = $2",
        postgres: "update messages set metadata = coalesce(metadata, '{}'::jsonb) || $3
                   where organization_id = $1 and id = $2",
    );
    on!(writer.session, |c| {
        sqlx::query(sql)
            .bind(organization)
            .bind(message)
            .bind(Json(members))
            .execute(c)
            .await
            .map(drop)
    })?;
    Ok(())
}
