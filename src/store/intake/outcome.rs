//! What became of the last batches: whether webhooks can be written, and since when they cannot.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::clock::Timestamp;
use crate::store::StoreError;

/// Batches that could not be written, one after the other.
#[derive(Debug, Clone)]
pub struct Failing {
    /// When the first of them failed.
    pub since: Timestamp,
    /// How many they are.
    pub batches: u64,
    /// What the last one failed with.
    pub error: String,
    /// When the last one failed.
    pub last: Instant,
}

/// How the writers fare. What one of them meets holds for all: they write to one database.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// When a batch was last committed.
    pub committed: Option<Instant>,
    /// Failures that no commit has ended.
    pub failing: Option<Failing>,
}

/// The outcome that the writers share.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcomes(Arc<Mutex<Outcome>>);

impl Outcomes {
    pub(super) fn committed(&self) {
        *self.lock() = Outcome { committed: Some(Instant::now()), failing: None };
    }

    pub(super) fn failed(&self, at: Timestamp, error: &StoreError) {
        let mut outcome = self.lock();
        let (since, batches) =
            outcome.failing.as_ref().map_or((at, 0), |failing| (failing.since, failing.batches));
        let (error, last) = (error.to_string(), Instant::now());
        outcome.failing = Some(Failing { since, batches: batches + 1, error, last });
    }

    pub(super) fn read(&self) -> Outcome {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Outcome> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_count_from_the_first_until_a_commit_ends_them() {
        let outcomes = Outcomes::default();
        assert!(outcomes.read().failing.is_none());
        let first: Timestamp = "2026-11-01T12:00:00Z".parse().unwrap();
        let error = StoreError::Unavailable(sqlx::Error::PoolTimedOut);
        outcomes.failed(first, &error);
        outcomes.failed(first + chrono::TimeDelta::seconds(5), &error);
        let failing = outcomes.read().failing.unwrap();
        assert_eq!((failing.since, failing.batches), (first, 2));
        assert!(failing.error.contains("not available"), "{}", failing.error);
        outcomes.committed();
        assert!(outcomes.read().failing.is_none() && outcomes.read().committed.is_some());
    }
}
