//! Messages that were changed or taken back by their author.
//! <https://doc.evolution-api.com/v2/en/configuration/webhooks>

use serde_json::Value;
use serde_json::value::RawValue;

use super::content;
use super::keys::Place;
use super::webhook::{Scope, Unreadable};
use super::wire::{Key, time};
use crate::bridge::jids::{self, Chat};
use crate::bridge::record::{Encrypted, Record};
use crate::bridge::says;
use crate::{Address, EventKind, MessageRef};
use crate::{outside, unknown};

/// The numbers by which WhatsApp's protocol knows what was done, and their names.
const REVOKE: [&str; 2] = ["0", "REVOKE"];

/// Reads `messages.edited`: the record of the change as WhatsApp sent it, by itself or inside the message that brought it.
pub(super) fn read(scope: &mut Scope<'_>, data: &RawValue) -> Result<(), Unreadable> {
    let data_value: Value = outside::part(data)?;
    let places = ["/message/protocolMessage", "/message/editedMessage/message/protocolMessage"];
    let inside = places.iter().find_map(|at| data_value.pointer(at));
    let record = inside.unwrap_or(&data_value);
    let key: Key = serde_json::from_value(record["key"].clone())?;
    let id = key.id.get().map(str::trim).filter(|id| jids::is_bare_id(id));
    let id = id.ok_or_else(|| Unreadable("`key.id` is missing or no id".to_owned()))?;
    let whose = match inside.and_then(|_| data_value["key"]["fromMe"].as_bool()) {
        // The message that brought the change was read by our own device, which knows who we are.
        Some(ours) => vec![ours],
        None => authors(scope.ours.as_ref(), &key),
    };
    let is_public = |jid: &str| Chat::read(jid) == Some(Chat::Public);
    if key.remote_jid.get().is_some_and(is_public) {
        return Ok(());
    }
    let kind = match &record["type"] {
        Value::String(word) => word.clone(),
        other => other.to_string(),
    };
    let at = time(&record["timestampMs"]).or_else(|| time(&data_value["messageTimestamp"]));
    // The message that brought the change names the chat as our own device sees it.
    let chat = inside.and_then(|_| serde_json::from_value(data_value["key"].clone()).ok());
    let place = chat.and_then(|key: Key| Place::read(&key).ok().flatten());
    let people = place.map(|place| place.people).unwrap_or_default();
    for ours in whose {
        let target = jids::reference(ours, id);
        if record["editedMessage"].is_object() {
            edited(scope, &target, record, data, at);
            scope.name(people.iter().cloned());
        } else if REVOKE.contains(&kind.as_str()) {
            let key = format!("{}:revoked", target.0);
            scope.push(key, at, EventKind::Revoked { target });
            scope.name(people.iter().cloned());
        }
    }
    Ok(())
}

fn edited(
    scope: &mut Scope<'_>,
    target: &MessageRef,
    record: &Value,
    data: &RawValue,
    at: Option<crate::Timestamp>,
) {
    let content = content::read(&Record::open(&record["editedMessage"], None), target).content;
    let content = unknown::edited(content);
    // The time of the message that brought the edit is only fine to the second, in which there may be two.
    let when = time(&record["timestampMs"]).map(|at| at.timestamp_millis().to_string());
    let when = when.unwrap_or_else(|| scope.digest(data));
    let key = format!("{}:edited:{when}", target.0);
    let target = target.clone();
    scope.push(key, at, EventKind::Edited { target, content });
}

/// Says of a message that it was changed, by a message whose words the bridge could not decrypt.
pub(super) fn encrypted(
    scope: &mut Scope<'_>,
    place: &Place,
    edit: Encrypted<'_>,
    kind: &str,
    at: Option<crate::Timestamp>,
) {
    // An option may be added to a poll of the other side's.
    let target = jids::reference(place.ours == edit.by_its_author, edit.target);
    let key = format!("{}:edited", place.reference.0);
    scope.push(key, at, EventKind::Edited { target, content: says::unsupported(kind) });
    scope.name(place.people.iter().cloned());
}

/// Whose message the record may mean. It is written from its author's side: there `fromMe` is always true, and the chat is
/// named after us if it is theirs. Our own LID is never told, so of a chat under a LID both may be meant; the id, which is made
/// up at random, then finds the one that there is.
fn authors(ours: Option<&Address>, key: &Key) -> Vec<bool> {
    if key.from_me == Some(false) {
        // Somebody else's, taken back by a group's administrator.
        return vec![false];
    }
    let chat = [key.remote_jid.get(), key.remote_jid_alt.get()];
    let people: Vec<Address> = chat.into_iter().flatten().filter_map(jids::person).collect();
    match ours {
        Some(ours) if people.contains(ours) => vec![false],
        Some(_) if people.iter().any(|person| matches!(person, Address::Phone(_))) => vec![true],
        _ => vec![true, false],
    }
}
