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
type IdentityFound = (ContactId, IdentityId, String, String, Option<String>, Option<String>);

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

/// The same of many; those that do not exist are missing.
pub async fn all_standing(
    session: &mut Session,
    organization: OrganizationId,
    ids: &[ContactId],
) -> Result<HashMap<ContactId, ContactId>, StoreError> {
    let found: Vec<(ContactId, ContactId)> = Rows::new()
        .column("o", Column::Uuid(vec![organization.0; ids.len()]))
        .column("i", Column::Uuid(ids.iter().map(|id| id.0).collect()))
        .query(
            session,
            "select s.asked, s.id from (
                 with recursive kept as (
                     select k.i as asked, k.o as o, c.id, c.merged_into
                     from k join contacts c on c.organization_id = k.o and c.id = k.i
                     union select kept.asked, kept.o, c.id, c.merged_into
                     from kept join contacts c on c.organization_id = kept.o and c.id = kept.merged_into)
                 select asked, id from kept where merged_into is null) s",
        )
        .await?;
    Ok(found.into_iter().collect())
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

/// Somebody's address, found by another spelling of it or by its own.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The identity that it is.
    pub identity: IdentityId,
    /// Whose it is.
    pub contact: ContactId,
    /// How it is spelt.
    pub value: String,
}

/// Who has these addresses, or other spellings of them: one list an address, in their order, the very spelling first.
pub async fn holders(
    session: &mut Session,
    organization: OrganizationId,
    addresses: &[&Address],
) -> Result<Vec<Vec<Holder>>, StoreError> {
    let keys: Vec<_> = addresses.iter().map(|address| address.match_key()).collect();
    let found: Vec<(i64, IdentityId, ContactId, String)> = Rows::new()
        .column("n", Column::Int((0_i64..).take(addresses.len()).collect()))
        .column("o", Column::Uuid(vec![organization.0; addresses.len()]))
        .column("kd", Column::Text(addresses.iter().map(|address| address.kind()).collect()))
        .column("mk", Column::Text(keys.iter().map(AsRef::as_ref).collect()))
        .query(
            session,
            "select k.n, i.id, i.contact_id, i.value from k join contact_identities i
             on i.organization_id = k.o and i.kind = k.kd and i.match_key = k.mk",
        )
        .await?;
    let mut holders: Vec<Vec<Holder>> = vec![Vec::new(); addresses.len()];
    for (n, identity, contact, value) in found {
        if let Some(of_one) = usize::try_from(n).ok().and_then(|n| holders.get_mut(n)) {
            of_one.push(Holder { identity, contact, value });
        }
    }
    for (of_one, address) in holders.iter_mut().zip(addresses) {
        of_one.sort_by_key(|holder| (holder.value != address.value(), holder.identity));
    }
    Ok(holders)
}

/// New contacts without names and identities.
pub async fn create_all(
    session: &mut Session,
    organization: OrganizationId,
    ids: &[ContactId],
    now: Timestamp,
) -> Result<(), StoreError> {
    Rows::new()
        .column("organization_id", Column::Uuid(vec![organization.0; ids.len()]))
        .column("id", Column::Uuid(ids.iter().map(|id| id.0).collect()))
        .column("created_at", Column::Time(vec![now; ids.len()]))
        .column("updated_at", Column::Time(vec![now; ids.len()]))
        .insert(session, "contacts", "")
        .await
}

/// Gives contacts addresses that nobody has.
pub async fn add_identities(
    session: &mut Session,
    organization: OrganizationId,
    new: &[(ContactId, IdentityId, &Address)],
    now: Timestamp,
) -> Result<(), StoreError> {
    let keys: Vec<_> = new.iter().map(|(_, _, address)| address.match_key()).collect();
    Rows::new()
        .column("organization_id", Column::Uuid(vec![organization.0; new.len()]))
        .column("id", Column::Uuid(new.iter().map(|(_, id, _)| id.0).collect()))
        .column("contact_id", Column::Uuid(new.iter().map(|(contact, ..)| contact.0).collect()))
        .column("kind", Column::Text(new.iter().map(|(.., address)| address.kind()).collect()))
        .column("value", Column::Text(new.iter().map(|(.., address)| address.value()).collect()))
        .column("match_key", Column::Text(keys.iter().map(AsRef::as_ref).collect()))
        .column("created_at", Column::Time(vec![now; new.len()]))
        .insert(session, "contact_identities", "")
        .await
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
    let ids: Vec<ContactId> = found.iter().map(|(id, ..)| *id).collect();
    let mut by_contact = identities_of(session, organization, &ids).await?;
    let contact = |(id, name, merged_into, created_at, updated_at): ContactFound| {
        let identities = by_contact.remove(&id).unwrap_or_default();
        Contact { id, name, merged_into, identities, created_at, updated_at }
    };
    Ok(found.into_iter().map(contact).collect())
}

/// The identities of contacts, each one's in the order of their ids; whoever has none is missing.
pub async fn identities_of(
    session: &mut Session,
    organization: OrganizationId,
    contacts: &[ContactId],
) -> Result<HashMap<ContactId, Vec<Identity>>, StoreError> {
    let identities: Vec<IdentityFound> = Rows::new()
        .column("o", Column::Uuid(vec![organization.0; contacts.len()]))
        .column("i", Column::Uuid(contacts.iter().map(|id| id.0).collect()))
        .query(
            session,
            "select i.contact_id, i.id, i.kind, i.value, i.name, i.username
             from k join contact_identities i on i.organization_id = k.o and i.contact_id = k.i",
        )
        .await?;
    let mut by_contact: HashMap<ContactId, Vec<Identity>> = HashMap::new();
    for (contact, id, kind, value, name, username) in identities {
        let identity = Identity { id, kind, value, name, username };
        by_contact.entry(contact).or_default().push(identity);
    }
    for identities in by_contact.values_mut() {
        identities.sort_by_key(|identity| identity.id);
    }
    Ok(by_contact)
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
