//! Edits and revocations: each is applied once, and an older edit never undoes a newer one.

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
    let what = if edit.is_some() { "edited" } else { "revoked" };
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
    note.insert(format!("{what}_at"), json!(pending.at));
    merge_metadata(writer, organization, message, &note).await?;
    let kind = match edit {
        Some(edit) => {
            replace_content(writer, pending, message, &edit).await?;
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
