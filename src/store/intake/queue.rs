//! The queue in front of the writers.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lru::LruCache;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::aside::Aside;
use super::commit;
use super::identities::Memory;
use crate::clock::Clock;
use crate::ids::Ids;
use crate::model::{Receipt, Submission};
use crate::store::{Store, StoreError};

/// How many identities are remembered: about six megabytes.
const MEMORY: usize = 50_000;

/// How many bytes of bodies one transaction may carry, beyond its first request.
const BATCH_BYTES: usize = 8 << 20;

/// How the batcher is sized.
#[derive(Debug, Clone, Copy)]
pub struct BatcherOptions {
    /// How many submissions may wait.
    pub queue: usize,
    /// How many submissions one transaction may carry.
    pub batch: usize,
    /// How many transactions may be under way at once.
    pub writers: usize,
}

/// What a writer did, for metrics.
#[derive(Debug, Clone, Copy)]
pub struct Committed {
    /// How many submissions it carried.
    pub submissions: usize,
    /// How long it took, from taking them up to the end of the commit.
    pub took: Duration,
    /// Whether it was committed.
    pub ok: bool,
}

/// Why a submission was not written.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// Too many wait already.
    #[error("too many webhooks are waiting to be written")]
    Full,
    /// The gateway is shutting down.
    #[error("the gateway is shutting down")]
    Closed,
    /// The store could not write it. Nothing of it was written, or it is not known whether it was: the sender must
    /// deliver it again.
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
}

/// A submission, and whom to tell what became of it.
pub(super) struct Waiting {
    pub(super) submission: Submission,
    pub(super) done: oneshot::Sender<Result<Receipt, Arc<StoreError>>>,
}

/// The entrance to the writers. Cheap to clone.
#[derive(Clone)]
pub struct Batcher {
    /// One queue a writer. An organization's webhooks always go to the same one, so that two writers seldom want to
    /// write for the same organization at once.
    queues: Arc<[mpsc::Sender<Waiting>]>,
    depth: Arc<AtomicUsize>,
    closing: watch::Sender<bool>,
    writers: Arc<Mutex<JoinSet<()>>>,
}

impl Batcher {
    /// Starts the writers. `observe` is told of every transaction.
    pub fn start(
        store: Store,
        clock: Clock,
        ids: Ids,
        options: BatcherOptions,
        observe: impl Fn(Committed) + Send + Sync + 'static,
    ) -> Self {
        let (closing, closed) = watch::channel(false);
        let depth = Arc::new(AtomicUsize::new(0));
        let memory = LruCache::new(NonZeroUsize::new(MEMORY).unwrap_or(NonZeroUsize::MIN));
        let shared = Arc::new(Shared {
            store,
            clock,
            ids,
            memory: Memory::new(memory),
            depth: Arc::clone(&depth),
            aside: Aside::default(),
            batch: options.batch,
            observe: Box::new(observe),
        });
        let mut writers = JoinSet::new();
        let mut queues = Vec::with_capacity(options.writers);
        for _ in 0..options.writers.max(1) {
            let (queue, receiver) = mpsc::channel(options.queue.div_ceil(options.writers.max(1)));
            queues.push(queue);
            writers.spawn(run(Arc::clone(&shared), receiver, closed.clone()));
        }
        Self { queues: queues.into(), depth, closing, writers: Arc::new(Mutex::new(writers)) }
    }

    /// Hands in a submission and waits until it is committed.
    pub async fn submit(&self, submission: Submission) -> Result<Receipt, SubmitError> {
        let (done, result) = oneshot::channel();
        self.depth.fetch_add(1, Ordering::Relaxed);
        let queue = self.queue_of(&submission);
        if let Err(error) = queue.try_send(Waiting { submission, done }) {
            self.depth.fetch_sub(1, Ordering::Relaxed);
            return Err(match error {
                mpsc::error::TrySendError::Full(_) => SubmitError::Full,
                mpsc::error::TrySendError::Closed(_) => SubmitError::Closed,
            });
        }
        // A writer that is gone took the answer with it: what became of the submission is not known.
        Ok(result.await.map_err(|_| SubmitError::Closed)??)
    }

    /// How many submissions wait or are being written.
    pub fn depth(&self) -> usize {
        self.depth.load(Ordering::Relaxed)
    }

    /// How many may wait.
    pub fn capacity(&self) -> usize {
        self.queues.iter().map(mpsc::Sender::max_capacity).sum()
    }

    fn queue_of(&self, submission: &Submission) -> &mpsc::Sender<Waiting> {
        let organization = submission.request.organization_id.0.as_u128();
        let count = self.queues.len() as u128;
        &self.queues[usize::try_from(organization % count).unwrap_or_default()]
    }

    /// Stops taking submissions, and returns when everything that was handed in is written.
    pub async fn close(&self) {
        self.closing.send_replace(true);
        let mut writers = self.writers.lock().await;
        while writers.join_next().await.is_some() {}
    }
}

impl std::fmt::Debug for Batcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batcher").field("depth", &self.depth()).finish_non_exhaustive()
    }
}

/// What the writers share.
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) ids: Ids,
    pub(super) memory: Memory,
    pub(super) depth: Arc<AtomicUsize>,
    pub(super) aside: Aside,
    pub(super) batch: usize,
    observe: Box<dyn Fn(Committed) + Send + Sync>,
}

async fn run(
    shared: Arc<Shared>,
    mut queue: mpsc::Receiver<Waiting>,
    mut closed: watch::Receiver<bool>,
) {
    let mut batch = Vec::with_capacity(shared.batch);
    let mut finishing = JoinSet::new();
    while shared.take(&mut queue, &mut batch, &mut closed).await {
        let started = Instant::now();
        let submissions = batch.len();
        let ok = commit::write(&shared, std::mem::take(&mut batch), &mut finishing).await;
        shared.note(submissions, started, ok);
    }
    while finishing.join_next().await.is_some() {}
    shared.aside.finish().await;
}

/// Returns when the batcher is told to close.
async fn told_to_close(closed: &mut watch::Receiver<bool>) {
    let _ = closed.wait_for(|closed| *closed).await;
}

impl Shared {
    /// Tells of a transaction that began then.
    pub(super) fn note(&self, submissions: usize, started: Instant, ok: bool) {
        (self.observe)(Committed { submissions, took: started.elapsed(), ok });
    }

    /// Everything that waits, within the bounds of one transaction; waits for the first. `false` when the queue is
    /// closed and empty.
    async fn take(
        &self,
        queue: &mut mpsc::Receiver<Waiting>,
        batch: &mut Vec<Waiting>,
        closed: &mut watch::Receiver<bool>,
    ) -> bool {
        let first = tokio::select! {
            biased;
            first = queue.recv() => first,
            () = told_to_close(closed) => {
                queue.close();
                queue.recv().await
            }
        };
        let Some(first) = first else { return false };
        let mut bytes = first.submission.weight();
        batch.push(first);
        while batch.len() < self.batch && bytes < BATCH_BYTES {
            let Ok(next) = queue.try_recv() else { break };
            bytes += next.submission.weight();
            batch.push(next);
        }
        true
    }
}
