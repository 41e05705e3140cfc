//! To whom a message goes: a lead, a contact or an address becomes one identity on the message's channel.

use providers::{Address, Channel};

use crate::clock::Timestamp;
use crate::flow::FlowError;
use crate::flow::contacts::{country, parse_email, parse_phone};
use crate::gateway::Gateway;
use crate::model::{ContactId, Identity, IdentityId, LeadId, OrganizationId};
use crate::store::events::Outbox;
use crate::store::sending::recipients;
use crate::store::{Session, contacts, leads};

/// To whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Recipient {
    /// A lead's contact.
    Lead(LeadId),
    /// A contact.
    Contact(ContactId),
    /// An address, as people write it.
    Address(String),
}

/// A recipient that was looked up. Nothing was written.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Their address on the channel.
    pub(super) address: Address,
    /// Their identity, if they have one.
    pub(super) identity: Option<IdentityId>,
    /// The contact who has another spelling of the address, if somebody has.
    contact: Option<ContactId>,
}

/// Looks a recipient up.
pub(super) async fn find(
    session: &mut Session,
    organization: OrganizationId,
    channel: Channel,
    recipient: &Recipient,
) -> Result<Found, FlowError> {
    let contact = match recipient {
        Recipient::Address(text) => {
            return find_address(session, organization, channel, text).await;
        }
        Recipient::Contact(id) => *id,
        Recipient::Lead(id) => {
            let lead = leads::get(session, organization, *id).await?;
            lead.ok_or(FlowError::NotFound("lead"))?.contact_id
        }
    };
    let standing = contacts::standing(session, organization, contact).await?;
    let contact = standing.ok_or(FlowError::NotFound("contact"))?;
    of_contact(session, organization, channel, contact, None).await
}

/// The recipient of a message that was accepted before.
pub(super) async fn of_identity(
    session: &mut Session,
    organization: OrganizationId,
    identity: IdentityId,
) -> Result<Found, FlowError> {
    let address = contacts::address_of(session, organization, identity).await?;
    let gone = || FlowError::refused("no_address", "the recipient's address is no longer known");
    Ok(Found { address: address.ok_or_else(gone)?, identity: Some(identity), contact: None })
}

/// The kinds of addresses that a channel reaches, the surest first.
fn kinds(channel: Channel) -> &'static [&'static str] {
    match channel {
        Channel::Whatsapp => &["phone", "wa_user", "wa_lid"],
        Channel::Sms | Channel::Voip => &["phone", "handle"],
        Channel::Email => &["email"],
    }
}

async fn of_contact(
    session: &mut Session,
    organization: OrganizationId,
    channel: Channel,
    contact: ContactId,
    only_key: Option<&Address>,
) -> Result<Found, FlowError> {
    let found = contacts::get(session, organization, contact).await?;
    let identities = found.map(|contact| contact.identities).unwrap_or_default();
    let kinds = kinds(channel);
    let rank = |identity: &Identity| kinds.iter().position(|kind| *kind == identity.kind);
    let mut suited: Vec<(usize, Identity, Address)> = identities
        .into_iter()
        .filter_map(|identity| {
            let address = Address::from_parts(&identity.kind, &identity.value)?;
            let same = only_key.is_none_or(|key| key.match_key() == address.match_key());
            let made_up = identity.kind == "handle" && identity.value.starts_with("contact:");
            (same && !made_up).then_some((rank(&identity)?, identity, address))
        })
        .collect();
    suited.sort_by_key(|(rank, identity, _)| (*rank, identity.id));
    let ids: Vec<IdentityId> = suited.iter().map(|(_, identity, _)| identity.id).collect();
    let last = recipients::last_used(session, organization, channel, &ids).await?;
    let chosen = suited.iter().find(|(_, identity, _)| Some(identity.id) == last);
    let Some((_, identity, address)) = chosen.or(suited.first()) else {
        let reason = format!("the contact has no address that {} reaches", channel.word());
        return Err(FlowError::refused("no_address", reason));
    };
    Ok(Found { address: address.clone(), identity: Some(identity.id), contact: None })
}

async fn find_address(
    session: &mut Session,
    organization: OrganizationId,
    channel: Channel,
    text: &str,
) -> Result<Found, FlowError> {
    let text = text.trim();
    let address = match channel {
        Channel::Email => parse_email("to", text)?,
        Channel::Whatsapp if is_whatsapp_user(text) => Address::WaUser(text.to_owned()),
        Channel::Whatsapp | Channel::Sms | Channel::Voip => {
            let country = country(session, organization).await?;
            parse_phone("to", text, country.as_deref())?
        }
    };
    let contact = contacts::find_by_address(session, organization, &address).await?;
    let Some(contact) = contact else {
        return Ok(Found { address, identity: None, contact: None });
    };
    // WhatsApp knows a line by one spelling; the one that it used itself is right.
    let spelling = match channel {
        Channel::Whatsapp => None,
        _ => Some(&address),
    };
    let known = of_contact(session, organization, channel, contact, Some(&address)).await;
    match (known, spelling) {
        (Ok(found), None) => Ok(found),
        (Ok(found), Some(asked)) if found.address == *asked => Ok(found),
        _ => Ok(Found { address, identity: None, contact: Some(contact) }),
    }
}

/// Meta's business-scoped user ids: a country, a full stop, letters and digits.
fn is_whatsapp_user(text: &str) -> bool {
    let Some((country, id)) = text.split_once('.') else { return false };
    let id = id.strip_prefix("ENT.").unwrap_or(id);
    country.len() == 2
        && country.bytes().all(|byte| byte.is_ascii_uppercase())
        && (1..=128).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The recipient's identity, made with a contact if nobody has the address. The head must be locked.
pub(super) async fn make_known(
    gateway: &Gateway,
    session: &mut Session,
    outbox: &mut Outbox,
    organization: OrganizationId,
    found: &Found,
    now: Timestamp,
) -> Result<IdentityId, FlowError> {
    if let Some(identity) = found.identity {
        return Ok(identity);
    }
    let contact = match found.contact {
        Some(contact) => contact,
        None => {
            let id = ContactId(gateway.ids.next());
            contacts::create(session, organization, id, None, now).await?;
            outbox.push(organization, "contact.created", id.0, None);
            id
        }
    };
    let id = IdentityId(gateway.ids.next());
    contacts::add_identity(session, organization, contact, id, &found.address, now).await?;
    let made = contacts::get(session, organization, contact).await?;
    let identities = made.map(|contact| contact.identities).unwrap_or_default();
    let same = |identity: &&Identity| {
        identity.kind == found.address.kind() && identity.value == found.address.value()
    };
    let identity = identities.iter().find(same).map(|identity| identity.id);
    identity.ok_or_else(|| FlowError::Conflict("the address belongs to somebody else".to_owned()))
}
