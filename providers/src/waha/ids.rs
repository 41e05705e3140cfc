//! How WhatsApp Web names people, chats and messages, and how we do.
//!
//! A message's id at WAHA is `<fromMe>_<chat>_<id>[_<author>]`. The chat may be written as a telephone number in one
//! webhook and as a LID in the next, the author is only told for groups, and quotations and revocations often give the bare
//! `<id>`. What stays the same is whose message it is and its `<id>`, which the author's device makes up at random. So a
//! [`MessageRef`] of ours is `<fromMe>_<id>`: `true_3EB0…` for a message of ours, `false_3A…` for one of theirs.

use crate::bridge::jids;
pub(super) use crate::bridge::jids::{Chat, person, reference, sorted};
use crate::{Address, MessageRef, OutboundMessage};

/// Where WAHA keeps telephone numbers.
const NUMBERS: &str = "c.us";

/// The JID of a person's chat, as WAHA takes it. `None` for addresses that no bridge reaches.
pub(super) fn chat_of(address: &Address) -> Option<String> {
    jids::chat_of(address, NUMBERS)
}

/// The same of the chat that a message goes to.
pub(super) fn chat_of_message(message: &OutboundMessage) -> Option<String> {
    jids::chat_of_message(message, NUMBERS)
}

/// WAHA's name for the message that `message` is about, in the chat that it goes to. In groups the author is part of it.
pub(super) fn named_in(
    message: &OutboundMessage,
    reference: &MessageRef,
    chat: &str,
) -> Option<String> {
    let name = serialized(reference, chat)?;
    let (ours, _) = jids::taken_apart(reference)?;
    Some(match jids::author_of(message, ours, NUMBERS) {
        Some(author) => format!("{name}_{author}"),
        None => name,
    })
}

/// A message's id, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id<'a> {
    /// Whether it is ours; `None` where the id is bare.
    pub(super) from_me: Option<bool>,
    /// The chat's JID.
    pub(super) chat: Option<&'a str>,
    /// The author's JID, in groups.
    pub(super) author: Option<&'a str>,
    bare: &'a str,
}

impl<'a> Id<'a> {
    /// Reads an id in either form.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let whole = text
            .strip_prefix("true_")
            .map(|rest| (true, rest))
            .or_else(|| text.strip_prefix("false_").map(|rest| (false, rest)));
        let id = match whole {
            None => Self { from_me: None, chat: None, author: None, bare: text },
            Some((from_me, rest)) => {
                let (chat, rest) = match rest.split_once('_') {
                    Some((chat, rest)) if chat.contains('@') => (Some(chat), rest),
                    _ => (None, rest),
                };
                let (bare, author) = match rest.split_once('_') {
                    Some((bare, author)) => (bare, Some(author)),
                    None => (rest, None),
                };
                Self { from_me: Some(from_me), chat, author, bare }
            }
        };
        jids::is_bare_id(id.bare).then_some(id)
    }

    /// Our name for the message. `ours` decides where the id does not say whose it is.
    pub(super) fn reference(self, ours: bool) -> MessageRef {
        reference(self.from_me.unwrap_or(ours), self.bare)
    }
}

/// WAHA's name for a message of the chat with `chat`. `None` if the reference is not one of this provider's.
pub(super) fn serialized(reference: &MessageRef, chat: &str) -> Option<String> {
    let id = Id::read(&reference.0)?;
    let ours = id.from_me.filter(|_| id.chat.is_none() && id.author.is_none())?;
    Some(format!("{ours}_{chat}_{}", id.bare))
}

/// The id that we ask WAHA to give a message, so that it can be recognized: in the form that WhatsApp Web itself uses, from
/// the random part of our own id. Engines on a browser make up their own instead.
pub(super) fn chosen(ours: &str) -> Option<String> {
    let hex: String = ours.chars().filter(|c| *c != '-').collect();
    let is_uuid = hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_uuid.then(|| format!("3EB0{}", hex[14..].to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_has_one_reference_however_its_chat_is_written() {
        let whole = [
            "false_5511987654321@c.us_3AF01D",
            "false_198273645500112@lid_3AF01D",
            "false_120363041234567890@g.us_3AF01D_5511987654321@c.us",
            "false_3AF01D",
        ];
        for text in whole {
            let id = Id::read(text).map(|id| id.reference(true));
            assert_eq!(id, Some(MessageRef("false_3AF01D".to_owned())), "{text}");
        }
        let bare = Id::read("3AF01D").map(|id| id.reference(true).0);
        assert_eq!(bare.as_deref(), Some("true_3AF01D"));
        for odd in ["", "  ", "false_", "false_1@c.us_", "a b", &"x".repeat(129)] {
            assert_eq!(Id::read(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn a_reference_leads_back_to_wahas_id() {
        let reference = MessageRef("true_3EB0AA".to_owned());
        let back = serialized(&reference, "5511987654321@c.us");
        assert_eq!(back.as_deref(), Some("true_5511987654321@c.us_3EB0AA"));
        let foreign = MessageRef("wamid.HBgN".to_owned());
        assert_eq!(serialized(&foreign, "5511987654321@c.us"), None);
    }

    #[test]
    fn a_chosen_id_has_the_form_of_whatsapp_web() {
        let id = chosen("019aa5b1-7c3e-7d42-9f10-8a6b5c4d3e2f");
        assert_eq!(id.as_deref(), Some("3EB0429F108A6B5C4D3E2F"));
        assert_eq!(chosen("not a uuid"), None);
    }
}
