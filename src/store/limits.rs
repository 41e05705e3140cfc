//! A time limit on what SQLite's readers do. PostgreSQL has one of its own; SQLite asks now and then whether it shall go on.

use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqlitePool};

/// How many steps of its machine SQLite takes before it asks: fractions of a millisecond.
const STEPS: i32 = 10_000;

/// SQLite's readers.
#[derive(Debug, Clone)]
pub(super) struct Readers {
    pool: SqlitePool,
    limit: Duration,
}

impl Readers {
    /// The readers of a pool, none of which is lent for more than `limit` of work. The pool need not try connections before
    /// it lends them: setting the limit does.
    pub(super) fn new(pool: SqlitePool, limit: Duration) -> Self {
        Self { pool, limit }
    }

    /// A connection. A statement that is at work when the limit is over is broken off
    /// ([`StoreError::TookTooLong`](super::StoreError::TookTooLong)).
    pub(super) async fn acquire(&self) -> Result<PoolConnection<Sqlite>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        let until = Instant::now() + self.limit;
        let mut handle = connection.lock_handle().await?;
        handle.set_progress_handler(STEPS, move || Instant::now() < until);
        drop(handle);
        Ok(connection)
    }

    pub(super) fn size(&self) -> u32 {
        self.pool.size()
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}
