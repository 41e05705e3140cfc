//! What accounts can do besides carrying messages: templates, and linked devices.

use providers::{ListedTemplate, SessionState};

use super::AccountId;
use crate::clock::Timestamp;

/// A template as an account's provider listed it.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// The account whose template it is.
    pub account_id: AccountId,
    /// What the provider says of it.
    pub listed: ListedTemplate,
    /// When the provider was last asked.
    pub synced_at: Timestamp,
}

/// How a linked device is doing, as far as we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceState {
    /// It was never asked.
    Unknown,
    /// Nobody has started it, or somebody has stopped it.
    Stopped,
    /// It comes up.
    Starting,
    /// It waits for somebody to link it.
    Pairing,
    /// It sends and receives.
    Working,
    /// It broke; starting it again may help.
    Failed,
    /// It was unlinked, or the number was banned: only a person can mend it.
    LoggedOut,
    /// The bridge does not answer, or does not let us ask.
    Unreachable,
}

/// What people want of a linked device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wish {
    /// Nobody has said anything since it was connected, or since it was logged out.
    Nothing,
    /// It shall run: it is started again when it breaks.
    Run,
    /// It shall not run.
    Stop,
    /// It shall not even be linked.
    LogOut,
}

/// A linked device.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// How it is doing.
    pub state: DeviceState,
    /// What people want of it.
    pub wish: Wish,
    /// Whether it was linked when it last told.
    pub linked: bool,
    /// Our number, while it is linked.
    pub number: Option<String>,
    /// Why, in the bridge's words.
    pub detail: Option<String>,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// When it was last asked.
    pub checked_at: Option<Timestamp>,
    /// How often it was started by itself since it last worked for a while.
    pub failures: i64,
    /// How often in a row it could not be asked.
    pub unanswered: i64,
    /// When it is started again by itself.
    pub next_start_at: Option<Timestamp>,
    /// When people were told that it was logged out.
    pub alerted_at: Option<Timestamp>,
    /// When it is looked at next.
    pub due_at: Timestamp,
}

impl Device {
    /// A device of which nothing is known yet.
    pub fn new(now: Timestamp) -> Self {
        Self {
            state: DeviceState::Unknown,
            wish: Wish::Nothing,
            linked: false,
            number: None,
            detail: None,
            since: now,
            checked_at: None,
            failures: 0,
            unanswered: 0,
            next_start_at: None,
            alerted_at: None,
            due_at: now,
        }
    }
}

macro_rules! words {
    ($type:ident { $($variant:ident: $word:literal),+ $(,)? }) => {
        impl $type {
            /// Its word.
            pub fn word(self) -> &'static str {
                match self { $($type::$variant => $word),+ }
            }

            /// The one of that word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some($type::$variant),)+ _ => None }
            }
        }
    };
}

words!(DeviceState {
    Unknown: "unknown",
    Stopped: "stopped",
    Starting: "starting",
    Pairing: "pairing",
    Working: "working",
    Failed: "failed",
    LoggedOut: "logged_out",
    Unreachable: "unreachable",
});

words!(Wish { Nothing: "nothing", Run: "run", Stop: "stop", LogOut: "log_out" });

impl From<SessionState> for DeviceState {
    fn from(state: SessionState) -> Self {
        match state {
            SessionState::Stopped => Self::Stopped,
            SessionState::Starting => Self::Starting,
            SessionState::Pairing => Self::Pairing,
            SessionState::Working => Self::Working,
            SessionState::Failed => Self::Failed,
            SessionState::LoggedOut => Self::LoggedOut,
        }
    }
}
