//! What became of a call that was passed on: to another telephone, out of a queue, to another leg.
//!
//! Providers call a forwarded call completed however it went: the caller's leg was connected, to music or to a voice menu. Who
//! talked is told by what became of passing it on, and by the legs that this made. Like the call itself, this only ever learns
//! more, so it comes out the same in whatever order it is told.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Timestamp;

/// Under which member of a call's metadata it is stored.
pub(super) const MEMBER: &str = "passed_on";

/// What is known of passing a call on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is news of its own, and comes in any order"
)]
pub(in crate::store) struct Passed {
    /// It was tried.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) began: bool,
    /// Somebody took it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) taken: bool,
    /// A try is over, and the call with it unless more is heard.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) over: bool,
    /// It joined a conference, in which it talks once another of its legs does.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) conference: bool,
    /// Whether one of the legs that it was passed on by talked; `None` while there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) legs: Option<bool>,
    /// For how long those who took it talked, in seconds, as far as it was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<i64>,
    /// The same by their legs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) leg_seconds: Option<i64>,
    /// For how long the caller waited, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    waited: Option<i64>,
    /// Since when they talk, where only that is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// When the call ended, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<Timestamp>,
}

impl Passed {
    /// What a call's metadata says of it.
    pub(in crate::store) fn of(metadata: &Value) -> Self {
        let stored = metadata.get(MEMBER).cloned();
        stored.and_then(|stored| serde_json::from_value(stored).ok()).unwrap_or_default()
    }

    /// The same, taken out of metadata that are to be shown.
    pub(in crate::store) fn take(metadata: &mut Map<String, Value>) -> Self {
        let stored = metadata.remove(MEMBER);
        stored.and_then(|stored| serde_json::from_value(stored).ok()).unwrap_or_default()
    }

    /// Learns what a provider told of it at `at`.
    pub(super) fn learn(&mut self, news: &News<'_>, at: Timestamp) {
        if news.to == "conference" {
            self.conference = true;
            return;
        }
        self.began = true;
        self.taken |= news.taken;
        self.over |= news.over;
        let sum = |known: Option<i64>, more: Option<i64>| match (known, more) {
            (Some(known), Some(more)) => Some(known.saturating_add(more)),
            (known, more) => known.or(more),
        };
        self.seconds = sum(self.seconds, news.seconds);
        self.waited = sum(self.waited, news.waited);
        if news.taken && !news.over {
            self.since = Some(self.since.map_or(at, |since| since.min(at)));
        }
    }

    /// Whether anybody talked: by what became of passing it on, or by the legs that this made. `None` if it was not passed
    /// on, and the call itself tells.
    pub(in crate::store) fn talked(&self) -> Option<bool> {
        if self.taken || self.legs == Some(true) {
            return Some(true);
        }
        (self.began || self.legs.is_some()).then_some(false)
    }

    /// Whether it is over by what was told of passing it on, whatever stage the call itself was last said to be in: the
    /// gateway gives no instructions after it, so that nothing follows.
    pub(in crate::store) fn is_over(&self) -> bool {
        self.over
    }

    /// How long they talked, in seconds, where the call as a whole lasted for `whole`. `None` while that is not known.
    pub(in crate::store) fn talk(&self, whole: Option<i64>) -> Option<i64> {
        match self.talked() {
            None => whole,
            Some(false) => Some(0),
            Some(true) => {
                let measured = self.since.zip(self.until);
                let measured = measured.map(|(since, until)| (until - since).num_seconds().max(0));
                let rest = || whole.map(|whole| (whole - self.waited.unwrap_or(0)).max(0));
                self.seconds.or(self.leg_seconds).or(measured).or_else(rest)
            }
        }
    }
}

/// What a provider tells of passing a call on.
#[derive(Debug, Clone, Copy)]
pub(super) struct News<'a> {
    pub(super) to: &'a str,
    pub(super) taken: bool,
    pub(super) over: bool,
    pub(super) seconds: Option<i64>,
    pub(super) waited: Option<i64>,
}
