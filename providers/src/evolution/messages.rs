//! Messages, and the echoes of ours.
//! <https://doc.evolution-api.com/v2/en/configuration/webhooks>

use serde_json::Value;
use serde_json::value::RawValue;

use super::content::{self, Body};
use super::keys::Place;
use super::statuses;
use super::webhook::{Scope, Unreadable};
use super::wire::{WireMessage, time};
use crate::bridge::jids::{self, Chat};
use crate::{
    Address, Channel, Content, Context, DeliveryStatus, Direction, EventKind, Message, MessageRef,
    Party, Referral, StatusChange,
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
    let body = Body::of(&wire);
    if body.is_of_no_concern() {
        return Ok(());
    }
    let content = content::read(&body, &place.reference);
    let content = unknown::or_words(content, wire.message_type.get(), (data, &SURROUNDINGS));
    let status = match place.ours {
        true => Some(statuses::status_of(wire.status.get()).unwrap_or(DeliveryStatus::Sent)),
        false => None,
    };
    let name = if place.ours { None } else { wire.push_name.0.clone() };
    let key = format!("{}:message", place.reference.0);
    let message = Message {
        channel: Channel::Whatsapp,
        direction: if place.ours { Direction::Outbound } else { Direction::Inbound },
        context: context(scope, &place, &body, &content),
        content,
        status,
        historical: scope.event == "messages.set",
        reference: place.reference,
        party: Party { addresses: place.people, name, username: None },
    };
    scope.push(key, time(&wire.message_timestamp), EventKind::Message(Box::new(message)));
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

fn context(scope: &Scope<'_>, place: &Place, body: &Body<'_>, content: &Content) -> Context {
    let surroundings = body.context();
    let times = surroundings["forwardingScore"].as_i64().unwrap_or_default();
    let reply_to = match content {
        // A reaction names its target itself.
        Content::Reaction { .. } => None,
        _ => quoted(scope, place, surroundings),
    };
    Context {
        reply_to,
        forwarded: surroundings["isForwarded"] == true || times > 0,
        frequently_forwarded: times > 4,
        referral: referral(&surroundings["externalAdReply"]),
        group_id: place.group_id(),
        ..Context::default()
    }
}

/// The message that is answered. Its id is bare, so its author tells whose it is.
fn quoted(scope: &Scope<'_>, place: &Place, surroundings: &Value) -> Option<MessageRef> {
    let id = surroundings["stanzaId"].as_str().filter(|id| jids::is_bare_id(id))?;
    let is_ours = match surroundings["participant"].as_str().and_then(jids::person) {
        // People mostly answer what the other side wrote.
        None => !place.ours,
        Some(author) if scope.ours.as_ref() == Some(&author) => true,
        Some(author) if place.people.contains(&author) => false,
        // One of two people, named in a way in which only the other one is known: then it is the one who is not.
        Some(author) => {
            let is_known = |address: &Address| address.kind() == author.kind();
            matches!(place.chat, Chat::Person(_))
                && !scope.ours.as_ref().is_some_and(is_known)
                && place.people.iter().any(is_known)
        }
    };
    Some(jids::reference(is_ours, id))
}

/// The advertisement that brought them here, as WhatsApp writes it into the first message.
fn referral(shown: &Value) -> Option<Referral> {
    let text = |name: &str| {
        shown[name].as_str().filter(|text| !text.trim().is_empty()).map(ToOwned::to_owned)
    };
    // Previews of ordinary links are written the same way, without the advertisement's id.
    text("sourceId").or(text("ctwaClid"))?;
    Some(Referral {
        source_url: text("sourceUrl"),
        source_id: text("sourceId"),
        source_type: text("sourceType"),
        headline: text("title"),
        body: text("body"),
        media_url: text("mediaUrl").or(text("thumbnailUrl")),
        click_id: text("ctwaClid"),
    })
}
