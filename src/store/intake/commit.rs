//! Committing a batch: on which way, and what happens when it fails.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::aside;
use super::light::{self, Written};
use super::queue::{Shared, Waiting};
use super::writer::{self, Hands};
use crate::ids::Ids;
use crate::model::{
    OrganizationId, QuarantineId, QuarantineReason, QuarantinedItem, Receipt, Submission,
};
use crate::store::StoreError;
use crate::store::events::{Outbox, Patience};

/// How long one transaction may take before it counts as lost.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How often a submission that is written alone meets a conflict before its sender must deliver it again.
const CONFLICT_TRIES: u32 = 4;

/// How many batches may be committed and not yet finished, while the next one is written.
const FINISHING: usize = 4;

/// How often a batch is tried anew without those whose heads others have, before each organization's is written by itself.
const PASSES: u32 = 3;

/// What one way did with a batch.
enum Tried<T> {
    /// It is committed.
    Written(T),
    /// Nothing of it: another transaction has the head of one of its organizations.
    Busy,
}

/// Writes a batch. When it is refused for what is in it, each submission is written alone, so that one poisoned submission
/// harms no other. What is of an organization whose head another transaction has is put [aside]. Returns whether the database
/// could be reached; what is left to do after the commit goes on in `finishing`.
pub(super) async fn write(
    shared: &Arc<Shared>,
    batch: Vec<Waiting>,
    finishing: &mut JoinSet<()>,
) -> bool {
    let batch = aside::divert(shared, batch);
    let (short, long) = ways(shared, batch);
    // The short way first: a status finds the message that came with it.
    let reached = shared.write_batch(short, true, finishing).await;
    shared.write_batch(long, false, finishing).await && reached
}

/// The same for what stands aside. Returns also what another transaction's heads keep from being written still.
pub(super) async fn write_aside(
    shared: &Arc<Shared>,
    batch: Vec<Waiting>,
    patience: Patience,
) -> (bool, Vec<Waiting>) {
    let (short, long) = ways(shared, batch);
    let (mut reached, mut left) = (true, Vec::new());
    if !short.is_empty() {
        match shared.write_short(&submissions(&short), patience).await {
            Ok(Tried::Written(written)) => {
                shared.outcomes.committed();
                finish(Arc::clone(shared), short, written).await;
            }
            Ok(Tried::Busy) => left = short,
            Err(error) => reached = shared.recover(short, error, patience).await,
        }
    }
    if !long.is_empty() {
        match shared.write_long(&submissions(&long), patience).await {
            Ok(Tried::Written(receipts)) => shared.answer_all(long, receipts),
            Ok(Tried::Busy) => left.extend(long),
            Err(error) => reached &= shared.recover(long, error, patience).await,
        }
    }
    (reached, left)
}

fn ways(shared: &Shared, batch: Vec<Waiting>) -> (Vec<Waiting>, Vec<Waiting>) {
    batch.into_iter().partition(|waiting| light::suits(&shared.store, &waiting.submission))
}

/// What was not finished because of a panic is answered that it must come again.
fn look_at(finished: Option<Result<(), tokio::task::JoinError>>) {
    if let Some(Err(error)) = finished {
        crate::metrics::panicked("intake finish");
        tracing::error!(%error, "a batch was committed and not finished; its webhooks must be delivered again");
    }
}

/// Whether the database cannot be reached, or takes too long: trying more would only make it worse.
fn is_away(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_) | StoreError::TookTooLong(_))
}

fn submissions(batch: &[Waiting]) -> Vec<&Submission> {
    batch.iter().map(|waiting| &waiting.submission).collect()
}

/// Joins what waited for the messages of a committed batch, and answers. The next batch is written meanwhile. Each submission
/// waits for its own organizations only: those for which there is nothing to join are answered at once, and of the others
/// those whose heads are free come first.
async fn finish(shared: Arc<Shared>, batch: Vec<Waiting>, written: Written) {
    let mut open = written.concerned().clone();
    let answered: Vec<(Waiting, Receipt)> =
        batch.into_iter().zip(written.receipts.iter().copied()).collect();
    let mut left = answer_those_without(answered, &open);
    for step in 0..3 {
        let (which, patience) = match step {
            _ if left.is_empty() => return,
            0 => (open.clone(), Patience::Skip),
            1 => (shared.free(&open).await.unwrap_or_default(), Patience::Skip),
            _ => (open.clone(), Patience::Wait),
        };
        if which.is_empty() {
            continue;
        }
        let joined = {
            let batch: Vec<&Submission> = left.iter().map(|(one, _)| &one.submission).collect();
            in_time(light::join(shared.hands(), &batch, &written, &which, patience)).await
        };
        match joined {
            Ok(false) => continue,
            Ok(true) => {}
            Err(error) if error.is_temporary() => {
                shared.refuse_all(left.into_iter().map(|(waiting, _)| waiting).collect(), error);
                return;
            }
            // The messages are stored; what waits for them stays where it is.
            Err(error) => {
                tracing::error!(%error, "what waited for stored messages could not join them");
            }
        }
        open.retain(|organization| !which.contains(organization));
        left = answer_those_without(left, &open);
    }
}

/// Answers those who wait for none of these organizations; returns the others.
fn answer_those_without(
    all: Vec<(Waiting, Receipt)>,
    open: &HashSet<OrganizationId>,
) -> Vec<(Waiting, Receipt)> {
    let mut left = Vec::new();
    for (waiting, receipt) in all {
        let is_open = waiting.submission.organizations().any(|one| open.contains(&one));
        match is_open {
            true => left.push((waiting, receipt)),
            false => waiting.answer(Ok(receipt)),
        }
    }
    left
}

async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(TIMEOUT, work).await {
        Ok(result) => result,
        Err(_) => Err(StoreError::Unavailable(sqlx::Error::PoolTimedOut)),
    }
}

impl Shared {
    fn hands(&self) -> Hands<'_> {
        let Self { store, clock, ids, .. } = self;
        Hands { store, ids, memory: &store.people, now: clock.now() }
    }

    async fn write_short(
        &self,
        batch: &[&Submission],
        patience: Patience,
    ) -> Result<Tried<Written>, StoreError> {
        let written = in_time(light::write(self.hands(), batch, patience)).await?;
        Ok(written.map_or(Tried::Busy, Tried::Written))
    }

    async fn write_long(
        &self,
        batch: &[&Submission],
        patience: Patience,
    ) -> Result<Tried<Vec<Receipt>>, StoreError> {
        let written = in_time(writer::write(self.hands(), batch, patience)).await?;
        Ok(written.map_or(Tried::Busy, Tried::Written))
    }

    /// Which of these organizations have their heads to themselves just now.
    async fn free(
        &self,
        organizations: &HashSet<OrganizationId>,
    ) -> Result<HashSet<OrganizationId>, StoreError> {
        let mut session = self.store.read_all().await?;
        let free = Outbox::free(&mut session, organizations.iter().copied()).await?;
        session.keep();
        Ok(free)
    }

    /// Writes a batch on the short way or on the long one, and puts aside what others' heads keep from being written. Returns
    /// whether the database could be reached.
    async fn write_batch(
        self: &Arc<Self>,
        mut batch: Vec<Waiting>,
        short: bool,
        finishing: &mut JoinSet<()>,
    ) -> bool {
        for _ in 0..PASSES {
            if batch.is_empty() {
                return true;
            }
            let tried = match short {
                true => match self.write_short(&submissions(&batch), Patience::Skip).await {
                    Ok(Tried::Written(written)) => {
                        self.outcomes.committed();
                        // First its own end, and then a wait, if it is one too many: those who wait for nobody are answered.
                        finishing.spawn(finish(Arc::clone(self), batch, written));
                        while finishing.len() > FINISHING {
                            look_at(finishing.join_next().await);
                        }
                        while let done @ Some(_) = finishing.try_join_next() {
                            look_at(done);
                        }
                        return true;
                    }
                    Ok(Tried::Busy) => Ok(()),
                    Err(error) => Err(error),
                },
                false => match self.write_long(&submissions(&batch), Patience::Skip).await {
                    Ok(Tried::Written(receipts)) => {
                        self.answer_all(batch, receipts);
                        return true;
                    }
                    Ok(Tried::Busy) => Ok(()),
                    Err(error) => Err(error),
                },
            };
            let organizations =
                batch.iter().flat_map(|waiting| waiting.submission.organizations()).collect();
            let free = match tried {
                Ok(()) => in_time(self.free(&organizations)).await,
                Err(error) => Err(error),
            };
            match free {
                Ok(free) => {
                    batch = aside::put(self, batch, |organization| !free.contains(&organization));
                }
                Err(error) => return self.recover(batch, error, Patience::Skip).await,
            }
        }
        // Heads are taken faster than one can look.
        // What names nobody (an item that nobody claims, a webhook without items) waits for no head.
        let nobodys = aside::put(self, batch, |_| true);
        if nobodys.is_empty() {
            return true;
        }
        match self.write_long(&submissions(&nobodys), Patience::Skip).await {
            Ok(Tried::Written(receipts)) => self.answer_all(nobodys, receipts),
            // It locked no head, so there was none to be busy.
            Ok(Tried::Busy) => {
                self.refuse_all(nobodys, StoreError::Unavailable(sqlx::Error::PoolTimedOut));
            }
            Err(error) => return self.recover(nobodys, error, Patience::Skip).await,
        }
        true
    }

    /// A batch was not committed, or it is not known whether it was. Returns whether the database could be reached.
    async fn recover(
        self: &Arc<Self>,
        batch: Vec<Waiting>,
        error: StoreError,
        patience: Patience,
    ) -> bool {
        if is_away(&error) {
            self.refuse_all(batch, error);
            return false;
        }
        tracing::warn!(%error, submissions = batch.len(), "a batch is written one by one");
        let mut batch = batch.into_iter();
        while let Some(waiting) = batch.next() {
            match self.write_alone(&waiting.submission, patience).await {
                Ok(Tried::Written(receipt)) => {
                    self.outcomes.committed();
                    waiting.answer(Ok(receipt));
                }
                Ok(Tried::Busy) => drop(aside::put(self, vec![waiting], |_| true)),
                // The database went away meanwhile: what is left would only try it once more each.
                Err(error) if is_away(&error) => {
                    self.refuse_all(std::iter::once(waiting).chain(batch).collect(), error);
                    return false;
                }
                Err(error) => waiting.answer(Err(Arc::new(error))),
            }
        }
        true
    }

    /// Before it is answered the commit is noted: whoever asks after an answer is told of it.
    fn answer_all(&self, batch: Vec<Waiting>, receipts: Vec<Receipt>) {
        self.outcomes.committed();
        for (waiting, receipt) in batch.into_iter().zip(receipts) {
            waiting.answer(Ok(receipt));
        }
    }

    fn refuse_all(&self, batch: Vec<Waiting>, error: StoreError) {
        if is_away(&error) {
            self.outcomes.failed(self.clock.now(), &error);
        }
        let error = Arc::new(error);
        for waiting in batch {
            waiting.answer(Err(Arc::clone(&error)));
        }
    }

    /// Writes one submission; if the store refuses it, writes its items one by one, and keeps those that are refused.
    async fn write_alone(
        &self,
        submission: &Submission,
        patience: Patience,
    ) -> Result<Tried<Receipt>, StoreError> {
        let error = match self.try_write_one(submission, patience).await {
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
            match self.try_write_one(&alone, patience).await {
                Ok(Tried::Written(receipt)) => total.add(receipt),
                Ok(Tried::Busy) => return Ok(Tried::Busy),
                Err(error) if error.is_temporary() => return Err(error),
                Err(error) => rest.quarantined.push(refused(&self.ids, &item, &error)),
            }
        }
        match self.try_write_one(&rest, patience).await? {
            Tried::Written(receipt) => total.add(receipt),
            Tried::Busy => return Ok(Tried::Busy),
        }
        Ok(Tried::Written(total))
    }

    /// Writes one submission; a conflict with another transaction is tried again at once.
    async fn try_write_one(
        &self,
        submission: &Submission,
        patience: Patience,
    ) -> Result<Tried<Receipt>, StoreError> {
        let mut tries = 1;
        loop {
            match self.write_long(&[submission], patience).await {
                Err(StoreError::Conflict(_)) if tries < CONFLICT_TRIES => tries += 1,
                Ok(Tried::Busy) => return Ok(Tried::Busy),
                written => {
                    let Tried::Written(receipts) = written? else { return Ok(Tried::Busy) };
                    return Ok(Tried::Written(receipts.into_iter().next().unwrap_or_default()));
                }
            }
        }
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
