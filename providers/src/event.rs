//! What a genuine webhook tells us, item by item.

use serde::{Deserialize, Serialize};

use crate::{
    Address, CallProgress, Channel, Content, DeliveryStatus, FailureClass, Line, Message,
    MessageRef, Money, Timestamp,
};

/// A key that is the same each time the provider delivers the same news, and differs for different news of one
/// account. Shaped `<provider's id>:<what happened>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct EventKey(pub String);

/// One item of a webhook. It can only be built by this crate, from a request that was verified.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// Stable across redelivery.
    pub key: EventKey,
    /// When it happened, by the provider's clock; where the provider does not say, when it reached us.
    pub at: Timestamp,
    /// Which of our lines it concerns.
    pub line: Line,
    /// Who is at the other end, if it is no message and yet tells more of them than one address: their addresses are one
    /// person's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<Box<Party>>,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum EventKind {
    /// A message was written.
    Message(Box<Message>),
    /// A message was changed by its author.
    Edited {
        /// Which message.
        target: MessageRef,
        /// What it says now.
        content: Content,
    },
    /// A message was taken back by its author.
    Revoked {
        /// Which message.
        target: MessageRef,
    },
    /// A message of ours got further, or failed.
    Status(StatusChange),
    /// A person's addresses changed: a new number, a new user id.
    Identity(IdentityChange),
    /// News of a call.
    Call(Box<CallProgress>),
    /// Something an administrator should know about the account, a number or a template.
    Notice(Notice),
}

/// The person at the other end, by every address the provider gave.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Party {
    /// Their addresses, the most lasting one first. Empty when withheld.
    pub addresses: Vec<Address>,
    /// The name they go by. Chosen by them; never used to tell people apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Their user name, if they have one, without `@`. It may change hands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

/// A message of ours got further.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatusChange {
    /// The provider's id of the message.
    pub reference: MessageRef,
    /// Our own id, where the provider hands back what we sent along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ours: Option<String>,
    /// How far it has come.
    pub status: DeliveryStatus,
    /// Which recipient, where a message has several (groups).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<StatusFailure>,
    /// What the provider says about its price: category, model, whether it is billable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pricing: Option<serde_json::Value>,
    /// What it cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
}

/// Why a message failed, and whose fault it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatusFailure {
    /// The provider's code; its word for the status, where it names no code.
    pub code: String,
    /// The provider's explanation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do about it, by the same table that judges answers.
    pub class: FailureClass,
}

/// A person's addresses changed. Their contact stays the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IdentityChange {
    /// Addresses that were theirs; any of them finds the contact.
    pub before: Vec<Address>,
    /// Addresses that are theirs now.
    pub after: Vec<Address>,
    /// What changed, in the provider's word.
    pub reason: String,
}

/// How urgent a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look at it.
    Warning,
    /// Traffic stops, or is about to.
    Critical,
}

/// Something an administrator should know.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Notice {
    /// What it is about, in the provider's word (Meta: the webhook field).
    pub topic: String,
    /// One line for a person.
    pub title: String,
    /// How urgent it is.
    pub severity: Severity,
    /// Our number that it is about, if it names one: it says whose it is where organizations share an account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<Address>,
    /// What it says of a template, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateNews>,
    /// What a person wants of marketing, if that is the news.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preference: Option<Preference>,
    /// Everything the provider said.
    pub data: serde_json::Value,
}

/// A template stands otherwise than before.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TemplateNews {
    /// Its name at the provider.
    pub name: String,
    /// Its language, if it is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The provider's word for how it stands, in lower case: `approved`, `paused`, `disabled` …
    pub status: String,
}

/// A person wants marketing no longer, or again. They told the channel, not us.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preference {
    /// The channel it is about.
    pub channel: Channel,
    /// Every address by which the channel names the person; at least one.
    pub person: Vec<Address>,
    /// Whether they want marketing.
    pub marketing: bool,
}

/// As many digits as no short name has: what has more of them and nothing else is a number, whosever it is.
const DIGITS_OF_A_NAME: usize = 9;

/// The server that may stand behind a number or LID.
const SERVERS: [&str; 3] = ["@lid", "@s.whatsapp.net", "@c.us"];

impl Party {
    /// Takes out what is no name: telephones and bridges write the digits of a number or LID where they know no name, and some
    /// write user names with `@`.
    pub(crate) fn tidy(&mut self) {
        if self.name.as_deref().is_some_and(|name| is_number(name, &self.addresses)) {
            self.name = None;
        }
        if let Some(username) = self.username.take() {
            let bare = username.trim().trim_start_matches('@').trim();
            self.username = (!bare.is_empty()).then(|| bare.to_owned());
        }
    }

    /// Adds addresses that it does not have yet.
    pub(crate) fn add(&mut self, addresses: impl IntoIterator<Item = Address>) {
        for address in addresses {
            if !self.addresses.contains(&address) {
                self.addresses.push(address);
            }
        }
    }
}

/// Whether a name is only the digits of one of these addresses, or of some number: with or without plus sign, punctuation and
/// the invisible marks that WhatsApp sets around numbers.
pub(crate) fn is_number<'a>(name: &str, addresses: impl IntoIterator<Item = &'a Address>) -> bool {
    let name = name.trim();
    let bare = SERVERS.iter().find_map(|server| name.strip_suffix(server)).unwrap_or(name);
    let is_mark = |c: char| "+-.()~ \u{a0}\u{200e}\u{200f}\u{202a}\u{202c}".contains(c);
    let is_bare = bare.chars().all(|c| c.is_ascii_digit() || is_mark(c));
    let digits = || bare.bytes().filter(u8::is_ascii_digit);
    let count = digits().count();
    let is_theirs =
        |address: &Address| digits().eq(address.value().bytes().filter(u8::is_ascii_digit));
    is_bare && count > 0 && (count > DIGITS_OF_A_NAME || addresses.into_iter().any(is_theirs))
}

impl Severity {
    /// The severity's word.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tidied(name: &str, username: Option<&str>) -> (Option<String>, Option<String>) {
        let mut party = Party {
            addresses: vec![
                Address::Handle("4640".to_owned()),
                Address::WaLid("198273645500112".to_owned()),
            ],
            name: Some(name.to_owned()),
            username: username.map(ToOwned::to_owned),
        };
        party.tidy();
        (party.name, party.username)
    }

    #[test]
    fn digits_of_an_address_are_no_name() {
        let numbers = [
            "198273645500112",
            "198273645500112@lid",
            "4640",
            "+55 11 98765-4321",
            "~\u{202a}+55\u{a0}11\u{a0}98765\u{2011}4321\u{202c}".replace('\u{2011}', "-").as_str(),
            "5511987654321@s.whatsapp.net",
        ]
        .map(|name| tidied(name, None).0);
        assert_eq!(numbers, [const { None }; 6]);
        for name in ["Ana", "2024", "007", "Ana 5511987654321", "11.11.1999", "…"] {
            assert_eq!(tidied(name, None).0.as_deref(), Some(name));
        }
    }

    #[test]
    fn user_names_stand_without_their_sign() {
        assert_eq!(tidied("Ana", Some("@ana.souza")).1.as_deref(), Some("ana.souza"));
        assert_eq!(tidied("Ana", Some(" ana.souza ")).1.as_deref(), Some("ana.souza"));
        assert_eq!(tidied("Ana", Some("@")).1, None);
    }
}
