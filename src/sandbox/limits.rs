//! How fast a provider lets an account send, and whom it lets it write to: buckets, windows and opt-outs.

use std::collections::{HashMap, HashSet};

use chrono::TimeDelta;

use super::accounts::Strictness;
use crate::clock::Timestamp;

/// One recipient: so many at once after a rest, and then one in so many seconds.
const PAIR_BURST: f64 = 45.0;
const PAIR_SECONDS: f64 = 6.0;

/// How long a person's message lets us answer freely.
const WINDOW_HOURS: i64 = 24;

/// How many pairs and windows are remembered before those that no longer matter are forgotten.
const REMEMBERED: usize = 200_000;

/// A line of ours and a person.
pub(super) type Pair = (String, String);

/// Which limit a message oversteps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overstepped {
    /// The line sends too much.
    Line,
    /// This recipient gets too much from it.
    Pair,
}

/// What was sent lately, who wrote lately, and who wants nothing more.
#[derive(Debug, Default)]
pub(super) struct Limits {
    lines: HashMap<String, Bucket>,
    pairs: HashMap<Pair, Bucket>,
    windows: HashMap<Pair, Timestamp>,
    opted_out: HashSet<Pair>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Timestamp,
}

impl Bucket {
    fn filled(self, now: Timestamp, per_second: f64, burst: f64) -> Self {
        let passed = (now - self.at).max(TimeDelta::zero()).as_seconds_f64();
        Self { tokens: (self.tokens + passed * per_second).min(burst), at: now }
    }
}

impl Limits {
    /// Counts a message from `line` to `person`, unless it oversteps a limit.
    pub(super) fn send(
        &mut self,
        strictness: Strictness,
        line: &str,
        person: &str,
        now: Timestamp,
    ) -> Result<(), Overstepped> {
        let key = (line.to_owned(), person.to_owned());
        let rate = 1.0 / PAIR_SECONDS;
        let full = |burst: f64| Bucket { tokens: burst, at: now };
        let pair = strictness.pair.then(|| {
            let bucket = self.pairs.get(&key).copied().unwrap_or(full(PAIR_BURST));
            bucket.filled(now, rate, PAIR_BURST)
        });
        if pair.is_some_and(|bucket| bucket.tokens < 1.0) {
            return Err(Overstepped::Pair);
        }
        if let Some(per_second) = strictness.per_second {
            let burst = per_second.max(1.0);
            let bucket = self.lines.entry(line.to_owned()).or_insert(full(burst));
            *bucket = bucket.filled(now, per_second, burst);
            if bucket.tokens < 1.0 {
                return Err(Overstepped::Line);
            }
            bucket.tokens -= 1.0;
        }
        if let Some(mut bucket) = pair {
            bucket.tokens -= 1.0;
            if self.pairs.len() >= REMEMBERED {
                self.pairs
                    .retain(|_, bucket| bucket.filled(now, rate, PAIR_BURST).tokens < PAIR_BURST);
            }
            self.pairs.insert(key, bucket);
        }
        Ok(())
    }

    /// A person wrote: the window is open from now on.
    pub(super) fn heard(&mut self, line: &str, person: &str, now: Timestamp) {
        if self.windows.len() >= REMEMBERED {
            let window = TimeDelta::hours(WINDOW_HOURS);
            self.windows.retain(|_, heard| now - *heard < window);
        }
        self.windows.insert((line.to_owned(), person.to_owned()), now);
    }

    /// Whether anything but a template may be sent.
    pub(super) fn is_open(&self, line: &str, person: &str, now: Timestamp) -> bool {
        let heard = self.windows.get(&(line.to_owned(), person.to_owned()));
        heard.is_some_and(|heard| now - *heard < TimeDelta::hours(WINDOW_HOURS))
    }

    /// What the person's own words mean for further messages: STOP and START.
    pub(super) fn read(&mut self, line: &str, person: &str, text: &str) {
        let key = (line.to_owned(), person.to_owned());
        match text.trim().to_ascii_uppercase().as_str() {
            "STOP" | "STOPALL" | "UNSUBSCRIBE" | "CANCEL" | "END" | "QUIT" | "REVOKE"
            | "OPTOUT" => {
                self.opted_out.insert(key);
            }
            "START" | "YES" | "UNSTOP" => {
                self.opted_out.remove(&key);
            }
            _ => {}
        }
    }

    /// Whether the person has said STOP to this line.
    pub(super) fn has_opted_out(&self, line: &str, person: &str) -> bool {
        self.opted_out.contains(&(line.to_owned(), person.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_gets_a_burst_and_then_pays_back() {
        let (mut limits, start) = (Limits::default(), Timestamp::UNIX_EPOCH);
        let strict = Strictness { pair: true, ..Strictness::NONE };
        let mut send = |at: TimeDelta| limits.send(strict, "1", "2", start + at);
        assert!((0..45).all(|_| send(TimeDelta::zero()).is_ok()));
        assert_eq!(send(TimeDelta::seconds(5)), Err(Overstepped::Pair));
        assert_eq!(send(TimeDelta::seconds(6)), Ok(()));
        assert_eq!(send(TimeDelta::seconds(7)), Err(Overstepped::Pair));
        assert_eq!(limits.send(strict, "1", "3", start), Ok(()));
    }

    #[test]
    fn a_window_closes_after_a_day() {
        let (mut limits, start) = (Limits::default(), Timestamp::UNIX_EPOCH);
        limits.heard("1", "2", start);
        assert!(limits.is_open("1", "2", start + TimeDelta::hours(24) - TimeDelta::seconds(1)));
        assert!(!limits.is_open("1", "2", start + TimeDelta::hours(24)));
        assert!(!limits.is_open("1", "3", start));
    }
}
