//! Messages of ours on their way out.

use providers::{Address, Channel, Failure, MessageRef, OutboundContent, Sent, Template};
use serde_json::Value;
use uuid::Uuid;

use super::verdict::Effect;
use super::{AccountId, IdentityId, MessageId, OrganizationId};
use crate::clock::Timestamp;

/// What an organization sends on a channel: it has one pace, and what holds it back holds back all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lane {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// What it carries.
    pub channel: Channel,
}

/// Where a message of ours stands in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueueState {
    /// It waits until it is due.
    Due,
    /// A process is sending it.
    Claimed,
    /// It left us and no answer came. It is not sent again until somebody knows.
    Unknown,
    /// The provider has it.
    Sent,
    /// It was given up.
    Dead,
    /// It was called back before it was sent.
    Canceled,
}

/// What a message is for, as whoever sends it says. A template has a category of its own at the provider beside that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It advertises.
    Marketing,
}

/// A message to put into the queue.
#[derive(Debug, Clone)]
pub struct NewOutbound {
    /// Its id.
    pub id: MessageId,
    /// What shall carry it.
    pub channel: Channel,
    /// The recipient.
    pub identity: IdentityId,
    /// The account that would carry it now.
    pub account_id: AccountId,
    /// That account's provider.
    pub provider: &'static str,
    /// The line that would carry it now.
    pub our_address: String,
    /// Whether it waits behind messages that were accepted one by one.
    pub bulk: bool,
    /// When it is due.
    pub due_at: Timestamp,
    /// When it is given up.
    pub expires_at: Timestamp,
    /// How often it may be sent again by itself after the provider has taken it and told of a failure.
    pub most_resends: i64,
    /// What it says.
    pub content: OutboundContent,
    /// What is sent in its place once the customer-service window has closed.
    pub fallback: Option<Template>,
    /// What it is for, if that was said.
    pub purpose: Option<Purpose>,
    /// The message it answers: the provider that carried that one, and its id there.
    pub reply_to: Option<(String, MessageRef)>,
    /// The group it goes to, by the provider's id of it, instead of to the recipient alone.
    pub group: Option<String>,
    /// What the timeline shows beside its words.
    pub metadata: Option<Value>,
}

/// A message that this process has claimed.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Its id.
    pub id: MessageId,
    /// The recipient.
    pub identity: IdentityId,
    /// The recipient's address: kind and value.
    pub address: (String, String),
    /// The person's telephone number, where the address is WhatsApp's own id of them, the number is known and not suppressed.
    pub number: Option<String>,
    /// What it says.
    pub content: OutboundContent,
    /// What is sent in its place once the window has closed.
    pub fallback: Option<Template>,
    /// What it is for, if that was said.
    pub purpose: Option<Purpose>,
    /// The message it answers: the provider that carried that one, and its id there.
    pub reply_to: Option<(String, MessageRef)>,
    /// The group it goes to, by the provider's id of it, instead of to the recipient alone.
    pub group: Option<String>,
    /// How often it was tried before.
    pub attempts: i64,
    /// How often in a row the recipient's limit held it back.
    pub throttled: i64,
    /// When it was due.
    pub due_at: Timestamp,
    /// When it is given up.
    pub expires_at: Timestamp,
    /// When it was accepted.
    pub created_at: Timestamp,
}

/// What became of an attempt.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The provider has it.
    Sent(Sent),
    /// It is tried again.
    Again {
        /// When.
        at: Timestamp,
        /// What went wrong.
        failure: Failure,
        /// Whether the recipient's own limit held it back.
        throttled: bool,
        /// Whether the provider had taken it before: it is sent again a few times at most.
        resend: bool,
        /// What it says from now on, if that changed.
        content: Option<OutboundContent>,
    },
    /// It is given up.
    Dead(Failure),
    /// It may have been sent.
    Unknown(Failure),
}

/// An attempt that has ended, with everything the journal keeps of it.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The message.
    pub id: MessageId,
    /// Its recipient.
    pub identity: IdentityId,
    /// Which attempt, from 1; `None` if nothing left us and the journal knows nothing.
    pub attempt: Option<i64>,
    /// The account.
    pub account_id: AccountId,
    /// Its provider.
    pub provider: &'static str,
    /// The line that sent.
    pub our_address: String,
    /// What became of it.
    pub outcome: Outcome,
    /// What that means for others.
    pub effect: Effect,
    /// The recipient's address, where that matters for others or the answer names further ones.
    pub to: Option<Address>,
    /// The template it used, if one is paused for it.
    pub template: Option<Template>,
    /// The paused template for which it waits, if that is what holds it back: see [`hold_key`].
    pub template_hold: Option<String>,
    /// Whether its account was being tried again after it had refused everything.
    pub probing: bool,
    /// The requests and their answers, without credentials.
    pub exchanges: Value,
    /// When it ended.
    pub at: Timestamp,
}

impl Settled {
    /// Whether it concerns more than the message itself.
    pub fn touches_others(&self) -> bool {
        let is_taken = matches!(self.outcome, Outcome::Sent(_));
        self.effect != Effect::default() || (self.probing && is_taken)
    }
}

/// What messages that wait for a paused template of an account have in common.
pub fn hold_key(account: AccountId, name: &str, language: Option<&str>) -> String {
    format!("{account}/{name}/{}", language.unwrap_or_default())
}

/// Which claim a worker holds: another worker's claim on the same message is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimId {
    /// The process.
    pub worker: Uuid,
    /// The claim.
    pub claim: Uuid,
}

impl Purpose {
    /// The purpose's word.
    pub fn word(self) -> &'static str {
        match self {
            Purpose::Marketing => "marketing",
        }
    }

    /// The purpose of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Purpose::Marketing].into_iter().find(|purpose| purpose.word() == word)
    }
}

impl QueueState {
    /// All states.
    pub const ALL: [QueueState; 6] = [
        QueueState::Due,
        QueueState::Claimed,
        QueueState::Unknown,
        QueueState::Sent,
        QueueState::Dead,
        QueueState::Canceled,
    ];

    /// The state's word.
    pub fn word(self) -> &'static str {
        match self {
            QueueState::Due => "due",
            QueueState::Claimed => "claimed",
            QueueState::Unknown => "unknown",
            QueueState::Sent => "sent",
            QueueState::Dead => "dead",
            QueueState::Canceled => "canceled",
        }
    }

    /// The state of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

impl Outcome {
    /// The word the journal has for it.
    pub fn word(&self) -> &'static str {
        use providers::FailureClass;
        match self {
            Outcome::Sent(_) => "sent",
            Outcome::Again { failure, .. } => match failure.class {
                FailureClass::RateLimited(_) => "rate_limited",
                FailureClass::Permanent(_) | FailureClass::NoFailure => "permanent",
                FailureClass::Transient | FailureClass::Indeterminate => "transient",
            },
            Outcome::Dead(_) => "permanent",
            Outcome::Unknown(_) => "indeterminate",
        }
    }

    /// What went wrong, if anything did.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Outcome::Sent(_) => None,
            Outcome::Again { failure, .. } | Outcome::Dead(failure) | Outcome::Unknown(failure) => {
                Some(failure)
            }
        }
    }
}
