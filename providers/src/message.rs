//! What people write to each other, without a provider's words.

use serde::{Deserialize, Serialize};

use crate::{Channel, Content, Direction, Party};

/// The provider's id of a message. Opaque; compared exactly.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageRef(pub String);

/// How far a message has come. The order of the variants is the order of [`DeliveryStatus::rank`], and a message's
/// status only ever moves to a higher rank: `failed` stands above `sent`, since it is news after it, and below
/// `delivered`, since what was delivered did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// Ours to send, not yet due or not yet taken up.
    Queued,
    /// On its way to the provider, or taken up by it without news from the network.
    Sending,
    /// It left us and no answer came: it may or may not have been sent.
    Unknown,
    /// Called back before it was sent.
    Canceled,
    /// An inbound message that we have.
    Received,
    /// The provider handed it to the network.
    Sent,
    /// It will not arrive.
    Failed,
    /// It arrived at the recipient's device.
    Delivered,
    /// The recipient saw it.
    Read,
    /// The recipient listened to it (voice messages).
    Played,
}

/// What surrounds a message.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Context {
    /// The message this one answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageRef>,
    /// It was written by somebody else and passed on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub forwarded: bool,
    /// It was passed on more than five times.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub frequently_forwarded: bool,
    /// The catalogue and product they ask about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<(String, String)>,
    /// The advertisement that brought them here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referral: Option<Referral>,
    /// Who wrote it for us, where that was no person: `agent`, the provider's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The group it was written in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
    /// They asked not to be written to again (or to be again): `stop`, `start` or `help`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opt_out: Option<String>,
    /// The whole text is a word by which the provider lets those be written to again who had asked not to be. From anybody
    /// else it is an ordinary answer: one of these words is `YES`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub opt_in_word: bool,
    /// What the provider charges for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<crate::Money>,
    /// What it shows beside its words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<Box<Parts>>,
}

/// What a message shows beside its words, where it is more than words: the buttons of a template, the options of a poll.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Parts {
    /// `template`, `buttons`, `list`, `interactive`, `order`, `product`, `event`, `poll`, `poll_vote`, `poll_result`,
    /// `group_invite`; `other` for what we do not know, whose `what` is the provider's word for it.
    pub kind: String,
    /// The parts by their names; which there are depends on the kind and on what the message has.
    #[serde(flatten)]
    pub members: serde_json::Map<String, serde_json::Value>,
}

/// An advertisement that led to a conversation. Everything as the provider wrote it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Referral {
    /// The advertisement's URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_url: Option<String>,
    /// The advertisement's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// `ad` or `post`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_type: Option<String>,
    /// Its headline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headline: Option<String>,
    /// Its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Its picture or film.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_url: Option<String>,
    /// The click's id, which attributes the sale to the advertisement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub click_id: Option<String>,
}

/// A message that a webhook told us about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// The provider's id.
    pub reference: MessageRef,
    /// What carried it.
    pub channel: Channel,
    /// Inbound, or outbound when our own side wrote it elsewhere (on the business's telephone).
    pub direction: Direction,
    /// The person at the other end.
    pub party: Party,
    /// What it says.
    pub content: Content,
    /// What surrounds it.
    #[serde(flatten)]
    pub context: Context,
    /// How far an outbound message had come when we were told of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<DeliveryStatus>,
    /// It is old: imported with a number's history. It must not trigger anything.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub historical: bool,
}

impl DeliveryStatus {
    /// All statuses, in the order of their rank.
    pub const ALL: [DeliveryStatus; 10] = [
        DeliveryStatus::Queued,
        DeliveryStatus::Sending,
        DeliveryStatus::Unknown,
        DeliveryStatus::Canceled,
        DeliveryStatus::Received,
        DeliveryStatus::Sent,
        DeliveryStatus::Failed,
        DeliveryStatus::Delivered,
        DeliveryStatus::Read,
        DeliveryStatus::Played,
    ];

    /// The status's word.
    pub fn word(self) -> &'static str {
        match self {
            DeliveryStatus::Queued => "queued",
            DeliveryStatus::Sending => "sending",
            DeliveryStatus::Unknown => "unknown",
            DeliveryStatus::Canceled => "canceled",
            DeliveryStatus::Received => "received",
            DeliveryStatus::Sent => "sent",
            DeliveryStatus::Failed => "failed",
            DeliveryStatus::Delivered => "delivered",
            DeliveryStatus::Read => "read",
            DeliveryStatus::Played => "played",
        }
    }

    /// The status of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.word() == word)
    }

    /// Its place in the order of news; a status never gives way to one of a lower or equal rank.
    pub fn rank(self) -> i16 {
        self as i16
    }
}
