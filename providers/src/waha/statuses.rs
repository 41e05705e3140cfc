//! How far messages of ours have come.
//! <https://waha.devlike.pro/docs/how-to/events/#messageack>

use serde_json::value::RawValue;

use super::errors;
use super::ids::{self, Chat, Id};
use super::webhook::{Scope, Unreadable};
use super::wire::Ack;
use crate::outside;
use crate::{DeliveryStatus, EventKind, StatusChange, StatusFailure};

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
    Ok(())
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
