//! Can the database be written? A small write of our own shows it, at most one a second, whoever asks.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::store::sending::recovery;
use crate::store::{Store, StoreError};

/// How long what was found holds for others who ask.
const HOLDS: Duration = Duration::from_secs(1);

/// How long a write may take, with the wait for its turn.
const PATIENCE: Duration = Duration::from_secs(3);

/// A row among the processes that send, of one that sends nothing.
const NOBODY: Uuid = Uuid::nil();

/// The last write that was tried.
#[derive(Debug, Default)]
pub struct Trial(Mutex<Option<Tried>>);

/// What came of it.
#[derive(Debug, Clone)]
pub struct Tried {
    /// When it ended.
    pub at: Instant,
    /// How long it took.
    pub took: Duration,
    /// Why it failed.
    pub failure: Option<String>,
}

impl Trial {
    /// Writes, or tells what came of the last write if that was a moment ago. Answers within a few seconds.
    pub async fn ask(&self, store: &Store, now: Timestamp) -> Tried {
        let mut last = self.0.lock().await;
        if let Some(tried) = last.as_ref().filter(|tried| tried.at.elapsed() < HOLDS) {
            return tried.clone();
        }
        let started = Instant::now();
        let failure = match tokio::time::timeout(PATIENCE, write(store, now)).await {
            Ok(written) => written.err().map(|error| error.to_string()),
            Err(_) => Some(format!("a write was not done within {} s", PATIENCE.as_secs())),
        };
        let tried = Tried { at: Instant::now(), took: started.elapsed(), failure };
        *last = Some(tried.clone());
        tried
    }
}

/// Committed: what is rolled back never reaches the disk.
async fn write(store: &Store, now: Timestamp) -> Result<(), StoreError> {
    let mut session = store.write_all().await?;
    recovery::seen(&mut session, NOBODY, now).await?;
    session.commit().await
}
