//! Messages, and the echoes of ours.
//! <https://doc.evolution-api.com/v2/en/configuration/webhooks>

use serde_json::Value;
use serde_json::value::RawValue;

use super::keys::Place;
use super::webhook::{Scope, Unreadable};
use super::wire::{WireMessage, time};
use super::{content, edits, statuses};
use crate::bridge::record::Record;
use crate::bridge::{ads, jids, says, surroundings};
use crate::{
    Channel, Content, Context, DeliveryStatus, Direction, EventKind, Message, MessageRef, Party,
    StatusChange,
};
use crate::{outside, unknown};

/// What surrounds what a message says.
const SURROUNDINGS: [&str; 9] = [
    "contextInfo",
    "instanceId",
    "key",
    "messageTimestamp",
    "messageType",
    "participant",
    "pushName",
    "source",
    "status",
];

/// Reads `messages.upsert`: what was written to us, and what was written on our own telephone or in a browser of ours. What
/// was sent through the API may be among it; it has the id under which the API answered. `messages.set` is the same, from a
/// chat's history.
pub(super) fn read(scope: &mut Scope<'_>, data: &RawValue) -> Result<(), Unreadable> {
    let wire: WireMessage = outside::part(data)?;
    let Some(place) = Place::read(&wire.key)? else {
        return Ok(());
    };
    let record = content::record(&wire);
    let at = time(&wire.message_timestamp);
    if let Some(edit) = record.encrypted_edit() {
        edits::encrypted(scope, &place, edit, record.kind, at);
        return Ok(());
    }
    // Where nothing was written, something happened in the chat.
    let happened = record.kind.is_empty() && !wire.message_stub_type.is_null();
    if record.is_noise() || happened {
        return Ok(());
    }
    let said = content::read(&record, &place.reference);
    let mut context = context(scope, &place, &record, &wire.context_info, &said.content);
    context.parts = said.parts.map(Box::new);
    let says = says::or_welcome(said.content, context.referral.is_some());
    let says = unknown::or_words(Ok::<_, Unreadable>(says), None, (data, &SURROUNDINGS));
    let status = match place.ours {
        true => Some(statuses::status_of(wire.status.get()).unwrap_or(DeliveryStatus::Sent)),
        false => None,
    };
    let name = if place.ours { None } else { wire.push_name.0.clone() };
    let key = format!("{}:message", place.reference.0);
    let message = Message {
        channel: Channel::Whatsapp,
        direction: if place.ours { Direction::Outbound } else { Direction::Inbound },
        context,
        content: says,
        status,
        historical: scope.event == "messages.set",
        reference: place.reference,
        party: Party { addresses: place.people, name, username: None },
    };
    scope.push(key, at, EventKind::Message(Box::new(message)));
    Ok(())
}

/// Reads `send.message`: the echo of what was sent through the server's API, which may come before the answer to the sending.
/// Whoever sent it has it already; the echo only says how far it is.
pub(super) fn read_echo(scope: &mut Scope<'_>, data: &RawValue) -> Result<(), Unreadable> {
    let wire: WireMessage = outside::part(data)?;
    let Some(place) = Place::read(&wire.key)?.filter(|place| place.ours) else {
        return Ok(());
    };
    let status = statuses::status_of(wire.status.get().or(Some("PENDING")))?;
    let key = format!("{}:{}", place.reference.0, status.word());
    let change = StatusChange {
        failure: statuses::failure(status),
        reference: place.reference,
        ours: None,
        status,
        recipient: None,
        pricing: None,
        cost: None,
    };
    scope.push(key, time(&wire.message_timestamp), EventKind::Status(change));
    scope.name(place.people);
    Ok(())
}

/// `beside` is the context that newer versions write beside the message.
fn context(
    scope: &Scope<'_>,
    place: &Place,
    record: &Record<'_>,
    beside: &Value,
    content: &Content,
) -> Context {
    let contexts = || record.contexts().chain([beside]);
    let reply_to = match content {
        // A reaction names its target itself.
        Content::Reaction { .. } => None,
        _ => surroundings::about(record)
            .or_else(|| surroundings::answered(contexts()))
            .map(|answered| quoted(scope, place, answered)),
    };
    let (forwarded, frequently_forwarded) = surroundings::forwarded(contexts());
    Context {
        reply_to,
        forwarded,
        frequently_forwarded,
        referral: ads::referral(contexts()),
        group_id: place.group_id(),
        ..Context::default()
    }
}

/// Our name for the message that is answered.
fn quoted(scope: &Scope<'_>, place: &Place, answered: surroundings::Answered<'_>) -> MessageRef {
    let author = answered.author.and_then(jids::person);
    let ours = scope.ours.as_slice();
    let by_author =
        || surroundings::is_of_ours(author.as_ref(), place.ours, &place.chat, ours, &place.people);
    jids::reference(answered.ours.unwrap_or_else(by_author), answered.id)
}
