//! Messages, and what is done to them: reactions, edits, revocations.
//! <https://waha.devlike.pro/docs/how-to/events/#message>

use serde_json::value::RawValue;

use super::content::{self, Raw};
use super::ids::{self, Chat, Id};
use super::statuses;
use super::webhook::{Scope, Unreadable};
use super::wire::{ReplyTo, Revoked, WireMessage, time};
use crate::lenient::Maybe;
use crate::{
    Address, Channel, Content, Context, DeliveryStatus, Direction, EventKind, Message, MessageRef,
    Party, StatusChange,
};
use crate::{outside, unknown};

/// What surrounds what a message says.
const SURROUNDINGS: [&str; 12] = [
    "_data",
    "ack",
    "ackName",
    "author",
    "from",
    "fromMe",
    "id",
    "participant",
    "replyTo",
    "source",
    "timestamp",
    "to",
];

/// Reads `message` or `message.any`.
pub(super) fn read(scope: &mut Scope<'_>, payload: &RawValue) -> Result<(), Unreadable> {
    let wire: WireMessage<'_> = outside::part(payload)?;
    let raw = Raw::of(&wire);
    let Some(envelope) = Envelope::of(&wire, &raw)? else {
        return Ok(());
    };
    if envelope.ours && wire.source.get() == Some("api") {
        return sent_through_the_api(scope, &wire, &envelope);
    }
    if raw.is_of_no_concern() {
        return Ok(());
    }
    let says = content::read(&wire, &raw, envelope.id);
    let says = unknown::or_words(says, raw.kind(), (payload, &SURROUNDINGS));
    let mut context = envelope.context();
    (context.forwarded, context.frequently_forwarded) = raw.forwarded();
    context.reply_to = wire.reply_to.as_ref().and_then(|reply| quoted(scope, &envelope, reply));
    let key = format!("{}:message", envelope.reference.0);
    push(scope, key, &wire, envelope, says, context);
    Ok(())
}

/// The echo of what was sent through the server's API, which may come before the answer to the sending. Whoever sent it has
/// it already; the echo only says that it is on its way.
fn sent_through_the_api(
    scope: &mut Scope<'_>,
    wire: &WireMessage<'_>,
    envelope: &Envelope<'_>,
) -> Result<(), Unreadable> {
    let status = outbound_status(wire)?;
    let change = StatusChange {
        reference: envelope.reference.clone(),
        ours: None,
        status,
        recipient: None,
        failure: None,
        pricing: None,
        cost: None,
    };
    let key = format!("{}:{}", envelope.reference.0, status.word());
    scope.push(key, time(&wire.timestamp), EventKind::Status(change));
    scope.name(envelope.party.addresses.iter().cloned());
    Ok(())
}

/// Reads `message.reaction`.
pub(super) fn read_reaction(scope: &mut Scope<'_>, payload: &RawValue) -> Result<(), Unreadable> {
    let wire: WireMessage<'_> = outside::part(payload)?;
    let Some(envelope) = Envelope::of(&wire, &Raw::of(&wire))? else {
        return Ok(());
    };
    if envelope.ours && wire.source.get() == Some("api") {
        return sent_through_the_api(scope, &wire, &envelope);
    }
    let says =
        unknown::or_words(reacted(&wire, &envelope), Some("reaction"), (payload, &SURROUNDINGS));
    let key = format!("{}:message", envelope.reference.0);
    let context = envelope.context();
    push(scope, key, &wire, envelope, says, context);
    Ok(())
}

fn reacted(wire: &WireMessage<'_>, envelope: &Envelope<'_>) -> Result<Content, Unreadable> {
    let missing = || Unreadable("`reaction` is missing".to_owned());
    let reaction = wire.reaction.as_ref().ok_or_else(missing)?;
    // A bare id is most likely the other side's: people react to what they were written.
    let target = reference(&reaction.message_id, !envelope.ours, "reaction.messageId")?;
    Ok(Content::Reaction { target, emoji: reaction.text.0.clone() })
}

/// Reads `message.edited`. The payload is the edit; it names the message that it changes.
pub(super) fn read_edit(scope: &mut Scope<'_>, payload: &RawValue) -> Result<(), Unreadable> {
    let wire: WireMessage<'_> = outside::part(payload)?;
    let raw = Raw::of(&wire);
    let Some(envelope) = Envelope::of(&wire, &raw)? else {
        return Ok(());
    };
    let target = match wire.edited_message_id.get() {
        Some(_) => reference(&wire.edited_message_id, envelope.ours, "editedMessageId")?,
        None => envelope.reference.clone(),
    };
    let content = content::read(&wire, &raw, envelope.id)?;
    // Engines that name only the message itself name it the same way at each edit.
    let when = wire.timestamp.get().unwrap_or(&scope.id);
    let key = format!("{}:edited:{when}", envelope.reference.0);
    scope.push(key, time(&wire.timestamp), EventKind::Edited { target, content });
    scope.name(envelope.party.addresses);
    Ok(())
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
    let named = [&wire.revoked_message_id].into_iter().chain(halves().map(|half| &half.id));
    let id = named.into_iter().find(|id| id.get().is_some());
    let target = reference(id.unwrap_or(&Maybe(None)), ours, "revokedMessageId")?;
    let envelopes: Vec<_> = halves().map(|half| Envelope::of(half, &Raw::of(half))).collect();
    if envelopes.iter().any(|envelope| matches!(envelope, Ok(None))) {
        return Ok(());
    }
    let named = envelopes.iter().flatten().flatten().filter(|envelope| envelope.ours == ours);
    let people: Vec<Address> =
        named.flat_map(|envelope| envelope.party.addresses.iter().cloned()).collect();
    let at = wire.after.as_ref().and_then(|after| time(&after.timestamp));
    scope.push(format!("{}:revoked", target.0), at, EventKind::Revoked { target });
    scope.name(people);
    Ok(())
}

/// What is known of a message beside what it says.
struct Envelope<'w> {
    id: Id<'w>,
    ours: bool,
    reference: MessageRef,
    chat: Chat,
    party: Party,
}

impl<'w> Envelope<'w> {
    /// `None` for what was written in public: status updates, broadcasts, newsletters.
    fn of(wire: &'w WireMessage<'_>, raw: &Raw) -> Result<Option<Self>, Unreadable> {
        let text = wire.id.get().ok_or_else(|| Unreadable("`id` is missing".to_owned()))?;
        let id = Id::read(text).ok_or_else(|| Unreadable(format!("`id` is no id: `{text}`")))?;
        let ours = id.from_me.or(wire.from_me).unwrap_or_default();
        // `from` of our own messages is us with one engine and the chat with another; the id names the chat.
        let far_end = if ours { wire.to.get() } else { wire.from.get() };
        let chat = id.chat.or(far_end).or(wire.from.get());
        let chat = chat.ok_or_else(|| Unreadable("the message names no chat".to_owned()))?;
        let chat = Chat::read(chat)
            .ok_or_else(|| Unreadable(format!("the chat `{chat}` is of an unknown kind")))?;
        let addresses = match &chat {
            Chat::Public => return Ok(None),
            // Nobody is the other end of what we write to a group.
            Chat::Group(_) if ours => Vec::new(),
            Chat::Group(_) => {
                let named = [wire.participant.get(), wire.author.get(), id.author];
                people(named, raw, &AUTHOR_ALTERNATIVES)
            }
            Chat::Person(address) => {
                let alternatives = if ours { RECIPIENT_ALTERNATIVES } else { SENDER_ALTERNATIVES };
                let mut all = people([far_end, None, None], raw, &alternatives);
                all.insert(0, address.clone());
                ids::sorted(all)
            }
        };
        let name = if ours { None } else { name(raw) };
        let party = Party { addresses, name, username: None };
        Ok(Some(Self { id, ours, reference: id.reference(ours), chat, party }))
    }

    fn context(&self) -> Context {
        let group_id = match &self.chat {
            Chat::Group(id) => Some(id.clone()),
            _ => None,
        };
        Context { group_id, ..Context::default() }
    }
}

/// Where engines write a person's other JID: Baileys (NOWEB) and whatsmeow (GOWS).
const SENDER_ALTERNATIVES: [&str; 3] = ["/key/remoteJidAlt", "/key/senderPn", "/Info/SenderAlt"];
const RECIPIENT_ALTERNATIVES: [&str; 3] =
    ["/key/remoteJidAlt", "/key/recipientPn", "/Info/RecipientAlt"];
const AUTHOR_ALTERNATIVES: [&str; 3] =
    ["/key/participantAlt", "/key/participantPn", "/Info/SenderAlt"];

/// The addresses of one person, by every JID that is given.
fn people(named: [Option<&str>; 3], raw: &Raw, alternatives: &[&str]) -> Vec<Address> {
    let others = alternatives.iter().filter_map(|at| raw.text(at));
    ids::sorted(named.into_iter().flatten().chain(others).filter_map(ids::person))
}

/// The name that the author goes by.
fn name(raw: &Raw) -> Option<String> {
    let places = ["/pushName", "/notifyName", "/Info/PushName"];
    let names = places.iter().filter_map(|at| raw.text(at));
    names.map(str::trim).find(|name| !name.is_empty()).map(ToOwned::to_owned)
}

fn push(
    scope: &mut Scope<'_>,
    key: String,
    wire: &WireMessage<'_>,
    envelope: Envelope<'_>,
    says: Content,
    context: Context,
) {
    let status = envelope.ours.then(|| outbound_status(wire).unwrap_or(DeliveryStatus::Sent));
    let message = Message {
        reference: envelope.reference,
        channel: Channel::Whatsapp,
        direction: if envelope.ours { Direction::Outbound } else { Direction::Inbound },
        party: envelope.party,
        content: says,
        context,
        status,
        historical: false,
    };
    scope.push(key, time(&wire.timestamp), EventKind::Message(Box::new(message)));
}

/// How far an echo had come; what says nothing of it was sent.
fn outbound_status(wire: &WireMessage<'_>) -> Result<DeliveryStatus, Unreadable> {
    wire.ack.get().map_or(Ok(DeliveryStatus::Sent), |ack| statuses::status_of(Some(ack), None))
}

/// The reference that a member holds. `ours` decides where it does not say whose message it is.
fn reference(member: &Maybe, ours: bool, name: &str) -> Result<MessageRef, Unreadable> {
    let id = member.get().and_then(Id::read);
    let id = id.ok_or_else(|| Unreadable(format!("`{name}` is no id")))?;
    Ok(id.reference(ours))
}

/// The message that is answered. Its id is mostly bare, so its author tells whose it is.
fn quoted(scope: &Scope<'_>, envelope: &Envelope<'_>, reply: &ReplyTo) -> Option<MessageRef> {
    let id = reply.id.get().and_then(Id::read)?;
    let ours = scope.ours();
    let theirs = &envelope.party.addresses;
    let is_ours = match reply.participant.get().and_then(ids::person) {
        // People mostly answer what the other side wrote.
        None => !envelope.ours,
        Some(author) if ours.contains(&author) => true,
        // One of two people, named in a way in which only the other one is known: then it is the one who is not.
        Some(author) => {
            let is_same_kind = |address: &&Address| address.kind() == author.kind();
            matches!(envelope.chat, Chat::Person(_))
                && !ours.iter().any(|address| is_same_kind(&address))
                && theirs.iter().find(is_same_kind).is_some_and(|known| *known != author)
        }
    };
    Some(id.reference(is_ours))
}
