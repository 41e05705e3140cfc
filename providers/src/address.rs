//! Who is at the other end, and which of our lines they reached.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::caller;

/// What carries a message or a call. These four words are used everywhere: in code, rows and the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// WhatsApp, through the Business Platform or a bridge.
    Whatsapp,
    /// SMS and MMS.
    Sms,
    /// E-mail.
    Email,
    /// Telephone calls.
    Voip,
}

/// Which way a message or call went, seen from the organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From a person to us.
    Inbound,
    /// From us to a person.
    Outbound,
}

/// A telephone number in E.164 form: `+`, then 7 to 15 digits, the first not zero. The digits are kept as the
/// provider sent them; nothing is inserted or taken out.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String")]
pub struct PhoneNumber(String);

/// One way to reach a person.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case", tag = "kind", content = "value")]
pub enum Address {
    /// A telephone number.
    Phone(PhoneNumber),
    /// An e-mail address.
    Email(String),
    /// Meta's business-scoped user id, for example `BR.13491208655302741918`.
    WaUser(String),
    /// WhatsApp's own "LID" of a person, as web bridges see it.
    WaLid(String),
    /// Anything else a provider may name: a SIP URI, a Twilio client, a short code, an alphanumeric sender.
    Handle(String),
}

/// Which of *our* lines an event concerns, as the provider names it. It finds the route, and through it the
/// organization.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "value")]
pub enum Line {
    /// The provider's handle of our number (Meta: `phone_number_id`).
    Handle(String),
    /// Our number or mailbox.
    Address(Address),
    /// One of these is ours; the provider does not say which. The likelier one comes first.
    Either(Address, Address),
    /// The provider's id of the whole account (Meta: WABA id, Twilio: `AccountSid`, Telnyx: connection id).
    Account(String),
    /// The event names no line: it belongs to whoever's account received it.
    Unnamed,
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a telephone number in international form.
    #[error("is not a telephone number in E.164 form (a plus sign and 7 to 15 digits)")]
    Phone,
    /// Not an e-mail address.
    #[error("is not an e-mail address")]
    Email,
}

impl Channel {
    /// All channels.
    pub const ALL: [Channel; 4] = [Channel::Whatsapp, Channel::Sms, Channel::Email, Channel::Voip];

    /// The channel's word.
    pub fn word(self) -> &'static str {
        match self {
            Channel::Whatsapp => "whatsapp",
            Channel::Sms => "sms",
            Channel::Email => "email",
            Channel::Voip => "voip",
        }
    }

    /// The channel of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.word() == word)
    }
}

impl Direction {
    /// The direction's word.
    pub fn word(self) -> &'static str {
        match self {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
        }
    }

    /// The direction of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Direction::Inbound, Direction::Outbound].into_iter().find(|d| d.word() == word)
    }
}

impl PhoneNumber {
    /// Reads a number in international form, with or without `+`, without any other punctuation. WhatsApp ids
    /// (`5511987654321`) and E.164 numbers (`+5511987654321`) give the same value.
    pub fn international(text: &str) -> Result<Self, AddressError> {
        let digits = text.strip_prefix('+').unwrap_or(text);
        let plausible = (7..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        if plausible { Ok(Self(format!("+{digits}"))) } else { Err(AddressError::Phone) }
    }

    /// The number with its plus sign.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number without its plus sign.
    pub fn digits(&self) -> &str {
        &self.0[1..]
    }

    /// What two spellings of one line have in common. Only a key for matching: it is never dialled or shown.
    ///
    /// * Brazil: mobile lines exist with and without the ninth digit; the key drops it. Land-lines (subscriber
    ///   numbers that begin with 2 to 5) have eight digits and never gain or lose one.
    /// * Mexico: `+52 1` was the mobile prefix; the key drops the `1`.
    /// * Argentina: `+54 9` is the mobile prefix of international calls; the key drops the `9`.
    /// * Benin: numbers had eight digits, and have `01` before them now; the key drops it.
    /// * Ivory Coast: numbers had eight digits. The mobile ones have got the prefix of their network, which their second
    ///   digit tells; the key drops it. Land-lines, which began with 2 or 3, have got other numbers, and no key joins the two.
    pub fn match_key(&self) -> Cow<'_, str> {
        let digits = self.digits();
        if let Some(rest) = digits.strip_prefix("55")
            && rest.len() == 11
            && rest.as_bytes()[2] == b'9'
            && matches!(rest.as_bytes()[3], b'6'..=b'9')
        {
            return Cow::Owned(format!("55{}{}", &rest[..2], &rest[3..]));
        }
        if let Some(rest) = digits.strip_prefix("521")
            && rest.len() == 10
        {
            return Cow::Owned(format!("52{rest}"));
        }
        if let Some(rest) = digits.strip_prefix("549")
            && rest.len() == 10
        {
            return Cow::Owned(format!("54{rest}"));
        }
        if let Some(old) = digits.strip_prefix("22901")
            && old.len() == 8
        {
            return Cow::Owned(format!("229{old}"));
        }
        if let Some(rest) = digits.strip_prefix("225")
            && rest.len() == 10
            && ivorian_prefix(&rest[2..]) == Some(&rest[..2])
        {
            return Cow::Owned(format!("225{}", &rest[2..]));
        }
        Cow::Borrowed(digits)
    }
}

/// What stands before an old number of Ivory Coast (eight digits) since 2021, if it was a mobile one.
fn ivorian_prefix(old: &str) -> Option<&'static str> {
    match old.as_bytes() {
        [b'2' | b'3', ..] => None,
        [_, b'7'..=b'9', ..] => Some("07"),
        [_, b'4'..=b'6', ..] => Some("05"),
        [_, b'0'..=b'3', ..] => Some("01"),
        _ => None,
    }
}

impl TryFrom<String> for PhoneNumber {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::international(&text)
    }
}

impl FromStr for PhoneNumber {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::international(text)
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Address {
    /// A telephone number if the text is one, or a URI with one in it (`sip:+1…@`, `tel:+1…`, `whatsapp:+1…`); any other
    /// non-blank text as a handle. For whoever writes or is one of our lines; control characters are left out.
    pub fn of(text: &str) -> Option<Self> {
        let plain = text.replace(char::is_control, "");
        let text = plain.trim();
        if text.is_empty() {
            return None;
        }
        Some(match caller::number(text) {
            Some(number) => Address::Phone(number),
            None => Address::Handle(text.to_owned()),
        })
    }

    /// The same for callers and callees, which may be SIP URIs, clients or short codes. `None` for withheld numbers, in every
    /// spelling.
    pub fn caller(text: &str) -> Option<Self> {
        Self::of(text).filter(|address| !caller::is_withheld(address.value()))
    }

    /// A business-scoped user id of Meta's: two capital letters, a dot, perhaps `ENT.`, then 1 to 128 letters and digits.
    pub fn wa_user(text: &str) -> Option<Self> {
        Self::is_wa_user(text).then(|| Address::WaUser(text.to_owned()))
    }

    /// Whether a text has the form of a business-scoped user id.
    pub(crate) fn is_wa_user(text: &str) -> bool {
        let Some((country, rest)) = text.split_once('.') else {
            return false;
        };
        let rest = rest.strip_prefix("ENT.").unwrap_or(rest);
        country.len() == 2
            && country.bytes().all(|byte| byte.is_ascii_uppercase())
            && (1..=128).contains(&rest.len())
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    }

    /// An e-mail address: one `@`, something before it, a domain after it; the domain is lower-cased.
    pub fn email(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError::Email)?;
        let plain = |part: &str| {
            !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control())
        };
        if !plain(local) || !plain(domain) || local.contains('@') || text.len() > 254 {
            return Err(AddressError::Email);
        }
        Ok(Address::Email(format!("{local}@{}", domain.to_ascii_lowercase())))
    }

    /// The word of the address's kind, as it stands in rows.
    pub fn kind(&self) -> &'static str {
        match self {
            Address::Phone(_) => "phone",
            Address::Email(_) => "email",
            Address::WaUser(_) => "wa_user",
            Address::WaLid(_) => "wa_lid",
            Address::Handle(_) => "handle",
        }
    }

    /// The address as text, as it was received.
    pub fn value(&self) -> &str {
        match self {
            Address::Phone(number) => number.as_str(),
            Address::Email(text)
            | Address::WaUser(text)
            | Address::WaLid(text)
            | Address::Handle(text) => text,
        }
    }

    /// What all spellings of this address have in common (see [`PhoneNumber::match_key`]; e-mail: lower case).
    pub fn match_key(&self) -> Cow<'_, str> {
        match self {
            Address::Phone(number) => number.match_key(),
            Address::Email(text) => Cow::Owned(text.to_lowercase()),
            Address::WaUser(text) | Address::WaLid(text) | Address::Handle(text) => text.into(),
        }
    }

    /// The address of that kind and value, as rows hold them.
    pub fn from_parts(kind: &str, value: &str) -> Option<Self> {
        Some(match kind {
            "phone" => Address::Phone(PhoneNumber::international(value).ok()?),
            "email" => Address::Email(value.to_owned()),
            "wa_user" => Address::WaUser(value.to_owned()),
            "wa_lid" => Address::WaLid(value.to_owned()),
            "handle" => Address::Handle(value.to_owned()),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(digits: &str) -> String {
        PhoneNumber::international(digits).unwrap().match_key().into_owned()
    }

    #[test]
    fn old_and_new_numbers_of_benin_have_one_key() {
        assert_eq!(key("22997123456"), "22997123456");
        assert_eq!(key("2290197123456"), "22997123456");
        // A number of its own: nothing was ever put before it.
        assert_eq!(key("2290297123456"), "2290297123456");
        assert_eq!(key("229019712345"), "229019712345");
    }

    #[test]
    fn old_and_new_mobile_numbers_of_ivory_coast_have_one_key() {
        for (old, prefix) in
            [("07123456", "07"), ("48123456", "07"), ("09123456", "07"), ("04123456", "05")]
                .into_iter()
                .chain([("55123456", "05"), ("06123456", "05"), ("40123456", "01")])
                .chain([("01123456", "01"), ("72123456", "01"), ("03123456", "01")])
        {
            assert_eq!(key(&format!("225{old}")), format!("225{old}"), "{old}");
            assert_eq!(key(&format!("225{prefix}{old}")), format!("225{old}"), "{prefix} {old}");
            for other in ["01", "05", "07", "27"].into_iter().filter(|other| *other != prefix) {
                let own = format!("225{other}{old}");
                assert_eq!(key(&own), own, "a number of its own: {other} {old}");
            }
        }
        // Land-lines have other numbers now.
        for own in ["22521123456", "22531123456", "2250121123456", "2250731723456", "2252721123456"]
        {
            assert_eq!(key(own), own);
        }
    }
}
