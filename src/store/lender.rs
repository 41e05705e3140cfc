//! Connections to PostgreSQL, lent and taken back.
//!
//! sqlx tests every connection that is given back, which is a round trip of its own: for a page of a timeline or a batch of
//! webhooks, each of which is one statement, a second one. A connection whose statement is known to have ended well need
//! not be tried: it is kept here for whoever comes next.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::StoreError;

/// How long a connection is kept before the pool may look at it again, which ends it when it is old.
const KEPT_FOR: Duration = Duration::from_mins(1);

/// A pool, and the connections that are kept outside of it. Who waits for a connection waits here, in turn: the pool knows
/// nothing of those that are kept.
#[derive(Debug, Clone)]
pub(super) struct Lender {
    pool: PgPool,
    permits: Arc<Semaphore>,
    kept: Arc<Mutex<Vec<Kept>>>,
    patience: Duration,
}

#[derive(Debug)]
struct Kept {
    connection: PoolConnection<Postgres>,
    since: Instant,
}

/// A connection that was lent. Dropped, it goes back to the pool and is tried there.
#[derive(Debug)]
pub(super) struct Lent {
    connection: PoolConnection<Postgres>,
    /// Since when it is out of the pool.
    since: Instant,
    lender: Lender,
    _permit: OwnedSemaphorePermit,
}

/// A transaction, and its place among those that are lent connections.
#[derive(Debug)]
pub(super) struct Begun {
    transaction: Transaction<'static, Postgres>,
    _permit: OwnedSemaphorePermit,
}

impl Lender {
    /// Lends the connections of `pool`, which has `count` of them; whoever has waited for one for `patience` is refused.
    pub(super) fn new(pool: PgPool, count: u32, patience: Duration) -> Self {
        let permits = Semaphore::new(usize::try_from(count).unwrap_or(Semaphore::MAX_PERMITS));
        Self { pool, permits: Arc::new(permits), kept: Arc::default(), patience }
    }

    /// A connection. It may turn out to be broken.
    pub(super) async fn lend(&self) -> Result<Lent, StoreError> {
        let permit = self.permit().await?;
        let kept = self.pop().filter(|kept| kept.since.elapsed() < KEPT_FOR);
        let (connection, since) = match kept {
            Some(Kept { connection, since }) => (connection, since),
            None => (self.pool.acquire().await?, Instant::now()),
        };
        Ok(Lent { connection, since, lender: self.clone(), _permit: permit })
    }

    /// A connection on which `statement` has just succeeded. When the server was restarted, every idle connection is dead;
    /// they are tried and dropped here, so that no request meets one.
    pub(super) async fn lend_with(&self, statement: &str) -> Result<Lent, StoreError> {
        let mut tries = self.size();
        loop {
            let mut lent = self.lend().await?;
            match sqlx::raw_sql(AssertSqlSafe(statement)).execute(lent.connection()).await {
                Ok(_) => return Ok(lent),
                Err(error) => {
                    lent.abandon();
                    give_up_or_retry(&mut tries, error)?;
                }
            }
        }
    }

    /// A transaction begun by `statement`, with the same care.
    pub(super) async fn begin_with(&self, statement: &str) -> Result<Begun, StoreError> {
        let permit = self.permit().await?;
        let mut tries = self.size();
        loop {
            // Transactions take their connection from the pool, which may have lent all it has.
            drop(self.pop());
            match self.pool.begin_with(AssertSqlSafe(statement.to_owned())).await {
                Ok(transaction) => return Ok(Begun { transaction, _permit: permit }),
                Err(error) => give_up_or_retry(&mut tries, error)?,
            }
        }
    }

    /// The pool itself, for what needs one of its own.
    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// How many connections there are, any of which may turn out to be broken.
    pub(super) fn size(&self) -> u32 {
        self.pool.size()
    }

    /// Closes all connections once they are given back.
    pub(super) async fn close(&self) {
        let closing = self.pool.close();
        self.locked().clear();
        closing.await;
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, sqlx::Error> {
        let permit = Arc::clone(&self.permits).acquire_owned();
        match tokio::time::timeout(self.patience, permit).await {
            Ok(permit) => permit.map_err(|_| sqlx::Error::PoolClosed),
            Err(_) => Err(sqlx::Error::PoolTimedOut),
        }
    }

    fn pop(&self) -> Option<Kept> {
        self.locked().pop()
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Closes the connection, whatever state it is in.
    pub(super) fn abandon(mut self) {
        self.connection.close_on_drop();
    }

    /// Gives the connection back untried: whoever calls this knows that its last statement ended well.
    pub(super) fn keep(self) {
        let Self { connection, since, lender, _permit } = self;
        let mut kept = lender.locked();
        if !lender.pool.is_closed() {
            kept.push(Kept { connection, since });
        }
    }
}

impl Begun {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        self.transaction.commit().await
    }
}

/// Goes on only after a broken connection, and only as often as there were idle connections.
pub(super) fn give_up_or_retry(tries: &mut u32, error: sqlx::Error) -> Result<(), StoreError> {
    let broken = match &error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => false,
        // 57P01: the server is shutting down and has ended this connection.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code == "57P01"),
        _ => true,
    };
    if !broken || *tries == 0 {
        return Err(error.into());
    }
    *tries -= 1;
    Ok(())
}
