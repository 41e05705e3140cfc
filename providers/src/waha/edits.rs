//! Messages that were changed or taken back by their author.
//! <https://waha.devlike.pro/docs/how-to/events/#messageedited>

use serde_json::Value;
use serde_json::value::RawValue;

use super::content::{self, Raw};
use super::envelopes::{Envelope, reference};
use super::ids::{Chat, Id};
use super::webhook::{Scope, Unreadable};
use super::wire::{Revoked, WireMessage, time};
use crate::bridge::record::{Encrypted, Record};
use crate::bridge::values::{find, long, member};
use crate::bridge::{jids, says};
use crate::lenient::{Maybe, unix_time};
use crate::{Address, Content, EventKind, MessageRef, Timestamp};
use crate::{outside, unknown};

/// Reads `message.edited`. The payload is the edit; it names the message that it changes.
pub(super) fn read(scope: &mut Scope<'_>, payload: &RawValue) -> Result<(), Unreadable> {
    let wire: WireMessage<'_> = outside::part(payload)?;
    let raw = Raw::of(&wire);
    let Some(envelope) = Envelope::of(&wire, &raw)? else {
        return Ok(());
    };
    let record = raw.record();
    let encrypted = record.encrypted_edit().map(|edit| target_of(&envelope, edit));
    let target = match (wire.edited_message_id.get(), encrypted) {
        (Some(_), _) => reference(&wire.edited_message_id, envelope.ours, "editedMessageId")?,
        (None, Some(target)) => target,
        (None, None) => envelope.reference.clone(),
    };
    let is_own = target != envelope.reference;
    let content = unknown::edited(content::read(&wire, &raw, &record, envelope.id).content);
    // What has an id of its own is as old as it says. Engines that show the changed message itself tell when that was written,
    // and name it the same way at each edit, so that only the event tells one from the next.
    let at = edited_at(&raw).or_else(|| time(&wire.timestamp).filter(|_| is_own));
    let key = match &content {
        Content::Unsupported { .. } if is_own => unreadable_key(&envelope),
        _ => format!("{}:edited:{}", envelope.reference.0, scope.id),
    };
    scope.push(key, at, EventKind::Edited { target, content });
    scope.name(envelope.party.addresses);
    Ok(())
}

/// Reads a message that says nothing but that another one was changed, in words that could not be decrypted. WAHA may tell of it
/// as an edit as well.
pub(super) fn read_message(
    scope: &mut Scope<'_>,
    wire: &WireMessage<'_>,
    envelope: &Envelope<'_>,
    record: &Record<'_>,
) -> Result<(), Unreadable> {
    let missing = || Unreadable("`targetMessageKey` is missing".to_owned());
    let edit = record.encrypted_edit().ok_or_else(missing)?;
    let target = target_of(envelope, edit);
    let content = says::unsupported(record.kind);
    scope.push(
        unreadable_key(envelope),
        time(&wire.timestamp),
        EventKind::Edited { target, content },
    );
    scope.name(envelope.party.addresses.iter().cloned());
    Ok(())
}

fn unreadable_key(envelope: &Envelope<'_>) -> String {
    format!("{}:edited", envelope.reference.0)
}

/// The message that is changed. An option may be added to a poll of the other side's.
fn target_of(envelope: &Envelope<'_>, edit: Encrypted<'_>) -> MessageRef {
    jids::reference(envelope.ours == edit.by_its_author, edit.target)
}

/// When the message was changed, where the engine recorded it.
fn edited_at(raw: &Raw) -> Option<Timestamp> {
    let recorded = raw.record();
    let places = [raw.member("latestEditSenderTimestampMs"), member(recorded.held, "timestampMs")];
    places.into_iter().find_map(|at| unix_time(&long(at)?.to_string()))
}

/// Reads `message.revoked`. Some engines name the message, some show it as it was, some only the act of taking it back.
pub(super) fn read_revocation(scope: &mut Scope<'_>, payload: &RawValue) -> Result<(), Unreadable> {
    let wire: Revoked<'_> = outside::part(payload)?;
    let halves = [&wire.before, &wire.after];
    let halves = || halves.into_iter().flatten();
    let from_me = |half: &WireMessage<'_>| {
        half.id.get().and_then(Id::read).and_then(|id| id.from_me).or(half.from_me)
    };
    let ours = halves().find_map(from_me).unwrap_or_default();
    let of_payload = wire.data.and_then(|data| outside::part::<Value>(data).ok());
    let mut acts = halves().map(Raw::of).chain(of_payload.map(Raw::new));
    let recorded = Maybe(acts.find_map(|act| revoked(&act)));
    let before = wire.before.iter().map(|before| &before.id);
    let after = wire.after.iter().map(|after| &after.id);
    let named =
        [&wire.revoked_message_id].into_iter().chain(before).chain([&recorded]).chain(after);
    let id = named.into_iter().find(|id| id.get().is_some());
    let target = reference(id.unwrap_or(&Maybe(None)), ours, "revokedMessageId")?;
    let envelopes: Vec<_> = halves().map(|half| Envelope::of(half, &Raw::of(half))).collect();
    if envelopes.iter().any(|envelope| matches!(envelope, Ok(None))) {
        return Ok(());
    }
    // In a group the two halves may name two people: its author, and an administrator who took it back.
    let is_chat_of_two = |envelope: &&Envelope<'_>| {
        envelope.ours == ours && matches!(envelope.chat, Chat::Person(_))
    };
    let named = envelopes.iter().flatten().flatten().filter(is_chat_of_two);
    let people: Vec<Address> =
        named.flat_map(|envelope| envelope.party.addresses.iter().cloned()).collect();
    let at = wire.after.as_ref().and_then(|after| time(&after.timestamp));
    scope.push(format!("{}:revoked", target.0), at, EventKind::Revoked { target });
    scope.name(people);
    Ok(())
}

/// The id of the message that an engine's record of the act names.
fn revoked(act: &Raw) -> Option<String> {
    let record = act.record();
    let by_protocol = find(record.held, &["key"]).filter(|_| record.kind == "protocolMessage");
    let key = [Some(act.member("protocolMessageKey")), by_protocol];
    let key = key.into_iter().flatten().find(|key| key.is_object())?;
    let id = ["_serialized", "id"].into_iter().filter_map(|name| member(key, name).as_str());
    id.into_iter().find(|id| Id::read(id).is_some()).map(ToOwned::to_owned)
}
