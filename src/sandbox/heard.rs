//! What people wrote, as the providers show it afterwards: bounded, and gone when an account deletes it.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use crate::clock::Timestamp;

/// How many messages of people are kept; the oldest go first.
const MESSAGES: usize = 5_000;

/// A message of a person.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) provider: &'static str,
    /// The name of the account that it came to.
    pub(super) account: String,
    /// The provider's id of it.
    pub(super) id: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) at: Timestamp,
    /// The ids of its files.
    pub(super) files: Vec<String>,
    /// The message as the provider's API shows it.
    pub(super) view: Value,
}

/// The messages of people, oldest first.
#[derive(Debug, Default)]
pub(super) struct Inbox(VecDeque<Arc<Heard>>);

impl Inbox {
    pub(super) fn keep(&mut self, heard: Heard) {
        if self.0.len() >= MESSAGES {
            self.0.pop_front();
        }
        self.0.push_back(Arc::new(heard));
    }

    /// What an account heard, newest first.
    pub(super) fn of<'a>(
        &'a self,
        provider: &'a str,
        account: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Heard>> {
        let belongs =
            move |heard: &&Arc<Heard>| heard.provider == provider && heard.account == account;
        self.0.iter().rev().filter(belongs)
    }

    /// The message of an account with that id.
    pub(super) fn find(&self, provider: &str, account: &str, id: &str) -> Option<Arc<Heard>> {
        self.of(provider, account).find(|heard| heard.id == id).cloned()
    }

    /// Changes a message where it is kept; what was handed out before stays as it was.
    pub(super) fn change(&mut self, id: &str, change: impl FnOnce(&mut Heard)) {
        if let Some(heard) = self.0.iter_mut().find(|heard| heard.id == id) {
            change(Arc::make_mut(heard));
        }
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.0.retain(|heard| heard.id != id);
    }
}
