//! How far messages of ours have come, and which messages were taken back.
//! <https://doc.evolution-api.com/v2/en/configuration/webhooks>

use serde_json::value::RawValue;

use super::errors;
use super::webhook::{Scope, Unreadable};
use super::wire::Update;
use crate::bridge::jids::{self, Chat};
use crate::outside;
use crate::{Address, DeliveryStatus, EventKind, StatusChange, StatusFailure};

/// The code of a failure: Evolution gives no other.
const NO_CODE: &str = "ERROR";

/// What version 1 passes on where a message was taken back.
const REVOKED: [&str; 2] = ["1", "REVOKE"];

/// Reads `messages.update` or `messages.delete`.
pub(super) fn read(scope: &mut Scope<'_>, data: &RawValue) -> Result<(), Unreadable> {
    let wire: Update = outside::part(data)?;
    let key = wire.key.unwrap_or_default();
    let id = wire.key_id.get().or(key.id.get()).or(wire.id.get()).map(str::trim);
    let id = id.filter(|id| jids::is_bare_id(id));
    let id = id.ok_or_else(|| Unreadable("`keyId` is missing or no id".to_owned()))?;
    let ours = wire.from_me.or(key.from_me);
    let chat = wire.remote_jid.get().or(key.remote_jid.get()).and_then(Chat::read);
    if chat == Some(Chat::Public) {
        return Ok(());
    }
    let in_v1 = wire.update.as_ref().and_then(|update| update.status.get());
    let status = wire.status.get().or(in_v1);
    let named = match chat {
        Some(Chat::Group(_)) => {
            vec![&wire.participant, &wire.participant_alt, &key.participant, &key.participant_alt]
        }
        _ => vec![&wire.remote_jid, &wire.remote_jid_alt, &key.remote_jid, &key.remote_jid_alt],
    };
    let named = named.into_iter().filter_map(|jid| jid.get().and_then(jids::person));
    let people: Vec<Address> = named.collect();
    let done = wire.update.as_ref().and_then(|update| update.done.get());
    if scope.event == "messages.delete" || done.is_some_and(|done| REVOKED.contains(&done)) {
        let target = jids::reference(ours.unwrap_or_default(), id);
        scope.push(format!("{}:revoked", target.0), None, EventKind::Revoked { target });
        scope.name(people);
        return Ok(());
    }
    // What became of a message of theirs is our own reading of it; an update without a status is a vote in a poll. `DELETED` is
    // said of every update that has no status, an encrypted edit for instance; what was taken back comes as `messages.delete`.
    if ours == Some(false) || status.is_none_or(|status| status == "DELETED") {
        return Ok(());
    }
    let status = status_of(status)?;
    let author = wire.participant.get().or(key.participant.get()).and_then(jids::person);
    let recipient = match chat {
        Some(Chat::Group(_)) => author.map(|address| address.value().to_owned()),
        _ => None,
    };
    let reference = jids::reference(true, id);
    let mut key = format!("{}:{}", reference.0, status.word());
    if let Some(recipient) = &recipient {
        key = format!("{key}:{recipient}");
    }
    let failure = failure(status);
    let change = StatusChange {
        reference,
        ours: None,
        status,
        recipient,
        failure,
        pricing: None,
        cost: None,
    };
    scope.push(key, None, EventKind::Status(change));
    scope.name(people);
    Ok(())
}

/// The status of Evolution's word for it, or of the number that version 1 passes on.
pub(super) fn status_of(word: Option<&str>) -> Result<DeliveryStatus, Unreadable> {
    Ok(match word.unwrap_or("missing") {
        "ERROR" | "0" => DeliveryStatus::Failed,
        "PENDING" | "1" => DeliveryStatus::Sending,
        "SERVER_ACK" | "2" => DeliveryStatus::Sent,
        "DELIVERY_ACK" | "3" => DeliveryStatus::Delivered,
        "READ" | "4" => DeliveryStatus::Read,
        "PLAYED" | "5" => DeliveryStatus::Played,
        other => return Err(Unreadable(format!("unknown `status`: {other}"))),
    })
}

/// Why it failed, if it did.
pub(super) fn failure(status: DeliveryStatus) -> Option<StatusFailure> {
    (status == DeliveryStatus::Failed).then(|| StatusFailure {
        code: NO_CODE.to_owned(),
        detail: None,
        class: errors::class_of(NO_CODE),
    })
}
