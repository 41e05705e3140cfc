//! Who is at the other end: finds or makes the contact and the identities of everyone a batch names.

use std::borrow::Cow;
use std::collections::HashMap;

use providers::Address;
use uuid::Uuid;

use super::Writer;
use super::identities::{AddressKey, Remembered, address_key, name_digest};
use crate::clock::Timestamp;
use crate::ids::Ids;
use crate::model::{ContactId, IdentityId, OrganizationId};
use crate::store::bulk::{Column, Rows};
use crate::store::{Session, StoreError, merges};

/// A person somebody in the batch speaks of.
#[derive(Debug, Clone)]
pub(super) struct Person<'a> {
    pub(super) organization_id: OrganizationId,
    /// All of one person's; those that exist already find the contact, the others are added to it.
    pub(super) addresses: Vec<&'a Address>,
    pub(super) name: Option<&'a str>,
    pub(super) username: Option<&'a str>,
    pub(super) seen_at: Timestamp,
    /// Whether they become a contact where none of their addresses is known. News of what was sent make nobody known.
    pub(super) may_be_new: bool,
}

impl<'a> Person<'a> {
    /// Somebody of whom the organization knows at least one address.
    pub(super) fn known(
        organization_id: OrganizationId,
        addresses: Vec<&'a Address>,
        seen_at: Timestamp,
    ) -> Self {
        Self { organization_id, addresses, name: None, username: None, seen_at, may_be_new: false }
    }
}

/// An identity that exists, or will when the batch is written.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) identity: IdentityId,
    pub(super) contact: ContactId,
    pub(super) name: Option<String>,
}

type Found = (OrganizationId, IdentityId, ContactId, String, String, String, Option<String>);

/// Resolves everyone; afterwards [`Writer::identities`] knows each address.
pub(super) async fn resolve(
    writer: &mut Writer<'_>,
    people: &[Person<'_>],
) -> Result<(), StoreError> {
    let unknown: Vec<&Person<'_>> =
        people.iter().filter(|person| !writer.identities.remembers(person)).collect();
    make_known(writer, &unknown).await
}

/// Looks up, or makes, those who are not remembered.
pub(super) async fn make_known(
    writer: &mut Writer<'_>,
    unknown: &[&Person<'_>],
) -> Result<(), StoreError> {
    if unknown.is_empty() {
        return Ok(());
    }
    let mut directory = load(&mut writer.session, unknown).await?;
    for person in unknown {
        place(writer, &mut directory, person).await?;
    }
    write(writer, directory).await
}

/// What the store knows of these addresses and of other spellings of them, and what is to be added.
#[derive(Default)]
pub(super) struct Directory {
    pub(super) known: HashMap<AddressKey, Known>,
    /// (organization, kind, match key) of a line to the contacts that have it in any spelling.
    lines: HashMap<(OrganizationId, &'static str, String), Vec<ContactId>>,
    pub(super) contacts: Vec<NewContact>,
    pub(super) identities: Vec<NewIdentity>,
    renamed: Vec<(OrganizationId, IdentityId, String)>,
}

pub(super) struct NewIdentity {
    organization_id: OrganizationId,
    id: IdentityId,
    contact: ContactId,
    address: Address,
    name: Option<String>,
    username: Option<String>,
}

pub(super) async fn load(
    session: &mut Session,
    people: &[&Person<'_>],
) -> Result<Directory, StoreError> {
    let mut lines: Vec<(Uuid, &'static str, String)> = people
        .iter()
        .flat_map(|person| person.addresses.iter().map(|address| (person.organization_id, address)))
        .map(|(organization, a)| (organization.0, a.kind(), a.match_key().into_owned()))
        .collect();
    lines.sort_unstable();
    lines.dedup();
    let found: Vec<Found> = Rows::new()
        .column("o", Column::Uuid(lines.iter().map(|(o, _, _)| *o).collect()))
        .column("kd", Column::Text(lines.iter().map(|(_, kind, _)| *kind).collect()))
        .column("mk", Column::Text(lines.iter().map(|(_, _, key)| key.as_str()).collect()))
        .query(
            session,
            "select i.organization_id, i.id, i.contact_id, i.kind, i.value, i.match_key, i.name
             from k join contact_identities i
             on i.organization_id = k.o and i.kind = k.kd and i.match_key = k.mk",
        )
        .await?;
    let mut directory = Directory::default();
    for (organization, identity, contact, kind, value, match_key, name) in found {
        let Some(address) = Address::from_parts(&kind, &value) else {
            return Err(StoreError::Damaged(format!("identity {identity}: {kind} `{value}`")));
        };
        let known = Known { identity, contact, name };
        directory.lines.entry((organization, address.kind(), match_key)).or_default().push(contact);
        directory.known.insert(address_key(organization, &address), known);
    }
    Ok(directory)
}

/// Finds the person's contact, or makes one, and gives it the addresses it lacks.
async fn place(
    writer: &mut Writer<'_>,
    directory: &mut Directory,
    person: &Person<'_>,
) -> Result<(), StoreError> {
    let organization = person.organization_id;
    let mut contacts = contacts_of(directory, person);
    let contact = match contacts.first() {
        Some(contact) => *contact,
        None if !person.may_be_new => return Ok(()),
        None => {
            let id = ContactId(writer.ids.next());
            let name = person.name.map(ToOwned::to_owned);
            directory.contacts.push((organization, id, name, person.seen_at));
            id
        }
    };
    // The provider says that all these addresses are one person's, and we had them as several.
    contacts.retain(|other| *other != contact);
    for other in contacts {
        writer.merge(organization, contact, other).await?;
        directory.move_contact(other, contact);
    }
    for (index, address) in person.addresses.iter().enumerate() {
        let key = address_key(organization, address);
        let primary = index == 0;
        let known = match directory.known.get_mut(&key) {
            Some(known) => {
                if let Some(name) =
                    person.name.filter(|name| primary && known.name.as_deref() != Some(name))
                {
                    known.name = Some(name.to_owned());
                    directory.renamed.push((organization, known.identity, name.to_owned()));
                }
                known.clone()
            }
            None => directory.add(writer.ids, person, address, contact),
        };
        let name = name_digest(known.name.as_deref());
        writer.identities.learn(key, Remembered { identity: known.identity, contact, name });
    }
    Ok(())
}

/// The contacts that have any of the person's addresses: those with exactly the address first, business-scoped user
/// ids before numbers (a number may pass to somebody else), then those with another spelling of it.
pub(super) fn contacts_of(directory: &Directory, person: &Person<'_>) -> Vec<ContactId> {
    let organization = person.organization_id;
    let mut exact: Vec<(bool, ContactId)> = Vec::new();
    let mut similar = Vec::new();
    for address in &person.addresses {
        if let Some(known) = directory.known.get(&address_key(organization, address)) {
            exact.push((!matches!(address, Address::WaUser(_)), known.contact));
        }
        let line = (organization, address.kind(), address.match_key().into_owned());
        similar.extend(directory.lines.get(&line).into_iter().flatten().copied());
    }
    exact.sort_by_key(|(is_number, _)| *is_number);
    similar.sort_unstable();
    let mut contacts: Vec<ContactId> = Vec::new();
    for contact in exact.into_iter().map(|(_, contact)| contact).chain(similar) {
        if !contacts.contains(&contact) {
            contacts.push(contact);
        }
    }
    contacts
}

impl Directory {
    pub(super) fn add(
        &mut self,
        ids: &Ids,
        person: &Person<'_>,
        address: &Address,
        contact: ContactId,
    ) -> Known {
        let organization_id = person.organization_id;
        let id = IdentityId(ids.next());
        let name = person.name.map(ToOwned::to_owned);
        let known = Known { identity: id, contact, name: name.clone() };
        self.known.insert(address_key(organization_id, address), known.clone());
        let line = (organization_id, address.kind(), address.match_key().into_owned());
        self.lines.entry(line).or_default().push(contact);
        let username = person.username.map(ToOwned::to_owned);
        let address = address.clone();
        self.identities.push(NewIdentity { organization_id, id, contact, address, name, username });
        known
    }

    fn move_contact(&mut self, from: ContactId, to: ContactId) {
        let contacts = self.known.values_mut().map(|known| &mut known.contact);
        let pending = self.identities.iter_mut().map(|identity| &mut identity.contact);
        for contact in contacts.chain(pending).chain(self.lines.values_mut().flatten()) {
            if *contact == from {
                *contact = to;
            }
        }
    }
}

type NewContact = (OrganizationId, ContactId, Option<String>, Timestamp);

pub(super) fn contact_columns(contacts: &[NewContact], now: Timestamp) -> Rows<'_> {
    Rows::new()
        .column("organization_id", Column::Uuid(contacts.iter().map(|c| c.0.0).collect()))
        .column("id", Column::Uuid(contacts.iter().map(|c| c.1.0).collect()))
        .column("name", Column::MaybeText(contacts.iter().map(|c| c.2.as_deref()).collect()))
        .column("created_at", Column::Time(vec![now; contacts.len()]))
        .column("updated_at", Column::Time(vec![now; contacts.len()]))
}

/// What all spellings of the identities' addresses have in common.
pub(super) fn match_keys(identities: &[NewIdentity]) -> Vec<Cow<'_, str>> {
    identities.iter().map(|new| new.address.match_key()).collect()
}

pub(super) fn identity_columns<'r>(
    rows: &'r [NewIdentity],
    keys: &'r [Cow<'_, str>],
    now: Timestamp,
) -> Rows<'r> {
    Rows::new()
        .column("organization_id", Column::Uuid(rows.iter().map(|r| r.organization_id.0).collect()))
        .column("id", Column::Uuid(rows.iter().map(|r| r.id.0).collect()))
        .column("contact_id", Column::Uuid(rows.iter().map(|r| r.contact.0).collect()))
        .column("kind", Column::Text(rows.iter().map(|r| r.address.kind()).collect()))
        .column("value", Column::Text(rows.iter().map(|r| r.address.value()).collect()))
        .column("match_key", Column::Text(keys.iter().map(AsRef::as_ref).collect()))
        .column("name", Column::MaybeText(rows.iter().map(|r| r.name.as_deref()).collect()))
        .column("username", Column::MaybeText(rows.iter().map(|r| r.username.as_deref()).collect()))
        .column("created_at", Column::Time(vec![now; rows.len()]))
}

async fn write(writer: &mut Writer<'_>, directory: Directory) -> Result<(), StoreError> {
    let Directory { contacts, identities, renamed, .. } = directory;
    contact_columns(&contacts, writer.now).insert(&mut writer.session, "contacts", "").await?;
    for (organization, contact, _, _) in &contacts {
        writer.outbox.push(*organization, "contact.created", contact.0, None);
    }
    let keys = match_keys(&identities);
    identity_columns(&identities, &keys, writer.now)
        .insert(&mut writer.session, "contact_identities", "")
        .await?;
    Rows::new()
        .column("o", Column::Uuid(renamed.iter().map(|(o, _, _)| o.0).collect()))
        .column("i", Column::Uuid(renamed.iter().map(|(_, id, _)| id.0).collect()))
        .column("n", Column::Text(renamed.iter().map(|(_, _, name)| name.as_str()).collect()))
        .execute(
            &mut writer.session,
            "update contact_identities set name = k.n from k
             where contact_identities.organization_id = k.o and contact_identities.id = k.i",
        )
        .await
}

impl Writer<'_> {
    async fn merge(
        &mut self,
        organization: OrganizationId,
        kept: ContactId,
        merged: ContactId,
    ) -> Result<(), StoreError> {
        let merge = merges::NewMerge {
            id: crate::model::MergeId(self.ids.next()),
            kept,
            merged,
            reason: "the provider names both as one person",
            actor: "provider",
            now: self.now,
        };
        merges::merge(&mut self.session, &mut self.outbox, organization, &merge).await.map(drop)
    }
}
