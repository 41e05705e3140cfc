//! Is everything well? For the health endpoints and for `doctor`.

use std::time::{Duration, Instant};

use crate::gateway::{Gateway, Tried};
use crate::store::intake::Outcome;
use crate::store::{Engine, StoreError};

/// How far the database's clock may be from ours.
const SKEW_LIMIT: Duration = Duration::from_secs(5);

/// How long the database may take to answer before it counts as not answering.
const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// A batch that was committed so short ago proves that the database can be written.
const PROVEN: Duration = Duration::from_secs(1);

/// Where no webhook has come for so long since the last one failed, a write of our own that worked says that the next will too.
const STALE: Duration = Duration::from_secs(10);

/// The state of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartHealth {
    /// Whether it works.
    pub ok: bool,
    /// What is wrong with it, or a figure about it.
    pub detail: String,
}

/// The state of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The database answers and can be written.
    pub database: PartHealth,
    /// The webhooks that came last could be written.
    pub intake: PartHealth,
    /// The intake queue has room.
    pub queue: PartHealth,
    /// Our clock and the database's agree, and nothing else speaks against it.
    pub time: PartHealth,
    /// All accounts' credentials can be opened.
    pub accounts: PartHealth,
}

impl Health {
    /// Whether all parts work.
    pub fn ok(&self) -> bool {
        self.database.ok && self.intake.ok && self.queue.ok && self.time.ok && self.accounts.ok
    }
}

/// Asks all parts.
pub async fn check(gateway: &Gateway) -> Health {
    let outcome = gateway.batcher.outcome();
    let ((answer, took), tried) = tokio::join!(ping(gateway), try_to_write(gateway, &outcome));
    let engine = match gateway.store.engine() {
        Engine::Sqlite => "sqlite",
        Engine::Postgres => "postgres",
    };
    let (database, time) = match answer {
        Ok(Ok(theirs)) => {
            let ahead = gateway.clock.ahead_of(theirs);
            let skew = ahead.unwrap_or_else(|| gateway.clock.now() - theirs);
            let answered = format!("{engine} answered in {:.1} ms", took.as_secs_f64() * 1e3);
            let database = match tried.as_ref().and_then(|tried| tried.failure.as_ref()) {
                None => PartHealth { ok: true, detail: answered },
                Some(error) => {
                    let detail = format!("{answered} and cannot be written: {error}");
                    PartHealth { ok: false, detail }
                }
            };
            (database, time_at(gateway, skew.abs().to_std().unwrap_or_default()))
        }
        Ok(Err(error)) => (failed(&error), unknown()),
        Err(_elapsed) => {
            let detail = format!("{engine} did not answer within {} s", PING_TIMEOUT.as_secs());
            (PartHealth { ok: false, detail }, unknown())
        }
    };
    let (depth, capacity) = (gateway.batcher.depth(), gateway.batcher.capacity());
    let queue =
        PartHealth { ok: depth < capacity, detail: format!("{depth} of {capacity} places taken") };
    let locked = gateway.directory.snapshot().locked();
    let accounts = PartHealth {
        ok: locked == 0,
        detail: match locked {
            0 => "all can be opened".to_owned(),
            _ => format!("{locked} cannot be opened: is the master key the right one?"),
        },
    };
    let intake = intake(&outcome, tried.as_ref());
    Health { database, intake, queue, time, accounts }
}

type Pinged = Result<Result<crate::clock::Timestamp, StoreError>, tokio::time::error::Elapsed>;

async fn ping(gateway: &Gateway) -> (Pinged, Duration) {
    let started = Instant::now();
    let answer = tokio::time::timeout(PING_TIMEOUT, gateway.store.ping()).await;
    (answer, started.elapsed())
}

/// Nothing is tried where webhooks are being written: that is proof, and what comes in shall not wait for us.
async fn try_to_write(gateway: &Gateway, outcome: &Outcome) -> Option<Tried> {
    let proven = outcome.failing.is_none()
        && outcome.committed.is_some_and(|committed| committed.elapsed() < PROVEN);
    match proven {
        true => None,
        false => Some(gateway.trial.ask(&gateway.store, gateway.clock.now()).await),
    }
}

fn intake(outcome: &Outcome, tried: Option<&Tried>) -> PartHealth {
    let Some(failing) = &outcome.failing else {
        let detail = match outcome.committed {
            Some(at) => format!("the last batch was committed {} s ago", at.elapsed().as_secs()),
            None => "no webhook has come since the start".to_owned(),
        };
        return PartHealth { ok: true, detail };
    };
    let works_again = tried.is_some_and(|tried| {
        tried.failure.is_none() && tried.at > failing.last && failing.last.elapsed() >= STALE
    });
    let since = failing.since.format("%Y-%m-%dT%H:%M:%SZ");
    let what = format!(
        "webhooks could not be written since {since} ({} batches): {}",
        failing.batches, failing.error
    );
    match works_again {
        true => PartHealth { ok: true, detail: format!("{what}; a write tried since then worked") },
        false => PartHealth { ok: false, detail: what },
    }
}

/// How the clock stands, which is so far from the database's.
fn time_at(gateway: &Gateway, skew: Duration) -> PartHealth {
    let standing = gateway.time.standing();
    let mut detail = format!("{} ms from the database's clock", skew.as_millis());
    if let Some(more) = standing.describe() {
        detail = format!("{detail}; {more}");
    }
    PartHealth { ok: skew <= SKEW_LIMIT && !standing.is_failing(), detail }
}

fn failed(error: &StoreError) -> PartHealth {
    PartHealth { ok: false, detail: error.to_string() }
}

fn unknown() -> PartHealth {
    PartHealth { ok: false, detail: "not known while the database does not answer".to_owned() }
}
