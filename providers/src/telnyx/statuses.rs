//! How far messages of ours have come. The status stands at each recipient, not at the message.
//! <https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks>

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::answers::most_telling;
use super::errors::{self, DELIVERY_FAILED, EXPIRED, SENDING_FAILED};
use super::messages::{channel, money, reference};
use super::notices;
use super::routing::address;
use super::webhook::{Scope, Unreadable};
use super::wire::{WireError, WireMessage};
use crate::outside;
use crate::status_url::message_of;
use crate::{DeliveryStatus, EventKind, FailureClass, StatusChange, StatusFailure};

/// Reads `message.sent`, `message.finalized` or `message.read`: one change a recipient.
pub(super) fn read(scope: &mut Scope<'_>, payload: &RawValue) -> Result<(), Unreadable> {
    let wire: WireMessage = outside::part(payload)?;
    if channel(&wire).is_none() {
        return notices::read(scope, payload);
    }
    let reference = reference(&wire)?;
    // All of them or none: an event with one unreadable recipient is kept whole, and read again whole.
    let statuses = wire
        .to
        .0
        .iter()
        .map(|end| status(&scope.event_type, end.status.get()))
        .collect::<Result<Vec<_>, _>>()?;
    if statuses.is_empty() {
        return Err(Unreadable("the message names no recipient".to_owned()));
    }
    // The URL of the request is not signed, but the one in the body is: it is the same that we gave with the message.
    let ours = wire.webhook_url.get().and_then(message_of);
    // Telnyx tells of each recipient of a group by itself, and of the others in `cc`.
    let is_group = wire.to.0.len() + wire.cc.0.len() > 1;
    for (index, (end, status)) in wire.to.0.iter().zip(statuses).enumerate() {
        let recipient = address(end).map(|address| address.value().to_owned());
        let recipient = recipient.filter(|_| is_group);
        let is_first = index == 0;
        let change = StatusChange {
            reference: reference.clone(),
            ours: ours.clone(),
            status,
            recipient: recipient.clone(),
            failure: failure(status, index, &wire),
            // The price is that of the whole message, and told once.
            pricing: pricing(&wire).filter(|_| is_first),
            cost: wire.cost.as_ref().and_then(money).filter(|_| is_first),
        };
        scope.push(recipient.as_deref(), EventKind::Status(change));
    }
    Ok(())
}

/// What a recipient's status means.
fn status(event_type: &str, word: Option<&str>) -> Result<DeliveryStatus, Unreadable> {
    let word = match (event_type, word) {
        ("message.read", _) => "read",
        ("message.sent", None) => "sent",
        // Handsets outside Telnyx's network never confirm a group MMS: their last word is `unknown`.
        ("message.finalized", Some("unknown")) => "delivery_unconfirmed",
        (_, Some(word)) => word,
        (_, None) => return Err(Unreadable("a recipient has no `status`".to_owned())),
    };
    Ok(match word {
        "queued" | "scheduled" => DeliveryStatus::Queued,
        "sending" => DeliveryStatus::Sending,
        "sent" | "delivery_unconfirmed" => DeliveryStatus::Sent,
        "delivered" => DeliveryStatus::Delivered,
        "read" => DeliveryStatus::Read,
        EXPIRED | SENDING_FAILED | DELIVERY_FAILED => DeliveryStatus::Failed,
        "cancelled" | "canceled" => DeliveryStatus::Canceled,
        unknown => return Err(Unreadable(format!("unknown message status `{unknown}`"))),
    })
}

/// Why it failed, if it did.
fn failure(status: DeliveryStatus, index: usize, wire: &WireMessage) -> Option<StatusFailure> {
    if status != DeliveryStatus::Failed {
        return None;
    }
    let word = wire.to.0.get(index)?.status.get()?;
    let (code, class) = verdict(index, wire, word);
    let error = error_of(index, &wire.errors);
    let detail = error.and_then(|error| error.detail.get().or(error.title.get()));
    Some(StatusFailure { detail: detail.map(ToOwned::to_owned), class, code })
}

/// The code and class of what a recipient's message failed with. Without an error, the status itself, `word`, says whether
/// time ran out or the network refused; neither names a reason that could pass.
pub(super) fn verdict(index: usize, wire: &WireMessage, word: &str) -> (String, FailureClass) {
    match error_of(index, &wire.errors) {
        None => (word.to_owned(), errors::class_of(word)),
        Some(error) => {
            let code = error.code.get().unwrap_or("unknown");
            let class = errors::known_class(error).unwrap_or_else(|| errors::class_of(code));
            (code.to_owned(), class)
        }
    }
}

/// The most telling error that points at this recipient, else the one that points at nobody, else the one of all.
pub(super) fn error_of(index: usize, errors: &[WireError]) -> Option<&WireError> {
    let pointer = |error: &WireError| {
        let source = error.source.as_ref();
        source.and_then(|source| source.pointer.0.clone())
    };
    let this = format!("/to/{index}");
    let inside = format!("{this}/");
    let points_here = |error: &&WireError| {
        pointer(error).is_some_and(|pointer| pointer == this || pointer.starts_with(&inside))
    };
    let points_nowhere =
        |error: &&WireError| !pointer(error).is_some_and(|pointer| pointer.starts_with("/to/"));
    most_telling(errors.iter().filter(points_here))
        .or_else(|| most_telling(errors.iter().filter(points_nowhere)))
        .or_else(|| most_telling(errors.iter()))
}

/// How many parts were billed, and what the price is made of.
fn pricing(wire: &WireMessage) -> Option<Value> {
    let mut pricing = Map::new();
    if let Some(parts) = wire.parts.number() {
        pricing.insert("parts".to_owned(), parts.into());
    }
    if let Some(breakdown) = &wire.cost_breakdown {
        pricing.insert("cost_breakdown".to_owned(), breakdown.clone());
    }
    (!pricing.is_empty()).then_some(Value::Object(pricing))
}
