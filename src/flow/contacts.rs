//! Contacts: naming them, giving them addresses, merging two into one and taking that back.

use providers::{Address, PhoneNumber};
use serde_json::json;

use super::audit::{self, Deed};
use super::{Actor, FlowError, optional_text};
use crate::gateway::Gateway;
use crate::model::{Contact, ContactId, IdentityId, MergeId, OrganizationId};
use crate::store::events::Outbox;
use crate::store::merges::{self, Merge, NewMerge};
use crate::store::{Session, contacts as rows, organizations};

/// What it takes to create a contact.
#[derive(Debug, Default)]
pub struct NewContact {
    /// Their name.
    pub name: Option<String>,
    /// Their telephone numbers, in international form or in that of the organization's country.
    pub phones: Vec<String>,
    /// Their e-mail addresses.
    pub emails: Vec<String>,
}

/// Creates a contact. An address that somebody has already is a conflict.
pub async fn create(
    gateway: &Gateway,
    actor: &Actor,
    new: NewContact,
) -> Result<Contact, FlowError> {
    let organization = actor.organization_id;
    let name = optional_text("name", new.name.as_deref(), 200)?;
    let mut session = gateway.store.write(organization).await?;
    let mut outbox = Outbox::lock(&mut session, [organization]).await?;
    let country = country(&mut session, organization).await?;
    let mut addresses = Vec::new();
    for (index, phone) in new.phones.iter().enumerate() {
        addresses.push(parse_phone(&format!("phones[{index}]"), phone, country.as_deref())?);
    }
    for (index, email) in new.emails.iter().enumerate() {
        addresses.push(parse_email(&format!("emails[{index}]"), email)?);
    }
    if name.is_none() && addresses.is_empty() {
        return Err(FlowError::invalid("name", "a contact needs a name or an address"));
    }
    let id = ContactId(gateway.ids.next());
    let now = gateway.clock.now();
    rows::create(&mut session, organization, id, name.as_deref(), now).await?;
    for address in &addresses {
        // Its own is no other's: an address may be given twice, or in two spellings.
        let holder = rows::find_by_address(&mut session, organization, address).await?;
        if let Some(other) = holder.filter(|holder| *holder != id) {
            let taken = format!("{} belongs to contact {other}", address.value());
            return Err(FlowError::Conflict(taken));
        }
        let identity = IdentityId(gateway.ids.next());
        rows::add_identity(&mut session, organization, id, identity, address, now).await?;
    }
    outbox.push(organization, "contact.created", id.0, None);
    finish(gateway, session, outbox, organization, id).await
}

/// Gives a contact another name.
pub async fn rename(
    gateway: &Gateway,
    actor: &Actor,
    id: ContactId,
    name: &str,
) -> Result<Contact, FlowError> {
    let organization = actor.organization_id;
    let name = super::checked_text("name", name, 200)?;
    let mut session = gateway.store.write(organization).await?;
    let mut outbox = Outbox::lock(&mut session, [organization]).await?;
    let now = gateway.clock.now();
    if !rows::rename(&mut session, organization, id, Some(&name), now).await? {
        return Err(FlowError::NotFound("contact"));
    }
    outbox.push(organization, "contact.updated", id.0, None);
    finish(gateway, session, outbox, organization, id).await
}

/// Merges one contact into another.
pub async fn merge(
    gateway: &Gateway,
    actor: &Actor,
    kept: ContactId,
    merged: ContactId,
    reason: Option<&str>,
) -> Result<Merge, FlowError> {
    if kept == merged {
        return Err(FlowError::invalid("merge_contact_id", "must be another contact"));
    }
    let organization = actor.organization_id;
    let reason = optional_text("reason", reason, 500)?;
    let mut session = gateway.store.write(organization).await?;
    let mut outbox = Outbox::lock(&mut session, [organization]).await?;
    for id in [kept, merged] {
        let contact = rows::get(&mut session, organization, id).await?;
        if let Some(into) = contact.ok_or(FlowError::NotFound("contact"))?.merged_into {
            return Err(FlowError::Conflict(format!("contact {id} has been merged into {into}")));
        }
    }
    let actor_name = format!("{} {}", actor.kind.word(), actor.kind.id());
    let new = NewMerge {
        id: MergeId(gateway.ids.next()),
        kept,
        merged,
        reason: reason.as_deref().unwrap_or("merged by hand"),
        actor: actor_name.trim(),
        now: gateway.clock.now(),
    };
    let merge = merges::merge(&mut session, &mut outbox, organization, &new).await?;
    let detail = json!({ "kept": kept, "merged": merged });
    let deed = Deed { action: "contact.merge", subject: merge.id.to_string(), detail };
    audit::note(gateway, &mut session, actor, deed).await?;
    outbox.flush(&mut session, new.now).await?;
    session.commit().await?;
    gateway.wake_readers();
    Ok(merge)
}

/// Takes a merge back.
pub async fn unmerge(gateway: &Gateway, actor: &Actor, id: MergeId) -> Result<Merge, FlowError> {
    let organization = actor.organization_id;
    let mut session = gateway.store.write(organization).await?;
    let mut outbox = Outbox::lock(&mut session, [organization]).await?;
    let now = gateway.clock.now();
    let Some(found) = merges::get(&mut session, organization, id).await? else {
        return Err(FlowError::NotFound("merge"));
    };
    if found.undone_at.is_some() {
        return Err(FlowError::Conflict("the merge has been taken back already".to_owned()));
    }
    if let Some(later) = merges::undone_before(&mut session, organization, id).await? {
        let reason =
            format!("the contact it kept was merged further; take back merge {later} first");
        return Err(FlowError::Conflict(reason));
    }
    let undone = merges::undo(&mut session, &mut outbox, organization, id, now).await?;
    let undone = undone.ok_or(FlowError::NotFound("merge"))?;
    let detail = json!({ "kept": undone.kept, "restored": undone.merged });
    let deed = Deed { action: "contact.unmerge", subject: id.to_string(), detail };
    audit::note(gateway, &mut session, actor, deed).await?;
    outbox.flush(&mut session, now).await?;
    session.commit().await?;
    gateway.wake_readers();
    Ok(undone)
}

async fn finish(
    gateway: &Gateway,
    mut session: Session,
    outbox: Outbox,
    organization: OrganizationId,
    id: ContactId,
) -> Result<Contact, FlowError> {
    outbox.flush(&mut session, gateway.clock.now()).await?;
    let contact = rows::get(&mut session, organization, id).await?;
    session.commit().await?;
    gateway.wake_readers();
    contact.ok_or(FlowError::NotFound("contact"))
}

/// The country whose numbers the organization may write without a country code.
pub(super) async fn country(
    session: &mut Session,
    organization: OrganizationId,
) -> Result<Option<String>, FlowError> {
    let found = organizations::get(session, organization).await?;
    Ok(found.and_then(|organization| organization.default_country))
}

/// A telephone number as people write it: in international form, or as in `country`.
pub(super) fn parse_phone(
    field: &str,
    text: &str,
    country: Option<&str>,
) -> Result<Address, FlowError> {
    let country_id = country.and_then(|code| code.parse::<phonenumber::country::Id>().ok());
    let parsed = phonenumber::parse(country_id, text.trim());
    let valid = parsed.ok().filter(phonenumber::is_valid);
    let e164 = match &valid {
        Some(number) => number.format().mode(phonenumber::Mode::E164).to_string(),
        // Numbering plans change faster than libraries: what is in international form is taken as it stands.
        None => text.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.')).collect(),
    };
    let is_international = valid.is_some() || e164.starts_with('+');
    match PhoneNumber::international(&e164) {
        Ok(number) if is_international => Ok(Address::Phone(number)),
        _ => {
            let reason = match country {
                Some(country) => format!(
                    "is not a telephone number, neither with a country code nor of {country}"
                ),
                None => "is not a telephone number in international form (+ and country code)"
                    .to_owned(),
            };
            Err(FlowError::invalid(field, reason))
        }
    }
}

/// An e-mail address.
pub(super) fn parse_email(field: &str, text: &str) -> Result<Address, FlowError> {
    Address::email(text).map_err(|error| FlowError::invalid(field, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(text: &str, country: Option<&str>) -> Option<String> {
        parse_phone("phone", text, country).ok().map(|address| address.value().to_owned())
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        assert_eq!(phone("+55 (11) 98765-4321", None).as_deref(), Some("+5511987654321"));
        assert_eq!(phone("(11) 98765-4321", Some("BR")).as_deref(), Some("+5511987654321"));
        assert_eq!(phone("011 15-2345-6789", Some("AR")).as_deref(), Some("+5491123456789"));
        assert_eq!(phone("98765-4321", None), None);
        assert_eq!(phone("call me", Some("BR")), None);
    }
}
