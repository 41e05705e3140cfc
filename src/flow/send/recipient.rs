//! To whom a message goes: a lead, a contact or an address becomes one identity on the message's channel.

use std::collections::HashMap;

use providers::{Address, Channel};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::flow::FlowError;
use crate::flow::contacts::{country, parse_email, parse_phone};
use crate::gateway::Gateway;
use crate::model::{ContactId, Identity, IdentityId, Lane, LeadId, OrganizationId};
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
    /// What reaches them there.
    channel: Channel,
    /// Their address on the channel.
    pub(super) address: Address,
    /// Their identity, if they have one.
    pub(super) identity: Option<IdentityId>,
    /// The contact who has another spelling of the address, if somebody has.
    contact: Option<ContactId>,
}

/// Whom a recipient names.
enum Named {
    Contact(ContactId),
    Address(Address),
}

/// Somebody who is known, and the address by which they were named.
struct Known {
    contact: ContactId,
    address: Option<Address>,
}

/// Looks a recipient up.
pub(super) async fn find(
    session: &mut Session,
    organization: OrganizationId,
    channel: Channel,
    recipient: &Recipient,
) -> Result<Found, FlowError> {
    let found = find_all(session, organization, &[(channel, recipient)]).await?;
    found.into_iter().next().unwrap_or(Err(FlowError::NotFound("recipient")))
}

/// Looks recipients up, all at once; each has its own result, in their order.
pub(super) async fn find_all(
    session: &mut Session,
    organization: OrganizationId,
    asked: &[(Channel, &Recipient)],
) -> Result<Vec<Result<Found, FlowError>>, FlowError> {
    let named = named(session, organization, asked).await?;
    let addresses: Vec<&Address> = named
        .iter()
        .filter_map(|named| match named {
            Ok(Named::Address(address)) => Some(address),
            _ => None,
        })
        .collect();
    let mut holders = contacts::holders(session, organization, &addresses).await?.into_iter();
    // Who is known, or else the address of somebody who is not.
    let known: Vec<Result<Result<Known, Address>, FlowError>> = named
        .into_iter()
        .map(|named| {
            Ok(match named? {
                Named::Contact(contact) => Ok(Known { contact, address: None }),
                Named::Address(address) => match holders.next().unwrap_or_default().first() {
                    Some(holder) => Ok(Known { contact: holder.contact, address: Some(address) }),
                    None => Err(address),
                },
            })
        })
        .collect();
    let contacts: Vec<ContactId> =
        known.iter().flatten().flatten().map(|known| known.contact).collect();
    let identities = contacts::identities_of(session, organization, &contacts).await?;
    let mut suited: Vec<Vec<(Identity, Address)>> = Vec::with_capacity(known.len());
    for (known, (channel, _)) in known.iter().zip(asked) {
        suited.push(match known {
            Ok(Ok(known)) => suited_to(*channel, known, identities.get(&known.contact)),
            _ => Vec::new(),
        });
    }
    let last = last_uses(session, organization, asked, &suited).await?;
    let found =
        known.into_iter().zip(suited).zip(asked).map(
            |((known, suited), (channel, _))| match known? {
                Ok(known) => chosen(*channel, known, suited, &last),
                Err(address) => {
                    Ok(Found { channel: *channel, address, identity: None, contact: None })
                }
            },
        );
    Ok(found.collect())
}

/// Whom recipients name: contacts that stand, and addresses as they are written everywhere.
async fn named(
    session: &mut Session,
    organization: OrganizationId,
    asked: &[(Channel, &Recipient)],
) -> Result<Vec<Result<Named, FlowError>>, FlowError> {
    let recipients = || asked.iter().map(|(_, recipient)| *recipient);
    let lead = |recipient: &Recipient| match recipient {
        Recipient::Lead(id) => Some(*id),
        _ => None,
    };
    let ids: Vec<LeadId> = recipients().filter_map(lead).collect();
    let leads = leads::contacts_of(session, organization, &ids).await?;
    let contact = |recipient: &Recipient| match recipient {
        Recipient::Lead(id) => leads.get(id).copied(),
        Recipient::Contact(id) => Some(*id),
        Recipient::Address(_) => None,
    };
    let ids: Vec<ContactId> = recipients().filter_map(contact).collect();
    let standing = contacts::all_standing(session, organization, &ids).await?;
    let is_number = |(channel, recipient): &(Channel, &Recipient)| {
        *channel != Channel::Email && matches!(recipient, Recipient::Address(_))
    };
    let country = match asked.iter().any(is_number) {
        true => country(session, organization).await?,
        false => None,
    };
    let named = |(channel, recipient): &(Channel, &Recipient)| {
        if let Recipient::Address(text) = recipient {
            return parse(*channel, text.trim(), country.as_deref()).map(Named::Address);
        }
        let missing = match recipient {
            Recipient::Lead(id) if !leads.contains_key(id) => "lead",
            _ => "contact",
        };
        let standing = contact(recipient).and_then(|contact| standing.get(&contact).copied());
        standing.map(Named::Contact).ok_or(FlowError::NotFound(missing))
    };
    Ok(asked.iter().map(named).collect())
}

fn parse(channel: Channel, text: &str, country: Option<&str>) -> Result<Address, FlowError> {
    match channel {
        Channel::Email => parse_email("to", text),
        Channel::Whatsapp if is_whatsapp_user(text) => Ok(Address::WaUser(text.to_owned())),
        Channel::Whatsapp | Channel::Sms | Channel::Voip => parse_phone("to", text, country),
    }
}

/// The recipient of a message that was accepted before.
pub(super) async fn of_identity(
    session: &mut Session,
    Lane { organization_id: organization, channel }: Lane,
    identity: IdentityId,
) -> Result<Found, FlowError> {
    let address = contacts::address_of(session, organization, identity).await?;
    let gone = || FlowError::refused("no_address", "the recipient's address is no longer known");
    let (address, identity) = (address.ok_or_else(gone)?, Some(identity));
    Ok(Found { channel, address, identity, contact: None })
}

/// The kinds of addresses that a channel reaches, the surest first.
fn kinds(channel: Channel) -> &'static [&'static str] {
    match channel {
        Channel::Whatsapp => &["phone", "wa_user", "wa_lid"],
        Channel::Sms | Channel::Voip => &["phone", "handle"],
        Channel::Email => &["email"],
    }
}

/// The addresses of somebody that the channel reaches, the surest first; other spellings only of the one that was named.
fn suited_to(
    channel: Channel,
    known: &Known,
    identities: Option<&Vec<Identity>>,
) -> Vec<(Identity, Address)> {
    let kinds = kinds(channel);
    let mut suited: Vec<(usize, Identity, Address)> = identities
        .into_iter()
        .flatten()
        .filter_map(|identity| {
            let rank = kinds.iter().position(|kind| *kind == identity.kind)?;
            let address = Address::from_parts(&identity.kind, &identity.value)?;
            let same =
                known.address.as_ref().is_none_or(|key| key.match_key() == address.match_key());
            let made_up = identity.kind == "handle" && identity.value.starts_with("contact:");
            (same && !made_up).then(|| (rank, identity.clone(), address))
        })
        .collect();
    suited.sort_by_key(|(rank, identity, _)| (*rank, identity.id));
    suited.into_iter().map(|(_, identity, address)| (identity, address)).collect()
}

/// When the addresses between which there is a choice were last used.
async fn last_uses(
    session: &mut Session,
    organization: OrganizationId,
    asked: &[(Channel, &Recipient)],
    suited: &[Vec<(Identity, Address)>],
) -> Result<HashMap<(Channel, IdentityId), Uuid>, FlowError> {
    let mut last = HashMap::new();
    for channel in Channel::ALL {
        let choices =
            asked.iter().zip(suited).filter(|((of, _), suited)| *of == channel && suited.len() > 1);
        let ids: Vec<IdentityId> =
            choices.flat_map(|(_, suited)| suited.iter().map(|(one, _)| one.id)).collect();
        if !ids.is_empty() {
            let uses = recipients::last_uses(session, organization, channel, &ids).await?;
            last.extend(uses.into_iter().map(|(id, last)| ((channel, id), last)));
        }
    }
    Ok(last)
}

/// The address that was used last, or the surest.
fn chosen(
    channel: Channel,
    known: Known,
    suited: Vec<(Identity, Address)>,
    last: &HashMap<(Channel, IdentityId), Uuid>,
) -> Result<Found, FlowError> {
    let used = |(identity, _): &(Identity, Address)| {
        last.get(&(channel, identity.id)).map(|last| (*last, identity.id))
    };
    let latest = suited.iter().filter_map(used).max().map(|(_, id)| id);
    let place = suited.iter().position(|(identity, _)| Some(identity.id) == latest).unwrap_or(0);
    let chosen = suited.into_iter().nth(place);
    let Known { contact, address: asked } = known;
    match (chosen, asked) {
        // WhatsApp knows a line by one spelling; the one that it used itself is right. Elsewhere the one that was asked for is.
        (Some((identity, address)), asked)
            if channel == Channel::Whatsapp || asked.as_ref().is_none_or(|a| *a == address) =>
        {
            Ok(Found { channel, address, identity: Some(identity.id), contact: None })
        }
        (_, Some(address)) => {
            Ok(Found { channel, address, identity: None, contact: Some(contact) })
        }
        (_, None) => {
            let reason = format!("the contact has no address that {} reaches", channel.word());
            Err(FlowError::refused("no_address", reason))
        }
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

/// Finds out who has become known since they were looked up. The head must be locked: from here on nobody else does.
pub(super) async fn look_again(
    session: &mut Session,
    organization: OrganizationId,
    found: &mut [&mut Found],
) -> Result<(), FlowError> {
    let mut strangers: Vec<&mut Found> =
        found.iter_mut().map(|found| &mut **found).filter(|f| f.identity.is_none()).collect();
    if strangers.is_empty() {
        return Ok(());
    }
    let addresses: Vec<&Address> = strangers.iter().map(|found| &found.address).collect();
    let holders = contacts::holders(session, organization, &addresses).await?;
    let mut met = Vec::new();
    for (found, holders) in strangers.iter_mut().zip(holders) {
        match holders.first() {
            None => {}
            Some(holder) if found.contact.is_some() && holder.value != found.address.value() => {
                // The contact may have been merged into another one.
                found.contact = Some(holder.contact);
            }
            Some(_) => met.push(&mut **found),
        }
    }
    if met.is_empty() {
        return Ok(());
    }
    let named: Vec<Recipient> =
        met.iter().map(|found| Recipient::Address(found.address.value().to_owned())).collect();
    let asked: Vec<(Channel, &Recipient)> =
        met.iter().map(|found| found.channel).zip(&named).collect();
    let again = find_all(session, organization, &asked).await?;
    for (found, again) in met.into_iter().zip(again) {
        *found = again?;
    }
    Ok(())
}

/// The recipients' identities, in their order; made, with a contact, where nobody has the address. The head must be locked,
/// and since then they were [looked for](look_again).
pub(super) async fn make_known(
    gateway: &Gateway,
    session: &mut Session,
    outbox: &mut Outbox,
    organization: OrganizationId,
    found: &[&Found],
    now: Timestamp,
) -> Result<Vec<IdentityId>, FlowError> {
    let mut contacts: HashMap<(&'static str, String), ContactId> = HashMap::new();
    let mut identities: HashMap<(&'static str, String), IdentityId> = HashMap::new();
    let mut spellings: HashMap<(&'static str, String), String> = HashMap::new();
    let (mut new_contacts, mut new_identities) = (Vec::new(), Vec::new());
    let mut known = Vec::with_capacity(found.len());
    for found in found {
        if let Some(identity) = found.identity {
            known.push(identity);
            continue;
        }
        let (kind, key) = (found.address.kind(), found.address.match_key().into_owned());
        let contact = found.contact.unwrap_or_else(|| {
            *contacts.entry((kind, key.clone())).or_insert_with(|| {
                let id = ContactId(gateway.ids.next());
                outbox.push(organization, "contact.created", id.0, None);
                new_contacts.push(id);
                id
            })
        });
        let own = found.address.value();
        let first = spellings.entry((kind, key)).or_insert_with(|| own.to_owned());
        // WhatsApp knows a line by one spelling: the first one here, as the next to ask would find it.
        let spelling =
            if found.channel == Channel::Whatsapp { first.clone() } else { own.to_owned() };
        known.push(*identities.entry((kind, spelling)).or_insert_with(|| {
            let id = IdentityId(gateway.ids.next());
            new_identities.push((contact, id, &found.address));
            id
        }));
    }
    contacts::create_all(session, organization, &new_contacts, now).await?;
    contacts::add_identities(session, organization, &new_identities, now).await?;
    Ok(known)
}
