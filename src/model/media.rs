//! Files: those that came with messages, and those that were handed to us to be sent.

use providers::Attachment;

use super::{AccountId, MediaId, MessageId, OrganizationId};
use crate::clock::Timestamp;

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaState {
    /// It is being fetched, or will be.
    Pending,
    /// We have it.
    Stored,
    /// It could not be fetched. It can be asked for again.
    Failed,
    /// The provider no longer has it, or we had it and no longer keep it.
    Expired,
}

/// What is known of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct MediaFile {
    /// Its id.
    pub id: MediaId,
    /// The message it came with; `None` of one that was handed to us.
    pub message_id: Option<MessageId>,
    /// What became of it.
    pub state: MediaState,
    /// Its media type: what was found once it is stored, else what was announced.
    pub mime_type: Option<String>,
    /// Its name. Untrusted.
    pub filename: Option<String>,
    /// Its size in bytes.
    pub size: Option<i64>,
    /// Its SHA-256 in hex, once it is stored.
    pub sha256: Option<String>,
    /// Where it is kept, once it is stored.
    pub blob_key: Option<String>,
    /// What is odd about it.
    pub warning: Option<String>,
    /// Why fetching it failed last.
    pub last_error: Option<String>,
}

/// A file that is to be fetched now, and was claimed for it.
#[derive(Debug, Clone, PartialEq)]
pub struct WantedFile {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Its id.
    pub id: MediaId,
    /// The message it came with.
    pub message_id: MessageId,
    /// The account that brought it.
    pub account_id: Option<AccountId>,
    /// What the provider says of it.
    pub attachment: Attachment,
    /// How often it was tried, this time included.
    pub attempts: i64,
    /// Since when it has been wanted.
    pub wanted_at: Timestamp,
}

/// A file as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedFile {
    /// Its media type.
    pub mime_type: String,
    /// Its size in bytes.
    pub size: i64,
    /// Its SHA-256 in hex.
    pub sha256: String,
    /// Where it is kept.
    pub blob_key: String,
    /// What is odd about it.
    pub warning: Option<String>,
}

impl MediaState {
    /// The state's word.
    pub fn word(self) -> &'static str {
        match self {
            MediaState::Pending => "pending",
            MediaState::Stored => "stored",
            MediaState::Failed => "failed",
            MediaState::Expired => "expired",
        }
    }

    /// The state of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        let all =
            [MediaState::Pending, MediaState::Stored, MediaState::Failed, MediaState::Expired];
        all.into_iter().find(|state| state.word() == word)
    }
}
