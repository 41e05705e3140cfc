//! Submissions of organizations whose heads others have: they wait aside, so that everybody else's batch does not wait with them.
//!
//! A batch passes over heads that another transaction has. The submissions concerned go into a line of their organization's own,
//! and so does what comes for it as long as that line lasts: what came first is written first. The line tries again at
//! once and then ever more slowly; after a tenth of a second it takes its place among those who wait for the head itself, where
//! its turn is sure to come. Only a few lines wait so at a time, since each has a connection meanwhile; the others go on trying.
//!
//! A submission that names several organizations is written once all of their heads are to be had. Each is answered after its
//! commit, as ever.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::commit;
use super::queue::{Shared, Waiting};
use crate::model::OrganizationId;
use crate::store::StoreError;
use crate::store::events::Patience;

/// How many lines may wait for a head at a time, each with a connection.
pub(crate) const WAITERS: u32 = 2;

/// How long a line only tries, before it waits for the head itself.
const TRIES_FOR: Duration = Duration::from_millis(100);

/// The pauses between tries.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// How many submissions of one organization may wait aside: its trouble must not fill everybody's memory.
const MOST: usize = 1_024;

/// The lines of organizations whose heads others have.
pub(super) struct Aside {
    lines: Mutex<HashMap<OrganizationId, Vec<Waiting>>>,
    waiters: Arc<Semaphore>,
    tasks: Mutex<JoinSet<()>>,
}

impl Default for Aside {
    fn default() -> Self {
        Self {
            lines: Mutex::default(),
            waiters: Arc::new(Semaphore::new(WAITERS as usize)),
            tasks: Mutex::default(),
        }
    }
}

impl Aside {
    fn lines(&self) -> MutexGuard<'_, HashMap<OrganizationId, Vec<Waiting>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that stands in an organization's line, at most `most`; `None` when nothing does: the line has ended then.
    fn next(&self, organization: OrganizationId, most: usize) -> Option<Vec<Waiting>> {
        let mut lines = self.lines();
        let line = lines.get_mut(&organization)?;
        if line.is_empty() {
            lines.remove(&organization);
            return None;
        }
        let rest = line.split_off(line.len().min(most));
        Some(std::mem::replace(line, rest))
    }

    /// Puts back what could not be written, before what has come since.
    fn put_back(&self, organization: OrganizationId, mut batch: Vec<Waiting>) {
        let mut lines = self.lines();
        let line = lines.entry(organization).or_default();
        batch.append(line);
        *line = batch;
    }

    /// Returns when all lines have ended.
    pub(super) async fn finish(&self) {
        loop {
            let mut tasks = {
                let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::take(&mut *tasks)
            };
            if tasks.is_empty() {
                return;
            }
            while tasks.join_next().await.is_some() {}
        }
    }
}

/// Sends what is of an organization with a line to its end; returns the rest.
pub(super) fn divert(shared: &Arc<Shared>, batch: Vec<Waiting>) -> Vec<Waiting> {
    let with_lines: HashSet<OrganizationId> = {
        let lines = shared.aside.lines();
        match lines.is_empty() {
            true => return batch,
            false => lines.keys().copied().collect(),
        }
    };
    put(shared, batch, |organization| with_lines.contains(&organization))
}

/// Puts aside what names an organization that is `busy`; returns the rest.
pub(super) fn put(
    shared: &Arc<Shared>,
    batch: Vec<Waiting>,
    busy: impl Fn(OrganizationId) -> bool,
) -> Vec<Waiting> {
    let mut rest = Vec::with_capacity(batch.len());
    for waiting in batch {
        let held = waiting.submission.organizations().find(|organization| busy(*organization));
        match held {
            Some(organization) => stand_in_line(shared, organization, waiting),
            None => rest.push(waiting),
        }
    }
    rest
}

fn stand_in_line(shared: &Arc<Shared>, organization: OrganizationId, waiting: Waiting) {
    {
        let mut lines = shared.aside.lines();
        if let Some(line) = lines.get_mut(&organization) {
            if line.len() < MOST {
                line.push(waiting);
                return;
            }
            drop(lines);
            let full = StoreError::Unavailable(sqlx::Error::PoolTimedOut);
            waiting.answer(Err(Arc::new(full)));
            return;
        }
        lines.insert(organization, vec![waiting]);
    }
    let mut tasks = shared.aside.tasks.lock().unwrap_or_else(PoisonError::into_inner);
    while tasks.try_join_next().is_some() {}
    tasks.spawn(run(Arc::clone(shared), organization));
}

/// A line. However it ends, it must not seem to go on.
struct Line {
    shared: Arc<Shared>,
    organization: OrganizationId,
    /// It came to its end: another one may have begun since, which is not this one's to remove.
    ended: bool,
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.ended {
            self.shared.aside.lines().remove(&self.organization);
        }
    }
}

async fn run(shared: Arc<Shared>, organization: OrganizationId) {
    let mut line = Line { shared: Arc::clone(&shared), organization, ended: false };
    let shared = &shared;
    let (mut since, mut pause) = (Instant::now(), FIRST_PAUSE);
    // It has just been passed over.
    tokio::time::sleep(pause).await;
    let mut waiter: Option<OwnedSemaphorePermit> = None;
    while let Some(batch) = shared.aside.next(organization, shared.batch) {
        let patience = match waiter.is_some() {
            true => Patience::Wait,
            false => Patience::Skip,
        };
        let left = write(shared, batch, patience).await;
        waiter = None;
        if left.is_empty() {
            (since, pause) = (Instant::now(), FIRST_PAUSE);
            continue;
        }
        shared.aside.put_back(organization, left);
        if since.elapsed() >= TRIES_FOR {
            let waiters = Arc::clone(&shared.aside.waiters);
            waiter = tokio::time::timeout(pause, waiters.acquire_owned())
                .await
                .ok()
                .and_then(Result::ok);
        } else {
            tokio::time::sleep(pause).await;
        }
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
    line.ended = true;
}

/// Writes what stands in a line; returns what others' heads keep from being written. What names one organization does not wait
/// for what names several.
async fn write(shared: &Arc<Shared>, batch: Vec<Waiting>, patience: Patience) -> Vec<Waiting> {
    let (several, one): (Vec<Waiting>, Vec<Waiting>) = batch.into_iter().partition(|waiting| {
        let mut organizations = waiting.submission.organizations();
        let first = organizations.next();
        organizations.any(|other| Some(other) != first)
    });
    let mut groups: Vec<Vec<Waiting>> = several.into_iter().map(|alone| vec![alone]).collect();
    if !one.is_empty() {
        groups.insert(0, one);
    }
    let mut left = Vec::new();
    for group in groups {
        let (submissions, started) = (group.len(), Instant::now());
        let (reached, rest) = commit::write_aside(shared, group, patience).await;
        if rest.len() < submissions {
            shared.note(submissions - rest.len(), started, reached);
        }
        left.extend(rest);
    }
    left
}
