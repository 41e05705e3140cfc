//! `contact_merges`: two contacts become one, and can become two again.
//!
//! A merge points identities and leads at another contact and remembers which; nothing else refers to a contact, so it
//! takes the same few rows however much history there is. Undoing it points them back, except for what has been
//! moved on by a later merge.

use serde_json::json;
use sqlx::types::Json;
use uuid::Uuid;

use super::bulk::{Column, Rows};
use super::events::Outbox;
use super::session::on;
use super::{Session, StoreError};
use crate::clock::Timestamp;
use crate::model::{ContactId, MergeId, OrganizationId};

/// A merge to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewMerge<'a> {
    /// Its id.
    pub id: MergeId,
    /// The contact that stays.
    pub kept: ContactId,
    /// The contact that is merged into it.
    pub merged: ContactId,
    /// Why, for people.
    pub reason: &'a str,
    /// Who.
    pub actor: &'a str,
    /// When.
    pub now: Timestamp,
}

/// A merge that was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Merge {
    /// Its id.
    pub id: MergeId,
    /// The contact that stays.
    pub kept: ContactId,
    /// The contact that was merged into it.
    pub merged: ContactId,
    /// The identities that moved.
    pub identities: Vec<Uuid>,
    /// The leads that moved.
    pub leads: Vec<Uuid>,
    /// When.
    pub merged_at: Timestamp,
    /// When it was undone.
    pub undone_at: Option<Timestamp>,
}

/// Merges two different, existing contacts of the organization, whose head the outbox has locked.
pub async fn merge(
    session: &mut Session,
    outbox: &mut Outbox,
    organization: OrganizationId,
    merge: &NewMerge<'_>,
) -> Result<Merge, StoreError> {
    let identities = point(session, Table::Identities, organization, merge).await?;
    let leads = point(session, Table::Leads, organization, merge).await?;
    let insert = "insert into contact_merges (organization_id, id, kept_contact_id, merged_contact_id,
                  identity_ids, lead_ids, reason, actor, merged_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let close = "update contacts set merged_into = $3, updated_at = $4
                 where organization_id = $1 and id = $2";
    on!(session, |c| {
        let query = sqlx::query(insert).bind(organization).bind(merge.id).bind(merge.kept);
        let query = query.bind(merge.merged).bind(Json(&identities)).bind(Json(&leads));
        let query = query.bind(merge.reason).bind(merge.actor).bind(merge.now);
        query.execute(&mut *c).await?;
        let query = sqlx::query(close).bind(organization).bind(merge.merged);
        query.bind(merge.kept).bind(merge.now).execute(c).await.map(drop)
    })?;
    let data = json!({ "merge_id": merge.id, "merged_contact_id": merge.merged });
    outbox.push(organization, "contact.merged", merge.kept.0, Some(data));
    Ok(Merge {
        id: merge.id,
        kept: merge.kept,
        merged: merge.merged,
        identities,
        leads,
        merged_at: merge.now,
        undone_at: None,
    })
}

/// The merge by which the contact that a merge kept went into another: it must be undone first.
pub async fn undone_before(
    session: &mut Session,
    organization: OrganizationId,
    id: MergeId,
) -> Result<Option<MergeId>, StoreError> {
    let sql = "select later.id from contact_merges earlier join contact_merges later
               on later.organization_id = earlier.organization_id
               and later.merged_contact_id = earlier.kept_contact_id and later.undone_at is null
               where earlier.organization_id = $1 and earlier.id = $2 and earlier.undone_at is null
               order by later.id limit 1";
    let found: Option<(MergeId,)> =
        on!(session, |c| sqlx::query_as(sql).bind(organization).bind(id).fetch_optional(c).await)?;
    Ok(found.map(|(later,)| later))
}

/// Takes a merge back. `None` if there is no such merge, or it was undone before.
pub async fn undo(
    session: &mut Session,
    outbox: &mut Outbox,
    organization: OrganizationId,
    id: MergeId,
    now: Timestamp,
) -> Result<Option<Merge>, StoreError> {
    let Some(found) = get(session, organization, id).await? else {
        return Ok(None);
    };
    if found.undone_at.is_some() {
        return Ok(None);
    }
    for (table, ids) in [(Table::Identities, &found.identities), (Table::Leads, &found.leads)] {
        Rows::new()
            .column("o", Column::Uuid(vec![organization.0; ids.len()]))
            .column("i", Column::Uuid(ids.clone()))
            .column("kept", Column::Uuid(vec![found.kept.0; ids.len()]))
            .column("merged", Column::Uuid(vec![found.merged.0; ids.len()]))
            .execute(session, table.point_back())
            .await?;
    }
    let undone = "update contact_merges set undone_at = $3 where organization_id = $1 and id = $2";
    let open = "update contacts set merged_into = null, updated_at = $3
                where organization_id = $1 and id = $2";
    on!(session, |c| {
        let query = sqlx::query(undone).bind(organization).bind(id).bind(now);
        query.execute(&mut *c).await?;
        let query = sqlx::query(open).bind(organization).bind(found.merged).bind(now);
        query.execute(c).await.map(drop)
    })?;
    let data = json!({ "merge_id": id, "restored_contact_id": found.merged });
    outbox.push(organization, "contact.unmerged", found.kept.0, Some(data));
    Ok(Some(Merge { undone_at: Some(now), ..found }))
}

/// A merge, undone or not.
pub async fn get(
    session: &mut Session,
    organization: OrganizationId,
    id: MergeId,
) -> Result<Option<Merge>, StoreError> {
    let sql = "select id, kept_contact_id, merged_contact_id, identity_ids, lead_ids, merged_at, undone_at
               from contact_merges where organization_id = $1 and id = $2";
    Ok(on!(session, |c| sqlx::query_as(sql).bind(organization).bind(id).fetch_optional(c).await)?
        .map(merge_of))
}

/// The merges in which a contact was kept, newest first.
pub async fn of_contact(
    session: &mut Session,
    organization: OrganizationId,
    contact: ContactId,
) -> Result<Vec<Merge>, StoreError> {
    let sql = "select id, kept_contact_id, merged_contact_id, identity_ids, lead_ids, merged_at, undone_at
               from contact_merges where organization_id = $1 and kept_contact_id = $2
               order by id desc limit 100";
    let rows: Vec<Found> =
        on!(session, |c| sqlx::query_as(sql).bind(organization).bind(contact).fetch_all(c).await)?;
    Ok(rows.into_iter().map(merge_of).collect())
}

type Found =
    (MergeId, ContactId, ContactId, Json<Vec<Uuid>>, Json<Vec<Uuid>>, Timestamp, Option<Timestamp>);

fn merge_of(row: Found) -> Merge {
    let (id, kept, merged, Json(identities), Json(leads), merged_at, undone_at) = row;
    Merge { id, kept, merged, identities, leads, merged_at, undone_at }
}

/// What points at a contact.
#[derive(Debug, Clone, Copy)]
enum Table {
    Identities,
    Leads,
}

impl Table {
    fn point(self) -> &'static str {
        match self {
            Table::Identities => {
                "update contact_identities set contact_id = $3
                 where organization_id = $1 and contact_id = $2 returning id"
            }
            Table::Leads => {
                "update leads set contact_id = $3
                 where organization_id = $1 and contact_id = $2 returning id"
            }
        }
    }

    fn point_back(self) -> &'static str {
        match self {
            Table::Identities => {
                "update contact_identities set contact_id = k.merged from k
                 where contact_identities.organization_id = k.o and contact_identities.id = k.i
                 and contact_identities.contact_id = k.kept"
            }
            Table::Leads => {
                "update leads set contact_id = k.merged from k
                 where leads.organization_id = k.o and leads.id = k.i and leads.contact_id = k.kept"
            }
        }
    }
}

async fn point(
    session: &mut Session,
    table: Table,
    organization: OrganizationId,
    merge: &NewMerge<'_>,
) -> Result<Vec<Uuid>, StoreError> {
    let sql = table.point();
    let moved: Vec<(Uuid,)> = on!(session, |c| {
        let query = sqlx::query_as(sql).bind(organization).bind(merge.merged).bind(merge.kept);
        query.fetch_all(c).await
    })?;
    Ok(moved.into_iter().map(|(id,)| id).collect())
}
