//! Messages of people, and echoes of messages that the business wrote on its telephone.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/reference/messages>

use serde_json::value::RawValue;

use super::content;
use super::envelope::{Scope, Unreadable, block, id};
use super::people::{self, People, Who};
use super::statuses;
use super::wire::{
    Edit, HistoryContext, Revoke, System, WireContext, WireMessage, WireReferral, Word,
};
use crate::content::PLACEHOLDER;
use crate::lenient::unix_time;
use crate::{
    Channel, Context, DeliveryStatus, Direction, EventKind, IdentityChange, Message, MessageRef,
    Party, Referral, Timestamp,
};
use crate::{outside, unknown};

/// Reads one of `value.messages[]`.
pub(super) fn read(
    scope: &mut Scope<'_>,
    people: &People<'_>,
    errors: &[&RawValue],
    raw: &RawValue,
) -> Result<(), Unreadable> {
    let wire = WireMessage::read(raw)?;
    let at = time_of(scope, &wire);
    let mut party = people.party(author(&wire));
    party.add(people::shared(&wire));
    if wire.kind == "system" {
        read_identity(scope, &wire, &mut party, at);
    }
    let envelope = Envelope { at, party, ..Envelope::new(Direction::Inbound) };
    push(scope, &wire, errors, raw, envelope)
}

/// Reads one of `value.message_echoes[]`: the contact is the recipient. `by` is who wrote it, where that was no person.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/reference/smb_message_echoes>
pub(super) fn read_echo(
    scope: &mut Scope<'_>,
    people: &People<'_>,
    by: Option<&'static str>,
    raw: &RawValue,
) -> Result<(), Unreadable> {
    let wire = WireMessage::read(raw)?;
    let envelope = Envelope {
        at: time_of(scope, &wire),
        party: people.party(recipient(&wire)),
        by,
        ..Envelope::new(Direction::Outbound)
    };
    push(scope, &wire, &[], raw, envelope)
}

/// When it was written. Where that is not told, or cannot be understood, it is news of when we were told of it.
pub(super) fn time_of(scope: &Scope<'_>, wire: &WireMessage<'_>) -> Timestamp {
    wire.timestamp.get().and_then(unix_time).unwrap_or(scope.at)
}

/// Who wrote it.
pub(super) fn author<'w>(wire: &'w WireMessage<'_>) -> Who<'w> {
    Who {
        number: wire.from.get(),
        user_id: wire.from_user_id.get(),
        parent_user_id: wire.from_parent_user_id.get(),
    }
}

/// Whom it was written to, which is only told of messages that the business wrote.
pub(super) fn recipient<'w>(wire: &'w WireMessage<'_>) -> Who<'w> {
    Who {
        number: wire.to.get(),
        user_id: wire.to_user_id.get(),
        parent_user_id: wire.to_parent_user_id.get(),
    }
}

/// What is known of a message beside its own JSON.
pub(super) struct Envelope {
    pub(super) at: Timestamp,
    pub(super) party: Party,
    pub(super) direction: Direction,
    pub(super) by: Option<&'static str>,
    pub(super) historical: bool,
}

impl Envelope {
    /// Of a message of which nothing else is known yet.
    pub(super) fn new(direction: Direction) -> Self {
        let (at, party) = (Timestamp::UNIX_EPOCH, Party::default());
        Self { at, party, direction, by: None, historical: false }
    }
}

/// Adds a message, or what was done to one. `raw` is all of it.
pub(super) fn push(
    scope: &mut Scope<'_>,
    wire: &WireMessage<'_>,
    errors: &[&RawValue],
    raw: &RawValue,
    envelope: Envelope,
) -> Result<(), Unreadable> {
    let reference = id(&wire.id, "id")?;
    let at = envelope.at;
    let (news, kind, changed_by) = match done(wire) {
        Some((news, kind)) => (news, kind, Some(envelope.party)),
        // The file follows under the same id, and must not be taken for a second delivery.
        None if wire.kind == PLACEHOLDER => {
            ("placeholder", written(wire, errors, raw, envelope)?, None)
        }
        None => ("message", written(wire, errors, raw, envelope)?, None),
    };
    scope.push(format!("{reference}:{news}"), at, kind);
    if let Some(person) = changed_by {
        scope.name(person);
    }
    Ok(())
}

/// What was done to another message, in a word, if it is that and can be read.
pub(super) fn done(wire: &WireMessage<'_>) -> Option<(&'static str, EventKind)> {
    match wire.kind.as_ref() {
        "edit" => edited(wire).ok().map(|kind| ("edited", kind)),
        "revoke" => revoked(wire).ok().map(|kind| ("revoked", kind)),
        _ => None,
    }
}

fn written(
    wire: &WireMessage<'_>,
    errors: &[&RawValue],
    raw: &RawValue,
    envelope: Envelope,
) -> Result<EventKind, Unreadable> {
    let Envelope { party, direction, by, historical, .. } = envelope;
    if party.addresses.is_empty() && wire.group_id.get().is_none() {
        return Err(Unreadable("the message names nobody at the other end".to_owned()));
    }
    let status = match direction {
        Direction::Inbound => None,
        Direction::Outbound => Some(outbound_status(wire)),
    };
    Ok(EventKind::Message(Box::new(Message {
        content: content::read(wire, errors, raw),
        context: Context { by: by.map(ToOwned::to_owned), ..context(wire) },
        reference: MessageRef(wire.id.clone().into_owned()),
        channel: Channel::Whatsapp,
        direction,
        party,
        status,
        historical,
    })))
}

fn edited(wire: &WireMessage<'_>) -> Result<EventKind, Unreadable> {
    let edit: Edit<'_> = block(wire.edit, "edit")?;
    let message = WireMessage::read(edit.message)?;
    let target = id(&edit.original_message_id, "original_message_id")?.to_owned();
    let content = unknown::edited(content::read(&message, &message.errors, edit.message));
    Ok(EventKind::Edited { target: MessageRef(target), content })
}

fn revoked(wire: &WireMessage<'_>) -> Result<EventKind, Unreadable> {
    let revoke: Revoke<'_> = block(wire.revoke, "revoke")?;
    let target = id(&revoke.original_message_id, "original_message_id")?.to_owned();
    Ok(EventKind::Revoked { target: MessageRef(target) })
}

/// A person's number or user id changed: the contact stays, the addresses move on. `party` becomes whoever they are
/// now, if the message itself does not name them.
fn read_identity(scope: &mut Scope<'_>, wire: &WireMessage<'_>, party: &mut Party, at: Timestamp) {
    let read = id(&wire.id, "id").and_then(|id| Ok((id, block(wire.system, "system")?)));
    let Ok((message_id, system)) = read else { return };
    let system: System<'_> = system;
    let after = Who {
        number: system.wa_id.get().or(system.new_wa_id.get()),
        user_id: system.user_id.get(),
        parent_user_id: system.parent_user_id.get(),
    };
    let before = Who {
        number: system.customer.get(),
        user_id: system.previous_user_id.get(),
        parent_user_id: system.previous_parent_user_id.get(),
    };
    let after = after.addresses();
    let mut before = before.addresses();
    before.extend_from_slice(&party.addresses);
    let mut seen = Vec::new();
    before.retain(|address| {
        let is_news = !after.contains(address) && !seen.contains(address);
        seen.push(address.clone());
        is_news
    });
    if party.addresses.is_empty() {
        party.addresses.clone_from(&after);
    }
    // `customer_identity_changed` means new encryption keys, not a new address: there is no `after`.
    if before.is_empty() || after.is_empty() {
        return;
    }
    let reason = system.kind.owned().unwrap_or_else(|| "unspecified".to_owned());
    let change = IdentityChange { before, after, reason };
    let key = format!("{message_id}:identity");
    scope.push(key, at, EventKind::Identity(change));
}

/// What surrounds a message. What of it cannot be read costs no message.
pub(super) fn context(wire: &WireMessage<'_>) -> Context {
    let mut surroundings =
        Context { group_id: wire.group_id.clone().owned(), ..Context::default() };
    let part = wire.context.and_then(|raw| outside::part::<WireContext<'_>>(raw).ok());
    if let Some(context) = part {
        surroundings.reply_to = context.id.owned().or(context.message_id.owned()).map(MessageRef);
        surroundings.forwarded = context.forwarded.unwrap_or_default();
        surroundings.frequently_forwarded = context.frequently_forwarded.unwrap_or_default();
        surroundings.product = context
            .referred_product
            .map(|product| (product.catalog_id.or_empty(), product.product_retailer_id.or_empty()));
        surroundings.referral = context.referral.map(referral);
    }
    let part = wire.referral.and_then(|raw| outside::part(raw).ok());
    if let Some(shown) = part {
        surroundings.referral = Some(referral(shown));
    }
    surroundings
}

fn referral(wire: WireReferral<'_>) -> Referral {
    let media = [wire.image_url, wire.video_url, wire.thumbnail_url];
    Referral {
        source_url: wire.source_url.owned(),
        source_id: wire.source_id.owned(),
        source_type: wire.source_type.owned(),
        headline: wire.headline.owned(),
        body: wire.body.owned(),
        media_url: media.into_iter().find_map(Word::owned),
        click_id: wire.ctwa_clid.owned(),
    }
}

/// An echo was sent; a message of the history says how far it had come, if in a word that we know.
fn outbound_status(wire: &WireMessage<'_>) -> DeliveryStatus {
    let history =
        wire.history_context.and_then(|raw| outside::part::<HistoryContext<'_>>(raw).ok());
    match history.unwrap_or_default().status.get() {
        Some("PENDING") => DeliveryStatus::Sending,
        Some("ERROR") => DeliveryStatus::Failed,
        Some(word) => {
            statuses::status_of(&word.to_ascii_lowercase()).unwrap_or(DeliveryStatus::Sent)
        }
        None => DeliveryStatus::Sent,
    }
}
