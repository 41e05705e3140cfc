//! How Twilio writes people and lines: E.164 numbers, behind `whatsapp:` for WhatsApp, and whatever else can call or
//! write.
//! <https://www.twilio.com/docs/messaging/channels>

use crate::form::Form;
use crate::sms::SmsSender;
use crate::{Address, Channel, Line, PhoneNumber};

const WHATSAPP: &str = "whatsapp:";

/// Prefixes that a person's or line's number may carry. It is the same number without.
const PREFIXES: [&str; 2] = [WHATSAPP, "rcs:"];

/// Somebody who writes or is written to. A number of Twilio's always has its plus sign; digits alone are a short
/// code.
pub(super) fn correspondent(text: &str) -> Option<Address> {
    let text = text.trim();
    let bare = without_prefix(text);
    if bare.is_empty() {
        return None;
    }
    if bare.starts_with('+')
        && let Ok(number) = PhoneNumber::international(bare)
    {
        return Some(Address::Phone(number));
    }
    if text.starts_with(WHATSAPP) && Address::is_wa_user(bare) {
        return Some(Address::WaUser(bare.to_owned()));
    }
    Some(Address::Handle(text.to_owned()))
}

/// Somebody who calls or is called; a number inside a SIP URI is that number. `None` if the number is withheld.
pub(super) fn caller(text: &str) -> Option<Address> {
    let bare = without_prefix(text.trim());
    match Address::caller(bare)? {
        number @ Address::Phone(_) if bare.contains(':') => Some(number),
        _ => correspondent(text),
    }
}

/// The other side of something on WhatsApp, which parameter `side` names: by number, by WhatsApp's own spelling of it, and by
/// user id. Twilio writes the latter two of whoever is not ours.
pub(super) fn whatsapp_user(form: &Form<'_>, side: &str) -> Vec<Address> {
    let wa_id = form.get("WaId").and_then(|digits| PhoneNumber::international(digits.trim()).ok());
    let known = [
        form.get(side).and_then(correspondent),
        wa_id.map(Address::Phone),
        form.get("ExternalUserId").and_then(user),
    ];
    let mut addresses = Vec::new();
    for address in known.into_iter().flatten() {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// A business-scoped user id, with or without the channel's prefix.
fn user(text: &str) -> Option<Address> {
    let bare = without_prefix(text.trim());
    Address::wa_user(bare)
}

fn without_prefix(text: &str) -> &str {
    let bare = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix));
    bare.unwrap_or(text)
}

/// Whom a message of ours goes to, as Twilio wants it; `None` for addresses that the channel does not have.
pub(super) fn recipient(channel: Channel, to: &Address) -> Option<String> {
    match (channel, to) {
        (Channel::Sms, Address::Phone(number)) => Some(number.to_string()),
        (Channel::Whatsapp, Address::Phone(number)) => Some(format!("{WHATSAPP}{number}")),
        (Channel::Whatsapp, Address::WaUser(id)) => {
            Address::is_wa_user(id).then(|| format!("{WHATSAPP}{id}"))
        }
        _ => None,
    }
}

/// Our line as Twilio wants it; `None` for what cannot send on the channel.
pub(super) fn sender(channel: Channel, line: &str) -> Option<String> {
    let bare = without_prefix(line.trim());
    match channel {
        Channel::Sms => SmsSender::parse(bare).map(|sender| sender.as_str().to_owned()),
        Channel::Whatsapp => {
            let number = PhoneNumber::international(bare).ok()?;
            Some(format!("{WHATSAPP}{number}"))
        }
        _ => None,
    }
}

/// What carries it: `whatsapp` if either side is written so, else `other`.
pub(super) fn channel(form: &Form<'_>, other: Channel) -> Channel {
    let sides = [form.get("From"), form.get("To")];
    let is_whatsapp = |side: &str| side.trim().starts_with(WHATSAPP);
    if sides.into_iter().flatten().any(is_whatsapp) { Channel::Whatsapp } else { other }
}

/// The channel that is not carried over which a message came: either side is written with a scheme of its own.
pub(super) fn foreign<'f>(form: &'f Form<'_>) -> Option<&'f str> {
    let sides = [form.get("From"), form.get("To")];
    sides.into_iter().flatten().find_map(scheme)
}

/// The scheme of a channel that is not carried: `messenger`, `rcs`, and so on.
pub(super) fn scheme(side: &str) -> Option<&str> {
    let (scheme, _) = side.trim().split_once(':')?;
    let is_scheme = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_lowercase());
    (is_scheme && !["whatsapp", "sip", "client"].contains(&scheme)).then_some(scheme)
}

/// The account, for news that name no number of ours.
pub(super) fn account(form: &Form<'_>) -> Line {
    form.owned("AccountSid").map_or(Line::Unnamed, Line::Account)
}
