//! A number's past, handed over when it is taken into the platform while it stays in use on a telephone. It comes as
//! chunks of threads; files follow by themselves, under the ids of the placeholders that stood for them.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/reference/history>

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::envelope::{Scope, Unreadable, id};
use super::messages::{self, Envelope, author, recipient, time_of};
use super::people::{People, Who};
use super::wire::{HistoryChunk, Thread, WireMessage};
use super::{content, notices};
use crate::outside;
use crate::{Address, Direction, EventKind, MessageRef, Notice, Party, Severity};

/// Reads one of `value.history[]`: threads of old messages, and how far the import is.
pub(super) fn read(scope: &mut Scope<'_>, raw: &RawValue) -> Result<(), Unreadable> {
    let chunk: HistoryChunk<'_> = outside::part(raw)?;
    if !chunk.errors.is_empty() {
        return notices::read_errors(scope, "history", &chunk.errors, raw);
    }
    if chunk.metadata.is_empty() && chunk.threads.is_empty() {
        return Err(Unreadable("the chunk says nothing".to_owned()));
    }
    scope.each("threads", &chunk.threads, read_thread);
    let digest = Sha256::digest(raw.get());
    let key = format!("history:{}", hex::encode(&digest[..16]));
    let notice = EventKind::Notice(progress(chunk.metadata));
    scope.push(key, scope.at, notice);
    Ok(())
}

fn progress(metadata: Map<String, Value>) -> Notice {
    let show = |name: &str| metadata.get(name).map_or("?".to_owned(), Value::to_string);
    let (phase, chunk) = (show("phase"), show("chunk_order"));
    let percent = show("progress");
    Notice {
        topic: "history".to_owned(),
        title: format!("History import: phase {phase}, chunk {chunk}, {percent} % done"),
        severity: Severity::Info,
        number: None,
        template: None,
        preference: None,
        data: Value::Object(metadata),
    }
}

fn read_thread(scope: &mut Scope<'_>, raw: &RawValue) -> Result<(), Unreadable> {
    let thread: Thread<'_> = outside::part(raw)?;
    let context = thread.context.unwrap_or_default();
    let who = Who {
        number: thread.id.get().or(context.wa_id.get()),
        user_id: context.user_id.get(),
        parent_user_id: context.parent_user_id.get(),
    };
    let name = |word: &super::wire::Word<'_>| word.get().map(ToOwned::to_owned);
    let profile = context.profile.as_ref();
    let party = Party {
        addresses: who.addresses(),
        name: profile.and_then(|profile| name(&profile.name)),
        username: profile.and_then(|profile| name(&profile.username)),
    };
    scope.each("messages", &thread.messages, |scope, raw| {
        let wire = WireMessage::read(raw)?;
        let direction = direction(scope, &wire, who.number);
        let other_side = match direction {
            Direction::Inbound => author(&wire),
            Direction::Outbound => recipient(&wire),
        };
        // The thread is one person's: what a message adds are ids of theirs.
        let mut party = party.clone();
        let ids = other_side.addresses().into_iter();
        party.add(ids.filter(|address| matches!(address, Address::WaUser(_))));
        let at = time_of(scope, &wire);
        let envelope = Envelope { at, party, historical: true, ..Envelope::new(direction) };
        messages::push(scope, &wire, &[], raw, envelope)
    });
    Ok(())
}

/// Reads one of `value.messages[]` of field `history`: the file of an old message, which is never news.
pub(super) fn read_file(
    scope: &mut Scope<'_>,
    people: &People<'_>,
    raw: &RawValue,
) -> Result<(), Unreadable> {
    let wire = WireMessage::read(raw)?;
    let at = time_of(scope, &wire);
    let direction = direction(scope, &wire, None);
    let party = people.party(match direction {
        Direction::Inbound => author(&wire),
        Direction::Outbound => recipient(&wire),
    });
    if direction == Direction::Outbound && party.addresses.is_empty() {
        // Meta leaves out whom we sent it to. The placeholder under the same id knows.
        let target = MessageRef(id(&wire.id, "id")?.to_owned());
        let content = content::read(&wire, &wire.errors, raw);
        let key = format!("{}:file", wire.id);
        scope.push(key, at, EventKind::Edited { target, content });
        return Ok(());
    }
    let envelope = Envelope { at, party, historical: true, ..Envelope::new(direction) };
    messages::push(scope, &wire, &[], raw, envelope)
}

/// Ours are the messages from our number, which Meta writes with or without punctuation. Where it does not name our
/// number, ours are those that are not from the contact.
fn direction(scope: &Scope<'_>, wire: &WireMessage<'_>, contact: Option<&str>) -> Direction {
    let Some(from) = wire.from.get() else {
        return Direction::Inbound;
    };
    let is_ours = match (scope.number.as_deref(), contact) {
        (Some(ours), _) => same_digits(from, ours),
        (None, Some(contact)) => !same_digits(from, contact),
        (None, None) => wire.to.get().is_some(),
    };
    if is_ours { Direction::Outbound } else { Direction::Inbound }
}

fn same_digits(left: &str, right: &str) -> bool {
    let left = left.bytes().filter(u8::is_ascii_digit);
    left.eq(right.bytes().filter(u8::is_ascii_digit))
}
