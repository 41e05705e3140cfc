//! How WhatsApp Web names people and chats, whichever bridge tells of them.
//!
//! A person is known by their number (`<digits>@s.whatsapp.net`, or `@c.us`) or by their LID (`<digits>@lid`); one chat may be
//! named by the one in one webhook and by the other in the next. What stays the same is whose message it is and its bare id,
//! which the author's device makes up at random. So a [`MessageRef`] of ours is `<fromMe>_<id>`: `true_3EB0…` for a message
//! of ours, `false_3A…` for one of theirs.

use crate::{Address, MessageRef, OutboundMessage, Party, PhoneNumber};

/// Where WhatsApp itself keeps telephone numbers.
pub(crate) const NUMBERS: &str = "s.whatsapp.net";

/// The longest bare id that is believed to be one, in bytes; real ones have up to 32.
const ID_BYTES: usize = 128;

/// Where a message was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chat {
    /// With one person.
    Person(Address),
    /// In a group, whose id this is.
    Group(String),
    /// Status updates, broadcast lists and newsletters; WhatsApp itself and its bots: no conversation with us.
    Public,
}

impl Chat {
    /// Reads a chat's JID.
    pub(crate) fn read(jid: &str) -> Option<Self> {
        match jid.rsplit_once('@')?.1 {
            "g.us" => Some(Self::Group(jid.to_owned())),
            "broadcast" | "newsletter" | "bot" => Some(Self::Public),
            "c.us" | "s.whatsapp.net" if jid.starts_with("0@") => Some(Self::Public),
            _ => person(jid).map(Self::Person),
        }
    }
}

/// The address of a person's JID: `<digits>@c.us` (or `@s.whatsapp.net`), `<digits>@lid`, both perhaps with the number of a
/// device (`:12`). Numbers that Meta hosts for a business are people like all others (`@hosted`, `@hosted.lid`). LIDs are kept
/// as their digits.
pub(crate) fn person(jid: &str) -> Option<Address> {
    let (user, server) = jid.trim().rsplit_once('@')?;
    let user = user.split([':', '.']).next().unwrap_or_default();
    match server {
        "c.us" | "s.whatsapp.net" | "hosted" => {
            PhoneNumber::international(user).ok().map(Address::Phone)
        }
        "lid" | "hosted.lid" => is_lid(user).then(|| Address::WaLid(user.to_owned())),
        _ => None,
    }
}

/// The JID of a person's chat on this `server` of numbers. `None` for addresses that no bridge reaches.
pub(crate) fn chat_of(address: &Address, server: &str) -> Option<String> {
    match address {
        Address::Phone(number) => Some(format!("{}@{server}", number.digits())),
        Address::WaLid(lid) => {
            let digits = lid.strip_suffix("@lid").unwrap_or(lid);
            is_lid(digits).then(|| format!("{digits}@lid"))
        }
        _ => None,
    }
}

/// The JID of the chat that a message goes to: its group, or else the person.
pub(crate) fn chat_of_message(message: &OutboundMessage, server: &str) -> Option<String> {
    match &message.group {
        Some(group) => matches!(Chat::read(group), Some(Chat::Group(_))).then(|| group.clone()),
        None => chat_of(&message.to, server),
    }
}

/// The JID of who wrote the message that another one in a group is about: us, or whom that one answers. `None` outside groups,
/// where no author is named.
pub(crate) fn author_of(message: &OutboundMessage, ours: bool, server: &str) -> Option<String> {
    message.group.as_ref()?;
    if !ours {
        return chat_of(&message.to, server);
    }
    let own = PhoneNumber::international(&message.from.address).ok()?;
    Some(format!("{}@{server}", own.digits()))
}

fn is_lid(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Addresses without repetition, the number first: it is the same for every provider, while only bridges know LIDs.
pub(crate) fn sorted(addresses: impl IntoIterator<Item = Address>) -> Vec<Address> {
    let mut sorted: Vec<Address> = Vec::with_capacity(2);
    for address in addresses {
        if !sorted.contains(&address) {
            sorted.push(address);
        }
    }
    sorted.sort_by_key(|address| !matches!(address, Address::Phone(_)));
    sorted
}

/// One person by the JIDs that news of them gives: one number and one LID, none of them among `ours`. What an engine writes in
/// more places than it documents is not taken for a second person.
pub(crate) fn one_person(named: impl IntoIterator<Item = Address>, ours: &[Address]) -> Party {
    let mut addresses: Vec<Address> = Vec::with_capacity(2);
    for address in named {
        let is_known = addresses.iter().any(|known| known.kind() == address.kind());
        if !is_known && !ours.contains(&address) {
            addresses.push(address);
        }
    }
    Party { addresses: sorted(addresses), ..Party::default() }
}

/// What an answer tells of the person whom a message was sent `to` beside that address: their LID or number, or another spelling
/// of it.
pub(crate) fn further(to: &Address, named: impl IntoIterator<Item = Address>) -> Vec<Address> {
    let is_further = |address: &Address| {
        address != to && (address.kind() != to.kind() || address.match_key() == to.match_key())
    };
    sorted(named.into_iter().filter(is_further))
}

/// Whether a text can be a message's bare id.
pub(crate) fn is_bare_id(text: &str) -> bool {
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control();
    (1..=ID_BYTES).contains(&text.len()) && text.chars().all(is_plain)
}

/// Our name for a message.
pub(crate) fn reference(ours: bool, bare: &str) -> MessageRef {
    MessageRef(format!("{ours}_{bare}"))
}

/// Whose message a reference names, and its bare id. `None` if it was not made by [`reference`].
pub(crate) fn taken_apart(reference: &MessageRef) -> Option<(bool, &str)> {
    let text = &reference.0;
    let ours = text.strip_prefix("true_").map(|bare| (true, bare));
    let named = ours.or_else(|| text.strip_prefix("false_").map(|bare| (false, bare)));
    named.filter(|(_, bare)| is_bare_id(bare) && !bare.contains('_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_known_by_number_or_lid() {
        let shown =
            |jid| person(jid).map(|address| format!("{}:{}", address.kind(), address.value()));
        assert_eq!(
            shown("5511987654321:14@s.whatsapp.net").as_deref(),
            Some("phone:+5511987654321")
        );
        assert_eq!(shown("198273645500112:3@lid").as_deref(), Some("wa_lid:198273645500112"));
        assert_eq!(shown("5511987654321@hosted").as_deref(), Some("phone:+5511987654321"));
        assert_eq!(shown("198273645500112@hosted.lid").as_deref(), Some("wa_lid:198273645500112"));
        for odd in ["120363041234567890@g.us", "0@c.us", "x@lid", "5511987654321", "@lid"] {
            assert_eq!(shown(odd), None, "{odd}");
        }
    }

    #[test]
    fn whatsapp_itself_and_its_bots_are_no_conversation() {
        for jid in ["0@c.us", "0@s.whatsapp.net", "718584497008509@bot", "status@broadcast"] {
            assert_eq!(Chat::read(jid), Some(Chat::Public), "{jid}");
        }
        assert_eq!(Chat::read("5511987654321@unheard.of"), None);
    }
}
