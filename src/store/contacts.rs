//! `contacts` and `contact_identities`: people, and every way to reach them.

use std::collections::HashMap;

use providers::Address;
use uuid::Uuid;

use super::bulk::{Column, Rows};
use super::session::on;
use super::{Session, StoreError};
use crate::clock::Timestamp;
use crate::model::{Contact, ContactId, Identity, IdentityId, OrganizationId};

type ContactFound = (ContactId, Option<String>, Option<ContactId>, Timestamp, Timestamp);
type IdentityFound = (Uuid, IdentityId, String, String, Option<String>, Option<String>);

/// A contact with its identities.
pub async fn get(
    session: &mut Session,
    organization: OrganizationId,
    id: ContactId,
) -> Result<Option<Contact>, StoreError> {
    let sql = "select id, name, merged_into, created_at, updated_at from contacts
               where organization_id = $1 and id = $2";
    let found: Option<ContactFound> =
        on!(session, |c| sqlx::query_as(sql).bind(organization).bind(id).fetch_optional(c).await)?;
    let contacts = with_identities(session, organization, found.into_iter().collect()).await?;
    Ok(contacts.into_iter().next())
}

/// The contact that stands for this one: itself, or the one it was merged into, however often. `None` if there is none.
pub async fn standing(
    session: &mut Session,
    organization: OrganizationId,
    id: ContactId,
) -> Result<Option<ContactId>, StoreError> {
    let sql = "with recursive kept as (
                   select id, merged_into from contacts where organization_id = $1 and id = $2
                   union select c.id, c.merged_into from kept join contacts c
                   on c.organization_id = $1 and c.id = kept.merged_into)
               select id from kept where merged_into is null";
    Ok(on!(session, |c| {
        sqlx::query_scalar(sql).bind(organization).bind(id).fetch_optional(c).await
    })?)
}

/// Contacts, newest first, before `before`; those that were merged into another are left out.
pub async fn list(
    session: &mut Session,
    organization: OrganizationId,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Contact>, StoreError> {
    let sql = "select id, name, merged_into, created_at, updated_at from contacts
               where organization_id = $1 and id < $2 and merged_into is null
               order by id desc limit $3";
    let before = before.unwrap_or(Uuid::max());
    let found: Vec<ContactFound> = on!(session, |c| {
        sqlx::query_as(sql).bind(organization).bind(before).bind(limit).fetch_all(c).await
    })?;
    with_identities(session, organization, found).await
}

/// The contact that has this address, or another spelling of it.
pub async fn find_by_address(
    session: &mut Session,
    organization: OrganizationId,
    address: &Address,
) -> Result<Option<ContactId>, StoreError> {
    let sql = "select contact_id from contact_identities
               where organization_id = $1 and kind = $2 and match_key = $3
               order by case when value = $4 then 0 else 1 end, id limit 1";
    let key = address.match_key();
    Ok(on!(session, |c| {
        let query = sqlx::query_scalar(sql).bind(organization).bind(address.kind());
        query.bind(key.as_ref()).bind(address.value()).fetch_optional(c).await
    })?)
}

/// A new contact without identities.
pub async fn create(
    session: &mut Session,
    organization: OrganizationId,
    id: ContactId,
    name: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "insert into contacts (organization_id, id, name, created_at, updated_at)
               values ($1, $2, $3, $4, $4)";
    on!(session, |c| {
        sqlx::query(sql).bind(organization).bind(id).bind(name).bind(now).execute(c).await.map(drop)
    })?;
    Ok(())
}

/// Gives a contact another name. `false` if there is no such contact.
pub async fn rename(
    session: &mut Session,
    organization: OrganizationId,
    id: ContactId,
    name: Option<&str>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql =
        "update contacts set name = $3, updated_at = $4 where organization_id = $1 and id = $2";
    let done = on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(id).bind(name).bind(now);
        query.execute(c).await.map(|done| done.rows_affected())
    })?;
    Ok(done > 0)
}

/// Gives a contact an address. It stays where it is if anybody has exactly this address already.
pub async fn add_identity(
    session: &mut Session,
    organization: OrganizationId,
    contact: ContactId,
    id: IdentityId,
    address: &Address,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "insert into contact_identities
               (organization_id, id, contact_id, kind, value, match_key, created_at)
               values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing";
    let key = address.match_key();
    on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(id).bind(contact).bind(address.kind());
        let query = query.bind(address.value()).bind(key.as_ref()).bind(now);
        query.execute(c).await.map(drop)
    })?;
    Ok(())
}

async fn with_identities(
    session: &mut Session,
    organization: OrganizationId,
    found: Vec<ContactFound>,
) -> Result<Vec<Contact>, StoreError> {
    let identities: Vec<IdentityFound> = Rows::new()
        .column("o", Column::Uuid(vec![organization.0; found.len()]))
        .column("i", Column::Uuid(found.iter().map(|(id, ..)| id.0).collect()))
        .query(
            session,
            "select i.contact_id, i.id, i.kind, i.value, i.name, i.username
             from k join contact_identities i on i.organization_id = k.o and i.contact_id = k.i",
        )
        .await?;
    let mut by_contact: HashMap<Uuid, Vec<Identity>> = HashMap::new();
    for (contact, id, kind, value, name, username) in identities {
        let identity = Identity { id, kind, value, name, username };
        by_contact.entry(contact).or_default().push(identity);
    }
    let contact = |(id, name, merged_into, created_at, updated_at): ContactFound| {
        let mut identities = by_contact.remove(&id.0).unwrap_or_default();
        identities.sort_by_key(|identity| identity.id);
        Contact { id, name, merged_into, identities, created_at, updated_at }
    };
    Ok(found.into_iter().map(contact).collect())
}

/// The address of an identity.
pub async fn address_of(
    session: &mut Session,
    organization: OrganizationId,
    identity: IdentityId,
) -> Result<Option<Address>, StoreError> {
    let sql = "select kind, value from contact_identities where organization_id = $1 and id = $2";
    let found: Option<(String, String)> = on!(session, |c| {
        sqlx::query_as(sql).bind(organization).bind(identity).fetch_optional(c).await
    })?;
    Ok(found.and_then(|(kind, value)| Address::from_parts(&kind, &value)))
}
