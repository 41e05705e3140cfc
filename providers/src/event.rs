//! What a genuine webhook tells us, item by item.

use serde::Serialize;

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
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Party {
    /// Their addresses, the most lasting one first. Empty when withheld.
    pub addresses: Vec<Address>,
    /// The name they go by. Chosen by them; never used to tell people apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Their user name, if they have one. It may change hands.
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
