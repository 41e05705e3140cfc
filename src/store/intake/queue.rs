//! The queue in front of the writers.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::aside::Aside;
use super::commit;
use super::outcome::{Outcome, Outcomes};
use crate::clock::Clock;
use crate::ids::Ids;
use crate::metrics;
use crate::model::{Receipt, Submission};
use crate::store::{Store, StoreError};

/// How many bytes of bodies one transaction may carry, beyond its first request.
const BATCH_BYTES: usize = 8 << 20;

/// How long a writer that panicked rests before it goes on.
const AGAIN: Duration = Duration::from_millis(200);

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
    /// The writer panicked while it held the submission. It is not known whether it was written: the sender must deliver it again.
    #[error("the writer of webhooks broke and is started again")]
    Broken,
    /// The store could not write it. Nothing of it was written, or it is not known whether it was: the sender must
    /// deliver it again.
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
}

/// A submission, and whom to tell what became of it. Dropped untold, by a writer that panics, it is counted no more and its
/// sender is told that.
pub(super) struct Waiting {
    pub(super) submission: Submission,
    done: Option<oneshot::Sender<Result<Receipt, Arc<StoreError>>>>,
    depth: Arc<AtomicUsize>,
}

impl Waiting {
    /// Nobody may find a submission answered and still counted as waiting.
    pub(super) fn answer(mut self, result: Result<Receipt, Arc<StoreError>>) {
        if let Some(done) = self.done.take() {
            self.depth.fetch_sub(1, Ordering::Relaxed);
            let _ = done.send(result);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(done) = self.done.take() {
            self.depth.fetch_sub(1, Ordering::Relaxed);
            drop(done);
        }
    }
}

/// The entrance to the writers. Cheap to clone.
#[derive(Clone)]
pub struct Batcher {
    /// One queue a writer. An organization's webhooks always go to the same one, so that two writers seldom want to
    /// write for the same organization at once.
    queues: Arc<[mpsc::Sender<Waiting>]>,
    depth: Arc<AtomicUsize>,
    taken: Arc<AtomicUsize>,
    outcomes: Outcomes,
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
        let outcomes = Outcomes::default();
        let shared = Arc::new(Shared {
            store,
            clock,
            ids,
            outcomes: outcomes.clone(),
            aside: Aside::default(),
            batch: options.batch,
            observe: Box::new(observe),
        });
        let mut writers = JoinSet::new();
        let mut queues = Vec::with_capacity(options.writers);
        for _ in 0..options.writers.max(1) {
            let (queue, receiver) = mpsc::channel(options.queue.div_ceil(options.writers.max(1)));
            queues.push(queue);
            writers.spawn(keep_running(Arc::clone(&shared), receiver, closed.clone()));
        }
        let writers = Arc::new(Mutex::new(writers));
        Self { queues: queues.into(), depth, taken: Arc::default(), outcomes, closing, writers }
    }

    /// Hands in a submission and waits until it is committed.
    pub async fn submit(&self, submission: Submission) -> Result<Receipt, SubmitError> {
        let (done, result) = oneshot::channel();
        self.depth.fetch_add(1, Ordering::Relaxed);
        self.taken.fetch_add(1, Ordering::Relaxed);
        let queue = self.queue_of(&submission);
        let depth = Arc::clone(&self.depth);
        if let Err(error) = queue.try_send(Waiting { submission, done: Some(done), depth }) {
            return Err(match error {
                mpsc::error::TrySendError::Full(_) => SubmitError::Full,
                mpsc::error::TrySendError::Closed(_) => SubmitError::Closed,
            });
        }
        Ok(result.await.map_err(|_| SubmitError::Broken)??)
    }

    /// How many submissions wait or are being written.
    pub fn depth(&self) -> usize {
        self.depth.load(Ordering::Relaxed)
    }

    /// How many submissions were handed in so far, from the process's beginning on; it wraps.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Whether what was handed in last could be written.
    pub fn outcome(&self) -> Outcome {
        self.outcomes.read()
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
    pub(super) outcomes: Outcomes,
    pub(super) aside: Aside,
    pub(super) batch: usize,
    observe: Box<dyn Fn(Committed) + Send + Sync>,
}

/// A writer, until the queue is closed and empty. One that panics goes on after a pause: what it held is answered that it must
/// come again, and what waits is still there.
async fn keep_running(
    shared: Arc<Shared>,
    mut queue: mpsc::Receiver<Waiting>,
    mut closed: watch::Receiver<bool>,
) {
    let mut finishing = JoinSet::new();
    loop {
        let running = run(&shared, &mut queue, &mut closed, &mut finishing);
        if AssertUnwindSafe(running).catch_unwind().await.is_ok() {
            break;
        }
        metrics::panicked("intake writer");
        tracing::error!(
            "a writer of webhooks panicked; what it held must be delivered again, and it goes on"
        );
        tokio::time::sleep(AGAIN).await;
    }
    while finishing.join_next().await.is_some() {}
    shared.aside.finish().await;
}

async fn run(
    shared: &Arc<Shared>,
    queue: &mut mpsc::Receiver<Waiting>,
    closed: &mut watch::Receiver<bool>,
    finishing: &mut JoinSet<()>,
) {
    let mut batch = Vec::with_capacity(shared.batch);
    while shared.take(queue, &mut batch, closed).await {
        let started = Instant::now();
        let submissions = batch.len();
        let ok = commit::write(shared, std::mem::take(&mut batch), finishing).await;
        shared.note(submissions, started, ok);
    }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::model::{AccountId, InboxId, KeptRequest, OrganizationId};
    use crate::store::StoreOptions;

    fn submission(ids: &Ids, clock: &Clock) -> Submission {
        let request = KeptRequest {
            organization_id: OrganizationId::PLATFORM,
            id: InboxId(ids.next()),
            account_id: AccountId(ids.next()),
            provider: "meta",
            method: "POST".to_owned(),
            url: "https://gateway.example.com/hooks/meta".to_owned(),
            headers: String::new(),
            body: bytes::Bytes::from_static(b"{}"),
            received_at: clock.now(),
            key: None,
        };
        Submission { request, keep: true, items: Vec::new(), quarantined: Vec::new() }
    }

    async fn store(folder: &std::path::Path) -> Store {
        let _ = std::fs::remove_dir_all(folder);
        std::fs::create_dir_all(folder).unwrap();
        let options = StoreOptions {
            url: format!("sqlite:{}", folder.join("queue.db").display()).into(),
            roles: crate::store::PostgresRoles::default(),
            connections: 1,
            intake_connections: 1,
            statement_timeout: Duration::from_secs(5),
            sqlite_full_sync: false,
        };
        let store = Store::open(&options).await.unwrap();
        store.migrate().await.unwrap();
        store
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_writer_that_panics_goes_on() {
        let folder =
            std::env::temp_dir().join(format!("switchboard_test_panic_{}", std::process::id()));
        let store = store(&folder).await;
        let clock = Clock::frozen("2026-11-01T12:00:00Z".parse().unwrap());
        let ids = Ids::new(clock.clone());
        let panics = Arc::new(AtomicBool::new(true));
        let once = Arc::clone(&panics);
        let observe = move |_| assert!(!once.swap(false, Ordering::Relaxed), "a defect");
        let options = BatcherOptions { queue: 8, batch: 8, writers: 1 };
        let batcher = Batcher::start(store.clone(), clock.clone(), ids.clone(), options, observe);
        for _ in 0..3 {
            batcher.submit(submission(&ids, &clock)).await.unwrap();
        }
        assert!(!panics.load(Ordering::Relaxed) && batcher.depth() == 0);
        assert!(batcher.outcome().committed.is_some() && batcher.outcome().failing.is_none());
        batcher.close().await;
        assert!(matches!(batcher.submit(submission(&ids, &clock)).await, Err(SubmitError::Closed)));
        assert_eq!(batcher.depth(), 0);
        let _ = std::fs::remove_dir_all(folder);
    }

    #[tokio::test]
    async fn what_a_writer_held_when_it_panicked_is_answered_and_counted_no_more() {
        let clock = Clock::frozen("2026-11-01T12:00:00Z".parse().unwrap());
        let depth = Arc::new(AtomicUsize::new(1));
        let (done, result) = oneshot::channel();
        let submission = submission(&Ids::new(clock.clone()), &clock);
        let held = Waiting { submission, done: Some(done), depth: Arc::clone(&depth) };
        let writing = async move {
            let _held = held;
            panic!("a defect");
        };
        assert!(AssertUnwindSafe(writing).catch_unwind().await.is_err());
        assert!(result.await.is_err());
        assert_eq!(depth.load(Ordering::Relaxed), 0);
    }
}
