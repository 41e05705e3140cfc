//! Delivery statuses of messages of ours.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/reference/messages/status>

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::envelope::{Scope, Unreadable, id, time};
use super::people::{People, Who};
use super::wire::Status;
use super::{calls, errors, notices};
use crate::outside;
use crate::{DeliveryStatus, EventKind, MessageRef, StatusChange, StatusFailure};

/// Legacy values that say nothing about delivery: the person deleted the message on their side, or a catalogue item
/// is gone.
const WITHOUT_NEWS: [&str; 2] = ["deleted", "warning"];

/// Reads one of `value.statuses[]`. It may tell both number and user id of the recipient.
pub(super) fn read(
    scope: &mut Scope<'_>,
    people: &People<'_>,
    raw: &RawValue,
) -> Result<(), Unreadable> {
    let wire: Status<'_> = outside::part(raw)?;
    id(&wire.id, "id")?;
    if wire.kind.get() == Some("payment") {
        return notices::read_payment(scope, &wire, raw);
    }
    let at = time(wire.timestamp.get())?;
    if wire.kind.get() == Some("call") {
        return calls::read_status(scope, people, &wire, at);
    }
    if WITHOUT_NEWS.contains(&wire.status.as_ref()) {
        return Ok(());
    }
    let status = status_of(&wire.status)
        .ok_or_else(|| Unreadable(format!("unknown status `{}`", wire.status)))?;
    let is_group = wire.recipient_type.get() == Some("group");
    let person = people.party(recipient(&wire, is_group));
    let participant = wire.recipient_participant_id.owned();
    let participant = participant.or(wire.recipient_participant_user_id.owned());
    let recipient = participant.filter(|_| is_group);
    let key = match &recipient {
        Some(recipient) => format!("{}:{}:{recipient}", wire.id, status.word()),
        None => format!("{}:{}", wire.id, status.word()),
    };
    let change = StatusChange {
        reference: MessageRef(wire.id.into_owned()),
        ours: wire.biz_opaque_callback_data.owned(),
        status,
        recipient,
        failure: failure(status, &wire.errors),
        pricing: pricing(wire.pricing, wire.conversation),
        cost: None,
    };
    scope.push(key, at, EventKind::Status(change));
    scope.name(person);
    Ok(())
}

/// Whom the message reached. In a group, that is one of those who take part.
pub(super) fn recipient<'w>(wire: &'w Status<'_>, is_group: bool) -> Who<'w> {
    match is_group {
        true => Who {
            number: wire.recipient_participant_id.get(),
            user_id: wire.recipient_participant_user_id.get(),
            parent_user_id: None,
        },
        false => Who {
            number: wire.recipient_id.get(),
            user_id: wire.recipient_user_id.get(),
            parent_user_id: wire.recipient_parent_user_id.get(),
        },
    }
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

/// Why it failed, if it did. Where no error can be read, it failed for a reason that we do not know.
fn failure(status: DeliveryStatus, errors: &[&RawValue]) -> Option<StatusFailure> {
    if status != DeliveryStatus::Failed {
        return None;
    }
    let error = errors::first(errors).unwrap_or_default();
    let detail = errors::explain(&error);
    let code = error.code.owned().unwrap_or_else(|| "unknown".to_owned());
    Some(StatusFailure { class: errors::class_of(&code), code, detail })
}

/// `pricing` and `conversation`, as Meta wrote them; either may be missing.
fn pricing(pricing: Option<Value>, conversation: Option<Value>) -> Option<Value> {
    let mut members = match pricing {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    };
    if let Some(conversation) = conversation {
        members.insert("conversation".to_owned(), conversation);
    }
    (!members.is_empty()).then_some(Value::Object(members))
}
