//! Is everything well? For the health endpoints and for `doctor`.

use std::time::{Duration, Instant};

use crate::gateway::Gateway;
use crate::store::{Engine, StoreError};

/// How far the database's clock may be from ours.
const SKEW_LIMIT: Duration = Duration::from_secs(5);

/// How long the database may take to answer before it counts as not answering.
const PING_TIMEOUT: Duration = Duration::from_secs(3);

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
    /// The database answers.
    pub database: PartHealth,
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
        self.database.ok && self.queue.ok && self.time.ok && self.accounts.ok
    }
}

/// Asks all parts.
pub async fn check(gateway: &Gateway) -> Health {
    let started = Instant::now();
    let answer = tokio::time::timeout(PING_TIMEOUT, gateway.store.ping()).await;
    let took = started.elapsed();
    let engine = match gateway.store.engine() {
        Engine::Sqlite => "sqlite",
        Engine::Postgres => "postgres",
    };
    let (database, time) = match answer {
        Ok(Ok(theirs)) => {
            let ahead = gateway.clock.ahead_of(theirs);
            let skew = ahead.unwrap_or_else(|| gateway.clock.now() - theirs);
            let database = PartHealth {
                ok: true,
                detail: format!("{engine} answered in {:.1} ms", took.as_secs_f64() * 1e3),
            };
            (database, time_at(gateway, skew.abs().to_std().unwrap_or_default()))
        }
        Ok(Err(error)) => (failed(&error), unknown()),
        Err(_) => {
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
    Health { database, queue, time, accounts }
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
