//! Committing a batch: on which way, and what happens when it fails.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::light::{self, Written};
use super::queue::{Shared, Waiting};
use super::writer;
use crate::ids::Ids;
use crate::model::{QuarantineId, QuarantineReason, QuarantinedItem, Receipt, Submission};
use crate::store::StoreError;

/// How long one transaction may take before it counts as lost.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How often a submission that is written alone meets a conflict before its sender must deliver it again.
const CONFLICT_TRIES: u32 = 4;

/// How many batches may be committed and not yet finished, while the next one is written.
const FINISHING: usize = 4;

/// Writes a batch. When it is refused for what is in it, each submission is written alone, so that one poisoned submission
/// harms no other. Returns whether the database could be reached; what is left to do after the commit goes on in `finishing`.
pub(super) async fn write(
    shared: &Arc<Shared>,
    batch: Vec<Waiting>,
    finishing: &mut JoinSet<()>,
) -> bool {
    let suits = |waiting: &Waiting| light::suits(&shared.store, &waiting.submission);
    let (short, long): (Vec<_>, Vec<_>) = batch.into_iter().partition(suits);
    // The short way first: a status finds the message that came with it.
    let mut reached = true;
    if !short.is_empty() {
        match shared.write_short(&submissions(&short)).await {
            Ok(written) => {
                shared.outcomes.committed();
                while finishing.len() >= FINISHING {
                    look_at(finishing.join_next().await);
                }
                while let done @ Some(_) = finishing.try_join_next() {
                    look_at(done);
                }
                finishing.spawn(finish(Arc::clone(shared), short, written));
            }
            Err(error) => reached = shared.recover(short, error).await,
        }
    }
    if !long.is_empty() {
        match shared.write_long(&submissions(&long)).await {
            Ok(receipts) => {
                // Before it is answered: whoever asks after an answer is told of this commit.
                shared.outcomes.committed();
                answer_all(long, receipts);
            }
            Err(error) => reached &= shared.recover(long, error).await,
        }
    }
    reached
}

/// What was not finished because of a panic is answered that it must come again.
fn look_at(finished: Option<Result<(), tokio::task::JoinError>>) {
    if let Some(Err(error)) = finished {
        crate::metrics::panicked("intake finish");
        tracing::error!(%error, "a batch was committed and not finished; its webhooks must be delivered again");
    }
}

fn submissions(batch: &[Waiting]) -> Vec<&Submission> {
    batch.iter().map(|waiting| &waiting.submission).collect()
}

/// Joins what waited for the messages of a committed batch, and answers. The next batch is written meanwhile.
async fn finish(shared: Arc<Shared>, batch: Vec<Waiting>, written: Written) {
    let joined = {
        let batch = submissions(&batch);
        let Shared { store, clock, ids, memory, .. } = &*shared;
        in_time(light::join(store, ids, memory, clock.now(), &batch, &written)).await
    };
    match joined {
        Err(error) if error.is_temporary() => shared.refuse_all(batch, error),
        Err(error) => {
            // The messages are stored; what waits for them stays where it is.
            tracing::error!(%error, "what waited for stored messages could not join them");
            answer_all(batch, written.receipts);
        }
        Ok(()) => answer_all(batch, written.receipts),
    }
}

fn answer_all(batch: Vec<Waiting>, receipts: Vec<Receipt>) {
    for (waiting, receipt) in batch.into_iter().zip(receipts) {
        waiting.answer(Ok(receipt));
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(TIMEOUT, work).await {
        Ok(result) => result,
        Err(_) => Err(StoreError::Unavailable(sqlx::Error::PoolTimedOut)),
    }
}

impl Shared {
    async fn write_short(&self, batch: &[&Submission]) -> Result<Written, StoreError> {
        let Self { store, clock, ids, memory, .. } = self;
        in_time(light::write(store, ids, memory, clock.now(), batch)).await
    }

    async fn write_long(&self, batch: &[&Submission]) -> Result<Vec<Receipt>, StoreError> {
        let Self { store, clock, ids, memory, .. } = self;
        in_time(writer::write(store, ids, memory, clock.now(), batch)).await
    }

    /// A batch was not committed, or it is not known whether it was. Returns whether the database could be reached.
    async fn recover(&self, batch: Vec<Waiting>, error: StoreError) -> bool {
        if matches!(error, StoreError::Unavailable(_) | StoreError::TookTooLong(_)) {
            self.refuse_all(batch, error);
            return false;
        }
        tracing::warn!(%error, submissions = batch.len(), "a batch is written one by one");
        let mut batch = batch.into_iter();
        while let Some(waiting) = batch.next() {
            match self.write_alone(&waiting.submission).await {
                // The database went away meanwhile: what is left would only try it once more each.
                Err(error @ StoreError::Unavailable(_)) => {
                    self.refuse_all(std::iter::once(waiting).chain(batch).collect(), error);
                    return false;
                }
                result => {
                    if result.is_ok() {
                        self.outcomes.committed();
                    }
                    waiting.answer(result.map_err(Arc::new));
                }
            }
        }
        true
    }

    fn refuse_all(&self, batch: Vec<Waiting>, error: StoreError) {
        if matches!(error, StoreError::Unavailable(_)) {
            self.outcomes.failed(self.clock.now(), &error);
        }
        let error = Arc::new(error);
        for waiting in batch {
            waiting.answer(Err(Arc::clone(&error)));
        }
    }

    /// Writes one submission; if the store refuses it, writes its items one by one, and keeps those that are refused.
    async fn write_alone(&self, submission: &Submission) -> Result<Receipt, StoreError> {
        let error = match self.try_write_one(submission).await {
            Err(error) if !error.is_temporary() => error,
            result => return result,
        };
        tracing::warn!(%error, provider = submission.request.provider, "a webhook is written item by item");
        let mut rest = submission.clone();
        let mut total = Receipt::default();
        for item in std::mem::take(&mut rest.items) {
            let alone = Submission {
                request: submission.request.clone(),
                keep: false,
                items: vec![item.clone()],
                quarantined: Vec::new(),
            };
            match self.try_write_one(&alone).await {
                Ok(receipt) => total.add(receipt),
                Err(error) if error.is_temporary() => return Err(error),
                Err(error) => rest.quarantined.push(refused(&self.ids, &item, &error)),
            }
        }
        total.add(self.try_write_one(&rest).await?);
        Ok(total)
    }

    /// Writes one submission; a conflict with another transaction is tried again at once.
    async fn try_write_one(&self, submission: &Submission) -> Result<Receipt, StoreError> {
        for _ in 1..CONFLICT_TRIES {
            match self.write_long(&[submission]).await {
                Err(StoreError::Conflict(_)) => {}
                result => return Ok(result?.into_iter().next().unwrap_or_default()),
            }
        }
        let receipts = self.write_long(&[submission]).await?;
        Ok(receipts.into_iter().next().unwrap_or_default())
    }
}

fn refused(ids: &Ids, item: &crate::model::Item, error: &StoreError) -> QuarantinedItem {
    QuarantinedItem {
        organization_id: item.organization_id,
        id: QuarantineId(ids.next()),
        account_id: item.account_id,
        position: item.event.key.0.clone(),
        reason: QuarantineReason::Refused,
        detail: error.to_string(),
        line: None,
        raw: serde_json::to_string(&item.event).unwrap_or_default(),
    }
}

impl Receipt {
    fn add(&mut self, other: Receipt) {
        self.stored += other.stored;
        self.duplicate += other.duplicate;
        self.waiting += other.waiting;
        self.quarantined += other.quarantined;
    }
}
