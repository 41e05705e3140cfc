//! Which account proved what named a line last: where several name it, or another one than those that do, it is asked first.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use lru::LruCache;

use crate::model::AccountId;

/// How many lines are remembered, and how long their names may be.
const LINES: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
const NAME_BYTES: usize = 200;

/// The memory. It decides nothing but an order, and can be lost at any time.
pub struct Proofs {
    last: Mutex<LruCache<(&'static str, String), AccountId>>,
    turn: AtomicUsize,
}

impl Default for Proofs {
    fn default() -> Self {
        Self { last: Mutex::new(LruCache::new(LINES)), turn: AtomicUsize::new(0) }
    }
}

impl Proofs {
    /// The account that proved what named that line.
    pub fn last(&self, provider: &'static str, line: &str) -> Option<AccountId> {
        self.known().get(&(provider, line.to_owned())).copied()
    }

    /// Remembers it.
    pub fn note(&self, provider: &'static str, line: String, account: AccountId) {
        if line.len() <= NAME_BYTES {
            self.known().put((provider, line), account);
        }
    }

    /// Another number each time: where not everybody can be asked, the next request is not asked of the same again.
    pub fn turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    fn known(&self) -> MutexGuard<'_, LruCache<(&'static str, String), AccountId>> {
        self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Proofs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proofs(..)")
    }
}
