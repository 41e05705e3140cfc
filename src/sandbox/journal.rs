//! What the emulators received and accepted: bounded, and readable over the control API.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;

use super::accounts::SandboxAccount;
use crate::clock::Timestamp;

/// How many requests are kept.
const REQUESTS: usize = 2_000;
/// How many messages are kept whole.
const MESSAGES: usize = 20_000;
/// How many of our ids are counted. Ids beyond that are counted together, which shows in [`Counts::uncounted`].
const COUNTED: usize = 1_000_000;
/// How much of a body is kept.
pub(super) const BODY_BYTES: usize = 16 * 1024;

/// A request as it was received; what is secret is redacted.
#[derive(Debug, Clone, Serialize)]
pub struct SeenRequest {
    /// When.
    pub at: Timestamp,
    /// Which emulator it came to.
    pub provider: String,
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub path: String,
    /// Its headers by name.
    pub headers: Vec<(String, String)>,
    /// The first 16 KiB of its body; what is no UTF-8 is replaced.
    pub body: String,
    /// What was answered: an HTTP status, or 0 if the connection was closed instead.
    pub status: u16,
}

/// A message that an emulator accepted, and how far it came.
#[derive(Debug, Clone, Serialize)]
pub struct SeenMessage {
    /// The provider's id of it.
    pub id: String,
    /// Which emulator took it.
    pub provider: String,
    /// The account that sent it.
    pub account: String,
    /// Our id of it, where the request carried one.
    pub ours: Option<String>,
    /// Our line.
    pub from: String,
    /// To whom.
    pub to: String,
    /// The provider's word for what it is.
    pub kind: String,
    /// The request's body as JSON (forms too).
    pub body: Value,
    /// When it was accepted.
    pub at: Timestamp,
    /// How far it came, in the provider's words.
    pub status: String,
    /// The provider's error code, if it failed.
    pub code: Option<u32>,
    /// The statuses in the order in which their webhooks were sent.
    pub told: Vec<String>,
    /// The files it links to, as the emulator fetched them: address, size in bytes.
    pub fetched: Vec<(String, usize)>,
    /// The time it was scheduled for.
    pub scheduled_for: Option<Timestamp>,
    /// When it left the provider's queue.
    pub sent_at: Option<Timestamp>,
    /// Whether the account has deleted it since: the provider's API shows it no more.
    pub deleted: bool,
}

/// How often each of our messages was accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Messages accepted, all in all.
    pub accepted: u64,
    /// How many of our ids they carried.
    pub distinct: usize,
    /// Messages that carried no id of ours.
    pub nameless: u64,
    /// Messages whose id was no longer counted.
    pub uncounted: u64,
    /// Our ids that were accepted more than once, at most a hundred of them.
    pub doubled: Vec<(String, u32)>,
}

/// An accepted message as the emulators hold it.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) account: Arc<SandboxAccount>,
    /// Where its statuses go; the account's own URL without it.
    pub(super) status_url: Option<String>,
    seen: Mutex<SeenMessage>,
}

impl Accepted {
    pub(super) fn new(
        account: Arc<SandboxAccount>,
        status_url: Option<String>,
        seen: SeenMessage,
    ) -> Arc<Self> {
        Arc::new(Self { account, status_url, seen: Mutex::new(seen) })
    }

    /// The message as it is now.
    pub(super) fn seen(&self) -> SeenMessage {
        self.with(|seen| seen.clone())
    }

    /// Reads or changes it.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut SeenMessage) -> T) -> T {
        act(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What was received and accepted.
#[derive(Debug, Default)]
pub(super) struct Journal {
    requests: VecDeque<SeenRequest>,
    messages: VecDeque<Arc<Accepted>>,
    by_id: HashMap<String, Arc<Accepted>>,
    counts: HashMap<Box<str>, u32>,
    accepted: u64,
    nameless: u64,
    uncounted: u64,
}

impl Journal {
    pub(super) fn note(&mut self, request: SeenRequest) {
        if self.requests.len() >= REQUESTS {
            self.requests.pop_front();
        }
        self.requests.push_back(request);
    }

    pub(super) fn accept(&mut self, message: &Arc<Accepted>) {
        let (id, ours) = message.with(|seen| (seen.id.clone(), seen.ours.clone()));
        self.accepted += 1;
        match ours {
            None => self.nameless += 1,
            Some(ours) => {
                let room = self.counts.len() < COUNTED;
                match self.counts.get_mut(ours.as_str()) {
                    Some(count) => *count += 1,
                    None if room => {
                        self.counts.insert(ours.into_boxed_str(), 1);
                    }
                    None => self.uncounted += 1,
                }
            }
        }
        if self.messages.len() >= MESSAGES
            && let Some(oldest) = self.messages.pop_front()
        {
            self.by_id.remove(&oldest.with(|seen| seen.id.clone()));
        }
        self.by_id.insert(id, Arc::clone(message));
        self.messages.push_back(Arc::clone(message));
    }

    /// The message with the provider's id, if it is still kept.
    pub(super) fn message(&self, id: &str) -> Option<Arc<Accepted>> {
        self.by_id.get(id).cloned()
    }

    /// The messages that are kept, oldest first.
    pub(super) fn messages(&self) -> impl DoubleEndedIterator<Item = &Arc<Accepted>> {
        self.messages.iter()
    }

    /// The requests that are kept, oldest first.
    pub(super) fn requests(&self) -> impl DoubleEndedIterator<Item = &SeenRequest> {
        self.requests.iter()
    }

    /// How often our message `ours` was accepted.
    pub(super) fn count_of(&self, ours: &str) -> u32 {
        self.counts.get(ours).copied().unwrap_or_default()
    }

    pub(super) fn counts(&self) -> Counts {
        let doubled = self.counts.iter().filter(|(_, count)| **count > 1);
        let mut doubled: Vec<(String, u32)> =
            doubled.take(100).map(|(ours, count)| (ours.to_string(), *count)).collect();
        doubled.sort();
        Counts {
            accepted: self.accepted,
            distinct: self.counts.len(),
            nameless: self.nameless,
            uncounted: self.uncounted,
            doubled,
        }
    }
}
