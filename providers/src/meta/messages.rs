//! Messages of people, and echoes of messages that the business wrote on its telephone.

use serde_json::value::RawValue;

use super::webhook::{Scope, Unreadable};
use super::wire::{self, Contact, WireContext, WireError, WireMessage, WireReferral};
use super::{content, statuses};
use crate::lenient::unix_time;
use crate::{
    Address, Channel, Content, Context, DeliveryStatus, Direction, EventKind, IdentityChange,
    Message, MessageRef, Party, PhoneNumber, Referral, Timestamp,
};

/// `value.contacts[]`: what Meta says about the people in this change. A malformed contact costs a name, not a
/// message.
pub(super) struct People(Vec<Contact>);

impl People {
    pub(super) fn read(raw: &[&RawValue]) -> Self {
        Self(
            raw.iter()
                .filter_map(|raw| serde_json::from_str(raw.get()).ok())
                .collect(),
        )
    }

    /// The person of that number or user id. They are never joined by their place in the list.
    fn find(&self, wa_id: Option<&str>, user_id: Option<&str>) -> Option<&Contact> {
        let by_user = |contact: &&Contact| user_id.is_some() && contact.user_id.get() == user_id;
        let by_number = |contact: &&Contact| wa_id.is_some() && contact.wa_id.get() == wa_id;
        self.0
            .iter()
            .find(by_user)
            .or_else(|| self.0.iter().find(by_number))
    }

    /// The person behind these ids, with everything else that is known of them. `wa_id` may hold a user id instead
    /// of a number.
    pub(super) fn party(
        &self,
        wa_id: Option<&str>,
        user_id: Option<&str>,
        parent: Option<&str>,
    ) -> Party {
        let known = self.find(wa_id, user_id);
        let known_id = |pick: fn(&Contact) -> Option<&str>| known.and_then(pick);
        let ids = [
            wa_id.or(known_id(|contact| contact.wa_id.get())),
            user_id.or(known_id(|contact| contact.user_id.get())),
            parent.or(known_id(|contact| contact.parent_user_id.get())),
        ];
        let mut addresses = Vec::new();
        for address in ids.into_iter().flatten().filter_map(address) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        let profile = known.and_then(|contact| contact.profile.as_ref());
        Party {
            addresses,
            name: profile.and_then(|profile| profile.name.0.clone()),
            username: profile.and_then(|profile| profile.username.0.clone()),
        }
    }
}

/// A WhatsApp number or a business-scoped user id; `None` for anything else.
pub(super) fn address(id: &str) -> Option<Address> {
    if let Ok(number) = PhoneNumber::international(id) {
        return Some(Address::Phone(number));
    }
    is_user_id(id).then(|| Address::WaUser(id.to_owned()))
}

/// Two capital letters, a dot, perhaps `ENT.`, then 1 to 128 letters and digits.
fn is_user_id(id: &str) -> bool {
    let Some((country, rest)) = id.split_once('.') else {
        return false;
    };
    let rest = rest.strip_prefix("ENT.").unwrap_or(rest);
    country.len() == 2
        && country.bytes().all(|byte| byte.is_ascii_uppercase())
        && (1..=128).contains(&rest.len())
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Reads one of `value.messages[]`.
pub(super) fn read(
    scope: &mut Scope<'_>,
    people: &People,
    errors: &[WireError],
    raw: &RawValue,
) -> Result<(), Unreadable> {
    let wire: WireMessage = serde_json::from_str(raw.get())?;
    let at = time(&wire)?;
    let party = people.party(
        wire.from.get(),
        wire.from_user_id.get(),
        wire.from_parent_user_id.get(),
    );
    if wire.kind == "system" {
        read_identity(scope, &wire, &party, at)?;
    }
    push(
        scope,
        &wire,
        errors,
        Envelope {
            at,
            party,
            direction: Direction::Inbound,
            historical: false,
        },
    )
}

/// Reads one of `value.message_echoes[]`: the contact is the recipient.
pub(super) fn read_echo(
    scope: &mut Scope<'_>,
    people: &People,
    raw: &RawValue,
) -> Result<(), Unreadable> {
    let wire: WireMessage = serde_json::from_str(raw.get())?;
    let at = time(&wire)?;
    let party = people.party(wire.to.get(), wire.to_user_id.get(), None);
    push(
        scope,
        &wire,
        &[],
        Envelope {
            at,
            party,
            direction: Direction::Outbound,
            historical: false,
        },
    )
}

/// What is known of a message beside its own JSON.
pub(super) struct Envelope {
    pub(super) at: Timestamp,
    pub(super) party: Party,
    pub(super) direction: Direction,
    pub(super) historical: bool,
}

pub(super) fn push(
    scope: &mut Scope<'_>,
    wire: &WireMessage,
    errors: &[WireError],
    envelope: Envelope,
) -> Result<(), Unreadable> {
    if wire.id.trim().is_empty() {
        return Err(Unreadable("the message has no `id`".to_owned()));
    }
    let Envelope {
        at,
        party,
        direction,
        historical,
    } = envelope;
    if wire.kind != "system" && party.addresses.is_empty() && wire.group_id.get().is_none() {
        return Err(Unreadable(
            "the message names nobody who wrote it".to_owned(),
        ));
    }
    let (key, kind) = match wire.kind.as_str() {
        "edit" => edit(wire, errors)?,
        "revoke" => {
            let target = required(wire.revoke.as_ref(), "revoke")?
                .original_message_id
                .clone();
            (
                format!("{}:revoked", wire.id),
                EventKind::Revoked {
                    target: target_ref(target)?,
                },
            )
        }
        _ => {
            let content = content::read(wire, errors)?;
            let status = match direction {
                Direction::Inbound => None,
                Direction::Outbound => Some(outbound_status(wire)),
            };
            let surroundings = context(wire);
            let reference = MessageRef(wire.id.clone());
            let channel = Channel::Whatsapp;
            let message = Message {
                reference,
                channel,
                direction,
                party,
                content,
                context: surroundings,
                status,
                historical,
            };
            (
                format!("{}:message", wire.id),
                EventKind::Message(Box::new(message)),
            )
        }
    };
    scope.batch.push(key, at, scope.line.clone(), kind);
    Ok(())
}

fn edit(wire: &WireMessage, errors: &[WireError]) -> Result<(String, EventKind), Unreadable> {
    let edit = required(wire.edit.as_ref(), "edit")?;
    let message = required(edit.message.as_deref(), "edit.message")?;
    let content: Content = content::read(message, errors)?;
    let target = target_ref(edit.original_message_id.clone())?;
    Ok((
        format!("{}:edited", wire.id),
        EventKind::Edited { target, content },
    ))
}

fn target_ref(id: String) -> Result<MessageRef, Unreadable> {
    if id.trim().is_empty() {
        return Err(Unreadable("`original_message_id` is missing".to_owned()));
    }
    Ok(MessageRef(id))
}

/// A person's number or user id changed: the contact stays, the addresses move on.
fn read_identity(
    scope: &mut Scope<'_>,
    wire: &WireMessage,
    party: &Party,
    at: Timestamp,
) -> Result<(), Unreadable> {
    let system = required(wire.system.as_ref(), "system")?;
    let collect = |ids: &[Option<&str>]| -> Vec<Address> {
        ids.iter().copied().flatten().filter_map(address).collect()
    };
    let new_number = system.wa_id.get().or(system.new_wa_id.get());
    let after = collect(&[
        new_number,
        system.user_id.get(),
        system.parent_user_id.get(),
    ]);
    let mut before = collect(&[system.previous_user_id.get(), system.customer.get()]);
    before.extend(
        party
            .addresses
            .iter()
            .filter(|known| !after.contains(known))
            .cloned(),
    );
    if before.is_empty() || after.is_empty() {
        return Ok(()); // `customer_identity_changed` means new encryption keys, not a new address.
    }
    let reason = system
        .kind
        .0
        .clone()
        .unwrap_or_else(|| "changed".to_owned());
    let change = IdentityChange {
        before,
        after,
        reason,
    };
    let key = format!("{}:identity", wire.id);
    scope
        .batch
        .push(key, at, scope.line.clone(), EventKind::Identity(change));
    Ok(())
}

fn context(wire: &WireMessage) -> Context {
    let empty = WireContext::default();
    let context = wire.context.as_ref().unwrap_or(&empty);
    let product = context.referred_product.as_ref().map(|product| {
        let text = |maybe: &crate::lenient::Maybe| maybe.0.clone().unwrap_or_default();
        (
            text(&product.catalog_id),
            text(&product.product_retailer_id),
        )
    });
    Context {
        reply_to: context.id.0.clone().map(MessageRef),
        forwarded: context.forwarded.unwrap_or_default(),
        frequently_forwarded: context.frequently_forwarded.unwrap_or_default(),
        product,
        referral: wire
            .referral
            .as_ref()
            .or(context.referral.as_ref())
            .map(referral),
        group_id: wire.group_id.0.clone(),
        opt_out: None,
        cost: None,
    }
}

fn referral(wire: &WireReferral) -> Referral {
    Referral {
        source_url: wire.source_url.0.clone(),
        source_id: wire.source_id.0.clone(),
        source_type: wire.source_type.0.clone(),
        headline: wire.headline.0.clone(),
        body: wire.body.0.clone(),
        media_url: wire.image_url.0.clone().or(wire.video_url.0.clone()),
        click_id: wire.ctwa_clid.0.clone(),
    }
}

/// An echo was sent; a message of the history says how far it had come.
fn outbound_status(wire: &WireMessage) -> DeliveryStatus {
    let word = wire
        .history_context
        .as_ref()
        .and_then(|history| history.status.get());
    word.and_then(|word| match word {
        "PENDING" => Some(DeliveryStatus::Sending),
        "ERROR" => Some(DeliveryStatus::Failed),
        word => statuses::status_of(&word.to_ascii_lowercase()),
    })
    .unwrap_or(DeliveryStatus::Sent)
}

pub(super) fn time(wire: &WireMessage) -> Result<Timestamp, Unreadable> {
    let text = wire
        .timestamp
        .get()
        .ok_or_else(|| Unreadable("`timestamp` is missing".to_owned()))?;
    unix_time(text).ok_or_else(|| Unreadable(format!("`timestamp` is no Unix time: {text}")))
}

/// The block of that name, which the message's type promises.
pub(super) fn required<'w, T>(block: Option<&'w T>, name: &str) -> Result<&'w T, Unreadable>
where
    T: ?Sized,
{
    block.ok_or_else(|| Unreadable(format!("the block `{name}` is missing")))
}

/// `title`, `message` and `details` of an error, without repeating each other.
pub(super) fn explain(error: &wire::WireError) -> Option<String> {
    let details = error
        .error_data
        .as_ref()
        .and_then(|data| data.details.get());
    details
        .or(error.message.get())
        .or(error.title.get())
        .map(ToOwned::to_owned)
}
