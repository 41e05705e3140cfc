//! What webhook intake hands to the store: requests to keep, items to write, items that must wait.

use bytes::Bytes;
use providers::{Address, Direction, Event};

use super::{AccountId, InboxId, OrganizationId, QuarantineId};
use crate::clock::Timestamp;

/// A fingerprint of the key that a webhook was signed with, as it may be kept: made with a secret of the gateway's own, so that
/// whoever sees it cannot try keys against it. Equal for equal keys in every process of one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyFingerprint(pub [u8; 16]);

/// A genuine webhook as it came.
#[derive(Debug, Clone)]
pub struct KeptRequest {
    /// Whose it is: the one organization it names, or the platform.
    pub organization_id: OrganizationId,
    /// Its id.
    pub id: InboxId,
    /// The account whose keys verified it; another one that holds the same key, if that is its organization's own.
    pub account_id: AccountId,
    /// The key that it was signed with, if that can be told.
    pub key: Option<KeyFingerprint>,
    /// The provider's word.
    pub provider: &'static str,
    /// The HTTP method.
    pub method: String,
    /// The absolute URL, as the provider called it.
    pub url: String,
    /// The headers that matter for reading it again, one `name: value` a line.
    pub headers: String,
    /// The raw body.
    pub body: Bytes,
    /// When it reached us.
    pub received_at: Timestamp,
}

/// One event that found its organization.
#[derive(Debug, Clone)]
pub struct Item {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The account it came through.
    pub account_id: AccountId,
    /// The provider's word.
    pub provider: &'static str,
    /// Our number or mailbox, if the event named it.
    pub our_address: Option<String>,
    /// For calls: which way it goes, as far as it is known by now.
    pub direction: Option<Direction>,
    /// For calls: the person at the other end, unless withheld.
    pub person: Option<Address>,
    /// What happened.
    pub event: Event,
}

/// Why an item waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuarantineReason {
    /// We could not read it.
    Unreadable,
    /// No route claims its line.
    Unrouted,
    /// Several organizations could be meant.
    Ambiguous,
    /// The store refused it.
    Refused,
}

/// An item of a genuine webhook that waits for a person, a route or a fix.
#[derive(Debug, Clone)]
pub struct QuarantinedItem {
    /// Whose it is, or the platform's.
    pub organization_id: OrganizationId,
    /// Its id.
    pub id: QuarantineId,
    /// The account whose key verified its request: its organization's own, if that holds the key.
    pub account_id: AccountId,
    /// Where it stood in the request.
    pub position: String,
    /// Why it waits.
    pub reason: QuarantineReason,
    /// The same in a sentence.
    pub detail: String,
    /// The line of ours it names, by which a new route finds it: `handle:…`, `address:…`, `account:…`.
    pub line: Option<String>,
    /// The item as it came.
    pub raw: String,
}

/// Everything that one request wants written, in one transaction.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The request.
    pub request: KeptRequest,
    /// Whether the request itself is to be kept: not when it is replayed from the inbox.
    pub keep: bool,
    /// What it says.
    pub items: Vec<Item>,
    /// What of it must wait.
    pub quarantined: Vec<QuarantinedItem>,
}

/// What became of a request's items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Written now.
    pub stored: u32,
    /// Known already; changed nothing.
    pub duplicate: u32,
    /// Waiting for the message they speak of.
    pub waiting: u32,
    /// Waiting for a person, a route or a fix.
    pub quarantined: u32,
}

impl QuarantineReason {
    /// All reasons.
    pub const ALL: [QuarantineReason; 4] = [
        QuarantineReason::Unreadable,
        QuarantineReason::Unrouted,
        QuarantineReason::Ambiguous,
        QuarantineReason::Refused,
    ];

    /// The reason of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.word() == word)
    }

    /// The reason's word.
    pub fn word(self) -> &'static str {
        match self {
            QuarantineReason::Unreadable => "unreadable",
            QuarantineReason::Unrouted => "unrouted",
            QuarantineReason::Ambiguous => "ambiguous",
            QuarantineReason::Refused => "refused",
        }
    }
}

impl Receipt {
    /// Counts an item as written or as known already.
    pub fn count(&mut self, is_new: bool) {
        if is_new {
            self.stored += 1;
        } else {
            self.duplicate += 1;
        }
    }
}

impl Submission {
    /// Every organization that this writes for.
    pub fn organizations(&self) -> impl Iterator<Item = OrganizationId> {
        self.items.iter().map(|item| item.organization_id)
    }

    /// About how much memory it holds, in bytes.
    pub fn weight(&self) -> usize {
        self.request.body.len() + self.request.headers.len() + 512
    }
}
