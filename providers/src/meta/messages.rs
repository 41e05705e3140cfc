//! Messages of people, and echoes of messages that the business wrote on its telephone.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/reference/messages>

use serde_json::value::RawValue;

use super::content;
use super::envelope::{Scope, Unreadable, block, id, time};
use super::people::{self, People, Who};
use super::statuses;
use super::wire::{
    Edit, HistoryContext, Revoke, System, WireContext, WireMessage, WireReferral, Word,
};
use crate::outside;
use crate::{
    Channel, Context, DeliveryStatus, Direction, EventKind, IdentityChange, Message, MessageRef,
    Party, Referral, Timestamp,
};

/// Reads one of `value.messages[]`.
pub(super) fn read(
    scope: &mut Scope<'_>,
    people: &People<'_>,
    errors: &[&RawValue],
    raw: &RawValue,
) -> Result<(), Unreadable> {
    let wire: WireMessage<'_> = outside::part(raw)?;
    let at = time(wire.timestamp.get())?;
    let mut party = people.party(author(&wire));
    party.add(people::shared(&wire));
    if wire.kind == "system" {
        read_identity(scope, &wire, &mut party, at)?;
    }
    let envelope = Envelope { at, party, direction: Direction::Inbound, historical: false };
    push(scope, wire, errors, envelope)
}

/// Reads one of `value.message_echoes[]`: the contact is the recipient.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/reference/smb_message_echoes>
pub(super) fn read_echo(
    scope: &mut Scope<'_>,
    people: &People<'_>,
    raw: &RawValue,
) -> Result<(), Unreadable> {
    let wire: WireMessage<'_> = outside::part(raw)?;
    let envelope = Envelope {
        at: time(wire.timestamp.get())?,
        party: people.party(recipient(&wire)),
        direction: Direction::Outbound,
        historical: false,
    };
    push(scope, wire, &[], envelope)
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
    pub(super) historical: bool,
}

/// Adds a message, or what was done to one.
pub(super) fn push(
    scope: &mut Scope<'_>,
    wire: WireMessage<'_>,
    errors: &[&RawValue],
    envelope: Envelope,
) -> Result<(), Unreadable> {
    id(&wire.id, "id")?;
    let at = envelope.at;
    let mut changed_by = None;
    let key = |news: &str| format!("{}:{news}", wire.id);
    let (key, kind) = match wire.kind.as_ref() {
        "edit" => {
            changed_by = Some(envelope.party);
            (key("edited"), edited(&wire)?)
        }
        "revoke" => {
            changed_by = Some(envelope.party);
            (key("revoked"), revoked(&wire)?)
        }
        // The file follows under the same id, and must not be taken for a second delivery.
        "media_placeholder" => (key("placeholder"), written(wire, errors, envelope)?),
        _ => (key("message"), written(wire, errors, envelope)?),
    };
    scope.push(key, at, kind);
    if let Some(person) = changed_by {
        scope.name(person);
    }
    Ok(())
}

fn written(
    wire: WireMessage<'_>,
    errors: &[&RawValue],
    envelope: Envelope,
) -> Result<EventKind, Unreadable> {
    let Envelope { party, direction, historical, .. } = envelope;
    if party.addresses.is_empty() && wire.group_id.get().is_none() {
        return Err(Unreadable("the message names nobody at the other end".to_owned()));
    }
    let status = match direction {
        Direction::Inbound => None,
        Direction::Outbound => Some(outbound_status(&wire)?),
    };
    Ok(EventKind::Message(Box::new(Message {
        content: content::read(&wire, errors)?,
        context: context(&wire)?,
        reference: MessageRef(wire.id.into_owned()),
        channel: Channel::Whatsapp,
        direction,
        party,
        status,
        historical,
    })))
}

fn edited(wire: &WireMessage<'_>) -> Result<EventKind, Unreadable> {
    let edit: Edit<'_> = block(wire.edit, "edit")?;
    let message: WireMessage<'_> = block(Some(edit.message), "edit.message")?;
    let target = id(&edit.original_message_id, "original_message_id")?.to_owned();
    Ok(EventKind::Edited {
        target: MessageRef(target),
        content: content::read(&message, &message.errors)?,
    })
}

fn revoked(wire: &WireMessage<'_>) -> Result<EventKind, Unreadable> {
    let revoke: Revoke<'_> = block(wire.revoke, "revoke")?;
    let target = id(&revoke.original_message_id, "original_message_id")?.to_owned();
    Ok(EventKind::Revoked { target: MessageRef(target) })
}

/// A person's number or user id changed: the contact stays, the addresses move on. `party` becomes whoever they are
/// now, if the message itself does not name them.
fn read_identity(
    scope: &mut Scope<'_>,
    wire: &WireMessage<'_>,
    party: &mut Party,
    at: Timestamp,
) -> Result<(), Unreadable> {
    let message_id = id(&wire.id, "id")?;
    let system: System<'_> = block(wire.system, "system")?;
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
        return Ok(());
    }
    let reason = system.kind.owned().unwrap_or_else(|| "unspecified".to_owned());
    let change = IdentityChange { before, after, reason };
    let key = format!("{message_id}:identity");
    scope.push(key, at, EventKind::Identity(change));
    Ok(())
}

fn context(wire: &WireMessage<'_>) -> Result<Context, Unreadable> {
    let mut surroundings =
        Context { group_id: wire.group_id.clone().owned(), ..Context::default() };
    if wire.context.is_some() {
        let context: WireContext<'_> = block(wire.context, "context")?;
        surroundings.reply_to = context.id.owned().map(MessageRef);
        surroundings.forwarded = context.forwarded.unwrap_or_default();
        surroundings.frequently_forwarded = context.frequently_forwarded.unwrap_or_default();
        surroundings.product = context
            .referred_product
            .map(|product| (product.catalog_id.or_empty(), product.product_retailer_id.or_empty()));
        surroundings.referral = context.referral.map(referral);
    }
    if wire.referral.is_some() {
        surroundings.referral = Some(referral(block(wire.referral, "referral")?));
    }
    Ok(surroundings)
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

/// An echo was sent; a message of the history says how far it had come.
fn outbound_status(wire: &WireMessage<'_>) -> Result<DeliveryStatus, Unreadable> {
    if wire.history_context.is_none() {
        return Ok(DeliveryStatus::Sent);
    }
    let history: HistoryContext<'_> = block(wire.history_context, "history_context")?;
    Ok(match history.status.get() {
        None => DeliveryStatus::Sent,
        Some("PENDING") => DeliveryStatus::Sending,
        Some("ERROR") => DeliveryStatus::Failed,
        Some(word) => statuses::status_of(&word.to_ascii_lowercase())
            .ok_or_else(|| Unreadable(format!("unknown status `{word}` in `history_context`")))?,
    })
}
