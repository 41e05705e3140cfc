//! Delivery statuses of messages of ours.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/reference/messages/status>

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::messages::explain;
use super::webhook::{Scope, Unreadable};
use super::wire::{Status, WireError};
use super::{calls, errors};
use crate::lenient::unix_time;
use crate::{DeliveryStatus, EventKind, MessageRef, StatusChange, StatusFailure};

/// Legacy values that say nothing about delivery: the person deleted the message on their side, or a catalogue item
/// is gone.
const WITHOUT_NEWS: [&str; 2] = ["deleted", "warning"];

/// Reads one of `value.statuses[]`.
pub(super) fn read(scope: &mut Scope<'_>, raw: &RawValue) -> Result<(), Unreadable> {
    let wire: Status = serde_json::from_str(raw.get())?;
    if wire.id.trim().is_empty() {
        return Err(Unreadable("the status has no `id`".to_owned()));
    }
    let at = wire.timestamp.get().and_then(unix_time);
    let at = at.ok_or_else(|| Unreadable("`timestamp` is missing or no Unix time".to_owned()))?;
    if wire.kind.get() == Some("call") {
        return calls::read_status(scope, &wire, at);
    }
    if WITHOUT_NEWS.contains(&wire.status.as_str()) {
        return Ok(());
    }
    let status = status_of(&wire.status)
        .ok_or_else(|| Unreadable(format!("unknown status `{}`", wire.status)))?;
    let is_group = wire.recipient_type.get() == Some("group");
    let participant = wire
        .recipient_participant_id
        .0
        .clone()
        .or(wire.recipient_participant_user_id.0.clone());
    let recipient = if is_group { participant } else { None };
    let key = match &recipient {
        Some(recipient) => format!("{}:{}:{recipient}", wire.id, status.word()),
        None => format!("{}:{}", wire.id, status.word()),
    };
    let change = StatusChange {
        failure: failure(status, &wire.errors),
        pricing: pricing(&wire),
        reference: MessageRef(wire.id),
        ours: wire.biz_opaque_callback_data.0,
        status,
        recipient,
        cost: None,
    };
    scope
        .batch
        .push(key, at, scope.line.clone(), EventKind::Status(change));
    Ok(())
}

/// Meta's word for a status, in lower case.
pub(super) fn status_of(word: &str) -> Option<DeliveryStatus> {
    Some(match word {
        "sent" => DeliveryStatus::Sent,
        "delivered" => DeliveryStatus::Delivered,
        "read" => DeliveryStatus::Read,
        "played" => DeliveryStatus::Played,
        "failed" => DeliveryStatus::Failed,
        _ => return None,
    })
}

fn failure(status: DeliveryStatus, wire: &[WireError]) -> Option<StatusFailure> {
    if status != DeliveryStatus::Failed {
        return None;
    }
    let error = wire.first()?;
    let code = error.code.0.clone().unwrap_or_else(|| "unknown".to_owned());
    let cause = errors::class_of(&code).cause();
    Some(StatusFailure {
        code,
        detail: explain(error),
        cause,
    })
}

/// `pricing` and `conversation`, as Meta wrote them; either may be missing.
fn pricing(wire: &Status) -> Option<Value> {
    let mut pricing = match &wire.pricing {
        Some(Value::Object(members)) => members.clone(),
        _ => Map::new(),
    };
    if let Some(conversation) = &wire.conversation {
        pricing.insert("conversation".to_owned(), conversation.clone());
    }
    (!pricing.is_empty()).then_some(Value::Object(pricing))
}
