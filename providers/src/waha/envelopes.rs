//! What is known of a message beside what it says: whose it is, in which chat, and who is at the other end.

use super::content::Raw;
use super::ids::{self, Chat, Id};
use super::statuses;
use super::webhook::{Scope, Unreadable};
use super::wire::{WireMessage, time};
use crate::lenient::Maybe;
use crate::{
    Address, Channel, Content, Context, DeliveryStatus, Direction, EventKind, Message, MessageRef,
    Party,
};

/// What is known of a message beside what it says.
pub(super) struct Envelope<'w> {
    pub(super) id: Id<'w>,
    pub(super) ours: bool,
    pub(super) reference: MessageRef,
    pub(super) chat: Chat,
    pub(super) party: Party,
}

impl<'w> Envelope<'w> {
    /// `None` for what was written in public: status updates, broadcasts, newsletters.
    pub(super) fn of(wire: &'w WireMessage<'_>, raw: &Raw) -> Result<Option<Self>, Unreadable> {
        let text = wire.id.get().ok_or_else(|| Unreadable("`id` is missing".to_owned()))?;
        let id = Id::read(text).ok_or_else(|| Unreadable(format!("`id` is no id: `{text}`")))?;
        let ours = id.from_me.or(wire.from_me).unwrap_or_default();
        // `from` of our own messages is us with one engine and the chat with another; the id names the chat.
        let far_end = if ours { wire.to.get() } else { wire.from.get() };
        let alternatives = if ours { RECIPIENT_ALTERNATIVES } else { SENDER_ALTERNATIVES };
        let chat = id.chat.or(far_end).or(wire.from.get());
        let chat = chat.ok_or_else(|| Unreadable("the message names no chat".to_owned()))?;
        let by_another_name = || alternatives.iter().find_map(|at| Chat::read(raw.text(at)?));
        let chat = Chat::read(chat)
            .or_else(by_another_name)
            .ok_or_else(|| Unreadable(format!("the chat `{chat}` is of an unknown kind")))?;
        let addresses = match &chat {
            Chat::Public => return Ok(None),
            // Nobody is the other end of what we write to a group.
            Chat::Group(_) if ours => Vec::new(),
            Chat::Group(_) => {
                // The author of a vote stands where all other messages name the group.
                let named = [wire.participant.get(), wire.author.get(), id.author, wire.from.get()];
                people(&named, raw, &AUTHOR_ALTERNATIVES)
            }
            Chat::Person(address) => {
                let mut all = people(&[far_end], raw, &alternatives);
                all.insert(0, address.clone());
                ids::sorted(all)
            }
        };
        let name = if ours { None } else { name(raw) };
        let party = Party { addresses, name, username: None };
        Ok(Some(Self { id, ours, reference: id.reference(ours), chat, party }))
    }

    pub(super) fn context(&self) -> Context {
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
fn people(named: &[Option<&str>], raw: &Raw, alternatives: &[&str]) -> Vec<Address> {
    let others = alternatives.iter().filter_map(|at| raw.text(at));
    ids::sorted(named.iter().copied().flatten().chain(others).filter_map(ids::person))
}

/// The name that the author goes by.
fn name(raw: &Raw) -> Option<String> {
    let places = ["/pushName", "/notifyName", "/Info/PushName"];
    let names = places.iter().filter_map(|at| raw.text(at));
    names.map(str::trim).find(|name| !name.is_empty()).map(ToOwned::to_owned)
}

/// Tells of a message.
pub(super) fn push(
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
pub(super) fn outbound_status(wire: &WireMessage<'_>) -> Result<DeliveryStatus, Unreadable> {
    wire.ack.get().map_or(Ok(DeliveryStatus::Sent), |ack| statuses::status_of(Some(ack), None))
}

/// The reference that a member holds. `ours` decides where it does not say whose message it is.
pub(super) fn reference(member: &Maybe, ours: bool, name: &str) -> Result<MessageRef, Unreadable> {
    let id = member.get().and_then(Id::read);
    let id = id.ok_or_else(|| Unreadable(format!("`{name}` is no id")))?;
    Ok(id.reference(ours))
}
