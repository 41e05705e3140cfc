//! The people whom Meta's emulator has met: their user ids and names, and the messages of theirs that one may react to. Bounded.

use std::collections::{HashMap, HashSet, VecDeque};

use sha2::{Digest, Sha256};

use crate::sandbox::accounts::digits;

/// How many people, and how many of their messages, are remembered.
const PEOPLE: usize = 100_000;
const MESSAGES: usize = 20_000;

/// A person.
#[derive(Debug, Clone, Default)]
struct Person {
    user_id: Option<String>,
    name: Option<String>,
}

/// What is remembered of people.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct People {
    /// By the digits of a number, or a user id.
    known: HashMap<String, Person>,
    wrote: HashSet<String>,
    order: VecDeque<String>,
}

impl People {
    /// A person wrote a message.
    pub(super) fn wrote(
        &mut self,
        person: &str,
        user_id: Option<&str>,
        name: Option<&str>,
        message: &str,
    ) {
        for key in [Some(person), user_id].into_iter().flatten() {
            if self.known.len() < PEOPLE || self.known.contains_key(key) {
                let known = self.known.entry(key.to_owned()).or_default();
                known.user_id = user_id.map(ToOwned::to_owned).or(known.user_id.take());
                known.name = name.map(ToOwned::to_owned).or(known.name.take());
            }
        }
        if self.order.len() >= MESSAGES
            && let Some(oldest) = self.order.pop_front()
        {
            self.wrote.remove(&oldest);
        }
        self.order.push_back(message.to_owned());
        self.wrote.insert(message.to_owned());
    }

    /// Whether a person wrote that message, as far as is remembered.
    pub(super) fn has_written(&self, message: &str) -> bool {
        self.wrote.contains(message)
    }

    /// The user id of a number: the one that a message of theirs named, else one that is always the same.
    pub(super) fn user_id(&self, number: &str) -> String {
        let number = digits(number);
        let named = self.known.get(&number).and_then(|person| person.user_id.clone());
        named.unwrap_or_else(|| made(&number))
    }

    /// The name on a person's profile, if they have written.
    pub(super) fn name(&self, person: &str) -> Option<&str> {
        self.known.get(person)?.name.as_deref()
    }
}

/// A business-scoped user id: the country's letters and a number.
fn made(number: &str) -> String {
    let countries =
        [("55", "BR"), ("54", "AR"), ("52", "MX"), ("351", "PT"), ("49", "DE"), ("44", "GB")];
    let country = countries.iter().find(|(code, _)| number.starts_with(code));
    let digest = Sha256::digest(number.as_bytes());
    let mut id = 0_u64;
    for byte in &digest[..7] {
        id = (id << 8) | u64::from(*byte);
    }
    format!("{}.{id:017}", country.map_or("US", |(_, letters)| letters))
}
