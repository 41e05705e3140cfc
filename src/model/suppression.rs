//! Whom not to write to, for what, and for how long.

use chrono::TimeDelta;
use providers::Reach;

/// What a suppression keeps from somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SuppressionScope {
    /// Every message.
    All,
    /// Marketing only.
    Marketing,
}

/// What a failure says about writing to its recipient again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suppress {
    /// Why: `opted_out` or `undeliverable`.
    pub reason: &'static str,
    /// What they are not sent any more.
    pub scope: SuppressionScope,
    /// For how long; until somebody lifts it, if not said.
    pub lasts: Option<TimeDelta>,
}

impl SuppressionScope {
    /// All scopes.
    pub const ALL: [SuppressionScope; 2] = [SuppressionScope::All, SuppressionScope::Marketing];

    /// The scope's word.
    pub fn word(self) -> &'static str {
        match self {
            SuppressionScope::All => "all",
            SuppressionScope::Marketing => "marketing",
        }
    }

    /// Whether it keeps a message from somebody that is marketing, or is not.
    pub fn covers(self, marketing: bool) -> bool {
        match self {
            SuppressionScope::All => true,
            SuppressionScope::Marketing => marketing,
        }
    }

    /// The scope of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.word() == word)
    }
}

impl Suppress {
    /// What follows from how a recipient could not be reached.
    pub fn of(reach: Reach) -> Option<Self> {
        let (reason, scope, lasts) = match reach {
            Reach::Nobody => ("undeliverable", SuppressionScope::All, Some(TimeDelta::days(1))),
            Reach::OptedOut => ("opted_out", SuppressionScope::All, None),
            Reach::NoMarketing => ("opted_out", SuppressionScope::Marketing, None),
            Reach::NoMarketingNow => {
                ("undeliverable", SuppressionScope::Marketing, Some(TimeDelta::days(1)))
            }
            Reach::NotThisTime => return None,
        };
        Some(Self { reason, scope, lasts })
    }
}
