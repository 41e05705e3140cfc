//! Connections to PostgreSQL, lent and taken back.
//!
//! sqlx tests every connection that is given back, which is a round trip of its own: for a page of a timeline or a batch of
//! webhooks, each of which is one statement, a second one. A connection whose statement is known to have ended well need
//! not be tried: it is kept here for whoever comes next.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, SqlSafeStr, Transaction};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::StoreError;

/// How long a connection is kept before the pool looks at it again, which ends it when it is old. It is looked for whenever
/// another one is lent or kept.
const KEPT_FOR: Duration = Duration::from_mins(1);

/// A pool, and the connections that are kept outside of it. Who waits for a connection waits here, in turn: the pool knows
/// nothing of those that are kept.
#[derive(Debug, Clone)]
pub(super) struct Lender {
    pool: PgPool,
    permits: Arc<Semaphore>,
    aside: Arc<Mutex<Aside>>,
    patience: Duration,
}

#[derive(Debug, Default)]
struct Aside {
    /// The one that was kept last is lent first.
    kept: Vec<Kept>,
    /// How many found none here and ask the pool. A connection on its way back to the pool is nobody's for as long as it is
    /// tried there, so the pool may have none for them: they are served before any is kept again.
    asking: usize,
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
    permit: OwnedSemaphorePermit,
}

/// A transaction, and its place among those that are lent connections.
#[derive(Debug)]
pub(super) struct Begun {
    transaction: Transaction<'static, Postgres>,
    _permit: OwnedSemaphorePermit,
}

/// Somebody who asks the pool.
struct Asking<'a>(&'a Lender);

impl<'a> Asking<'a> {
    fn new(lender: &'a Lender) -> Self {
        lender.aside().asking += 1;
        Self(lender)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.aside().asking -= 1;
    }
}

impl Lender {
    /// Lends the connections of `pool`, which has `count` of them; whoever has waited for one for `patience` is refused.
    pub(super) fn new(pool: PgPool, count: u32, patience: Duration) -> Self {
        let permits = Semaphore::new(usize::try_from(count).unwrap_or(Semaphore::MAX_PERMITS));
        Self { pool, permits: Arc::new(permits), aside: Arc::default(), patience }
    }

    /// A connection. It may turn out to be broken.
    pub(super) async fn lend(&self) -> Result<Lent, StoreError> {
        let lent = tokio::time::timeout(self.patience, self.next()).await;
        Ok(lent.unwrap_or(Err(sqlx::Error::PoolTimedOut))?)
    }

    async fn next(&self) -> Result<Lent, sqlx::Error> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| sqlx::Error::PoolClosed)?;
        let (connection, since) = match self.pop() {
            Some(Kept { connection, since }) => (connection, since),
            None => {
                let _asking = Asking::new(self);
                (self.pool.acquire().await?, Instant::now())
            }
        };
        Ok(Lent { connection, since, lender: self.clone(), permit })
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

    /// A transaction begun by `statement`, with the same care. What may fail comes before the `begin` in it: sqlx would not end a
    /// transaction that was begun by a statement that failed.
    pub(super) async fn begin_with(&self, statement: &str) -> Result<Begun, StoreError> {
        let mut tries = self.size();
        loop {
            let Lent { connection, permit, .. } = self.lend().await?;
            let statement = AssertSqlSafe(statement.to_owned()).into_sql_str();
            // To the end, whether or not anybody waits for it: sqlx does not know of a transaction whose beginning was given up, and
            // would lend the connection with the transaction still open, in which nothing is ever committed.
            let beginning = tokio::spawn(async move {
                let transaction = Transaction::begin(connection, Some(statement)).await?;
                Ok(Begun { transaction, _permit: permit })
            });
            match beginning.await.unwrap_or(Err(sqlx::Error::WorkerCrashed)) {
                Ok(begun) => return Ok(begun),
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
        self.aside().kept.clear();
        closing.await;
    }

    fn pop(&self) -> Option<Kept> {
        let mut aside = self.aside();
        aside.give_back_old_ones();
        aside.kept.pop()
    }

    fn aside(&self) -> std::sync::MutexGuard<'_, Aside> {
        self.aside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Aside {
    fn give_back_old_ones(&mut self) {
        let is_old = |kept: &mut Kept| kept.since.elapsed() >= KEPT_FOR;
        for mut old in self.kept.extract_if(.., is_old) {
            // After a long rest nobody knows whether the other end is still there: the pool's test might take minutes.
            if old.since.elapsed() >= 2 * KEPT_FOR {
                old.connection.close_on_drop();
            }
        }
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
        let Self { connection, since, lender, .. } = self;
        let mut aside = lender.aside();
        if aside.asking == 0 && !lender.pool.is_closed() {
            aside.kept.push(Kept { connection, since });
        }
        aside.give_back_old_ones();
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
        // The server has ended this connection: it shuts down, another of its processes crashed, it starts, or the connection was
        // idle for too long, in a transaction or out of one.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["57P01", "57P02", "57P03", "57P05", "25P03"].contains(&code.as_ref())
        }),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    };
    if !broken || *tries == 0 {
        return Err(error.into());
    }
    *tries -= 1;
    Ok(())
}
