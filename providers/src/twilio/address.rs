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
    if text.starts_with(WHATSAPP) && is_user_id(bare) {
        return Some(Address::WaUser(bare.to_owned()));
    }
    Some(Address::Handle(text.to_owned()))
}

/// Somebody who calls or is called. `None` if the number is withheld.
pub(super) fn caller(text: &str) -> Option<Address> {
    let bare = without_prefix(text.trim());
    // RFC 3323, 4.1.1.3: the user `anonymous` stands for a caller who asked for privacy, whatever the host.
    if bare.starts_with("sip:anonymous@") {
        return None;
    }
    Address::caller(bare).and_then(|_| correspondent(text))
}

/// A business-scoped user id, with or without the channel's prefix.
pub(super) fn user(text: &str) -> Option<Address> {
    let bare = without_prefix(text.trim());
    is_user_id(bare).then(|| Address::WaUser(bare.to_owned()))
}

/// Two capital letters, a dot, perhaps `ENT.`, then 1 to 128 letters and digits.
fn is_user_id(text: &str) -> bool {
    let Some((country, rest)) = text.split_once('.') else {
        return false;
    };
    let rest = rest.strip_prefix("ENT.").unwrap_or(rest);
    country.len() == 2
        && country.bytes().all(|byte| byte.is_ascii_uppercase())
        && (1..=128).contains(&rest.len())
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
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
            is_user_id(id).then(|| format!("{WHATSAPP}{id}"))
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
