//! How far messages of ours have come.
//! <https://waha.devlike.pro/docs/how-to/events/#messageack>

use serde_json::Value;
use serde_json::value::RawValue;

use super::errors;
use super::ids::{self, Chat, Id};
use super::webhook::{Scope, Unreadable};
use super::wire::Ack;
use crate::outside;
use crate::{Address, DeliveryStatus, EventKind, StatusChange, StatusFailure};

/// The code of a failure for which WhatsApp gave none.
const NO_CODE: &str = "ERROR";

/// Reads `message.ack` or `message.ack.group`.
pub(super) fn read(scope: &mut Scope<'_>, payload: &RawValue) -> Result<(), Unreadable> {
    let wire: Ack = outside::part(payload)?;
    let id = wire.id.get().and_then(Id::read);
    let id = id.ok_or_else(|| Unreadable("`id` is no id".to_owned()))?;
    // What became of a message of theirs is our own reading of it.
    if !id.from_me.or(wire.from_me).unwrap_or(true) {
        return Ok(());
    }
    let chat = id.chat.or(wire.to.get()).or(wire.from.get()).and_then(Chat::read);
    let recipient = match chat {
        Some(Chat::Public) => return Ok(()),
        Some(Chat::Group(_)) => {
            let author = wire.participant.get().or(id.author).and_then(ids::person);
            author.map(|address| address.value().to_owned())
        }
        _ => None,
    };
    let status = status_of(wire.ack.get(), wire.ack_name.get())?;
    let reference = id.reference(true);
    let mut key = format!("{}:{}", reference.0, status.word());
    if let Some(recipient) = &recipient {
        key = format!("{key}:{recipient}");
    }
    let person = recipient_of(&wire, id);
    let change = StatusChange {
        reference,
        ours: None,
        status,
        recipient,
        failure: failure(status, &wire),
        pricing: None,
        cost: None,
    };
    scope.push(key, None, EventKind::Status(change));
    scope.name(person);
    Ok(())
}

/// Where engines write the other JID of whoever confirms, NOWEB's first. GOWS tells who confirms, in `Sender`: that may be a
/// device of ours, whose other JID is nobody's but ours.
const CHAT_ALTERNATIVES: [&str; 2] = ["/key/remoteJidAlt", "/key/recipientPn"];
const AUTHOR_ALTERNATIVES: [&str; 2] = ["/key/participantAlt", "/key/participantPn"];

/// The addresses of whoever confirms: the other side of a chat, or one of a group.
fn recipient_of(wire: &Ack, id: Id<'_>) -> Vec<Address> {
    let chat = id.chat.or(wire.to.get()).and_then(ids::person);
    let author = wire.participant.get().or(id.author).and_then(ids::person);
    let is_group = chat.is_none();
    let at = |place: &str| wire.data.pointer(place).and_then(Value::as_str).and_then(ids::person);
    let named = if is_group { author } else { chat };
    let sender = at("/Sender").filter(|sender| Some(sender) == named.as_ref());
    let of_sender = sender.and_then(|_| at("/SenderAlt"));
    let of_chat = at("/RecipientAlt").filter(|_| !is_group && wire.data["IsFromMe"] == true);
    let places = if is_group { AUTHOR_ALTERNATIVES } else { CHAT_ALTERNATIVES };
    let others = places.into_iter().filter_map(at);
    let to = wire.to.get().and_then(ids::person).filter(|_| !is_group);
    named.into_iter().chain(others).chain(of_sender).chain(of_chat).chain(to).collect()
}

/// The status of WAHA's number for it, or of its name, where the number is missing.
pub(super) fn status_of(
    number: Option<&str>,
    name: Option<&str>,
) -> Result<DeliveryStatus, Unreadable> {
    Ok(match (number, name) {
        (Some("-1"), _) | (None, Some("ERROR")) => DeliveryStatus::Failed,
        (Some("0"), _) | (None, Some("PENDING")) => DeliveryStatus::Sending,
        (Some("1"), _) | (None, Some("SERVER")) => DeliveryStatus::Sent,
        (Some("2"), _) | (None, Some("DEVICE")) => DeliveryStatus::Delivered,
        (Some("3"), _) | (None, Some("READ")) => DeliveryStatus::Read,
        (Some("4"), _) | (None, Some("PLAYED")) => DeliveryStatus::Played,
        (given, name) => {
            let given = given.or(name).unwrap_or("missing");
            return Err(Unreadable(format!("unknown `ack`: {given}")));
        }
    })
}

fn failure(status: DeliveryStatus, wire: &Ack) -> Option<StatusFailure> {
    if status != DeliveryStatus::Failed {
        return None;
    }
    let error = wire.error.as_ref();
    let code = error.and_then(|error| error.code.0.clone()).unwrap_or_else(|| NO_CODE.to_owned());
    let reason = error.and_then(|error| error.reason.0.clone());
    Some(StatusFailure { detail: reason, class: errors::class_of(&code), code })
}
