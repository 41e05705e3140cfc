//! SQLite's one write connection: whose turn it is, and whether the connection may be lent again.
//!
//! SQLite has one writer at a time, and a queue in our process is fairer than a race for its lock. Intake goes before everybody
//! else in that queue, since its providers wait two seconds; so that nobody waits for ever, one of the others follows after
//! [`INTAKE_IN_A_ROW`] turns of intake.
//!
//! SQLite ends a transaction by itself when its disk is full or cannot be read, and sqlx goes on counting it: on such a connection
//! nothing can be begun any more. A connection whose transaction failed to begin or to end is therefore closed, and so is one that
//! is still counted as in a transaction when it is to be lent. That is decided here and nowhere else, for the job queue's
//! statements too.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Connection, SqlSafeStr, Sqlite, SqliteConnection, SqlitePool, Transaction};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::StoreError;

/// After so many turns of intake one of the others has a turn, if any waits.
const INTAKE_IN_A_ROW: u32 = 8;

/// A transaction that begins as a reader may find, at its first write, that it cannot become a writer.
const BEGIN: &str = "begin immediate";

/// Who wants to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// The batcher: webhooks wait for it.
    Intake,
    /// The API, jobs and commands, in the order in which they come.
    Other,
}

/// The one write connection. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    pool: SqlitePool,
    turns: Turns,
    /// A transaction failed to begin or to end, so the connection is closed before it is lent again.
    doubtful: Arc<AtomicBool>,
    patience: Duration,
}

/// A transaction on the write connection. Dropped, it is rolled back.
#[derive(Debug)]
pub(super) struct Writing {
    transaction: Transaction<'static, Sqlite>,
    doubtful: Arc<AtomicBool>,
    _turn: Turn,
}

impl Writer {
    /// Opens the connection. Whoever has waited for it for `patience` is refused.
    pub(super) async fn open(
        connect: SqliteConnectOptions,
        patience: Duration,
    ) -> Result<Self, sqlx::Error> {
        let doubtful = Arc::new(AtomicBool::new(false));
        let doubt = Arc::clone(&doubtful);
        let options = SqlitePoolOptions::new().acquire_timeout(patience).max_connections(1);
        // What comes back is tried then, and its rollback is over: a second try before it is lent would tell nothing new.
        let options = options.test_before_acquire(false).before_acquire(move |connection, _| {
            let sound = is_sound(&doubt, connection);
            Box::pin(std::future::ready(Ok(sound)))
        });
        let pool = options.connect_with(connect).await?;
        Ok(Self { pool, turns: Turns::default(), doubtful, patience })
    }

    /// Begins a transaction when it is this one's turn. Where the beginning fails for the connection's sake, it is tried once more
    /// on a fresh one.
    pub(super) async fn begin(&self, class: Class) -> Result<Writing, StoreError> {
        let until = Instant::now() + self.patience;
        let turn = timeout_at(until, self.turns.wait(class)).await;
        let turn = turn.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
        let transaction = match self.try_to_begin(until).await {
            Err(_) if self.doubtful.load(Ordering::Acquire) => self.try_to_begin(until).await,
            begun => begun,
        }?;
        Ok(Writing { transaction, doubtful: Arc::clone(&self.doubtful), _turn: turn })
    }

    async fn try_to_begin(
        &self,
        until: Instant,
    ) -> Result<Transaction<'static, Sqlite>, StoreError> {
        let connection = timeout_at(until, self.pool.acquire()).await;
        let connection = connection.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
        // Given up in the middle, it is rolled back on the connection's own thread, or ends that thread and the connection.
        let begun = Transaction::begin(connection, Some(BEGIN.into_sql_str())).await;
        begun.map_err(|error| {
            let error = StoreError::from(error);
            // Another process that writes keeps this one from beginning, and harms nothing.
            if !matches!(error, StoreError::Conflict(_)) {
                self.doubtful.store(true, Ordering::Release);
            }
            error
        })
    }

    /// The pool itself, for what needs one of its own.
    pub(super) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Closes the connection once it is given back.
    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

impl Writing {
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }

    /// Ends the transaction; on an error nothing of it is kept, or nobody knows whether it is.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        let Self { transaction, doubtful, .. } = self;
        transaction.commit().await.map_err(|error| {
            doubtful.store(true, Ordering::Release);
            not_ended(error)
        })
    }
}

/// SQLite says that there is no transaction to commit if it has ended it by itself. That is no statement it refuses: the cause was
/// its disk, and the same may work when it is tried again.
fn not_ended(error: sqlx::Error) -> StoreError {
    let says_no_more =
        matches!(&error, sqlx::Error::Database(error) if error.code().as_deref() == Some("1"));
    match says_no_more {
        true => StoreError::Unavailable(error),
        false => error.into(),
    }
}

/// Whether a connection may be lent: it was given back, so what was begun on it is rolled back, unless that failed.
fn is_sound(doubtful: &AtomicBool, connection: &SqliteConnection) -> bool {
    let sound = !doubtful.swap(false, Ordering::AcqRel) && !connection.is_in_transaction();
    if !sound {
        tracing::warn!(
            "SQLite could not begin or end a transaction; a fresh connection takes this one's place"
        );
    }
    sound
}

/// Who waits to write.
#[derive(Debug, Clone, Default)]
struct Turns(Arc<Mutex<Line>>);

#[derive(Debug, Default)]
struct Line {
    /// Somebody has the turn. If nobody has, nobody waits.
    taken: bool,
    intake: VecDeque<oneshot::Sender<Turn>>,
    others: VecDeque<oneshot::Sender<Turn>>,
    /// How many turns intake had while others waited.
    in_a_row: u32,
}

/// The right to write. Dropped, it goes to whoever is next.
#[derive(Debug)]
struct Turn(Option<Turns>);

impl Turns {
    /// Waits for a turn. Whoever gives up loses nothing but the place.
    async fn wait(&self, class: Class) -> Result<Turn, sqlx::Error> {
        let waiting = {
            let mut line = self.line();
            if !line.taken {
                line.taken = true;
                return Ok(Turn(Some(self.clone())));
            }
            line.wait(class)
        };
        waiting.await.map_err(|_| sqlx::Error::PoolClosed)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn wait(&mut self, class: Class) -> oneshot::Receiver<Turn> {
        let queue = match class {
            Class::Intake => &mut self.intake,
            Class::Other => &mut self.others,
        };
        forget_who_left(queue);
        let (turn, waiting) = oneshot::channel();
        queue.push_back(turn);
        waiting
    }

    /// Who is next. With nobody there, the turn is nobody's.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        forget_who_left(&mut self.intake);
        forget_who_left(&mut self.others);
        if self.others.is_empty() {
            self.in_a_row = 0;
        }
        if self.in_a_row < INTAKE_IN_A_ROW
            && let Some(next) = self.intake.pop_front()
        {
            self.in_a_row += u32::from(!self.others.is_empty());
            return Some(next);
        }
        self.in_a_row = 0;
        let next = self.others.pop_front();
        self.taken = next.is_some();
        next
    }
}

/// Those who gave up are mostly those who have waited longest.
fn forget_who_left(queue: &mut VecDeque<oneshot::Sender<Turn>>) {
    while queue.front().is_some_and(oneshot::Sender::is_closed) {
        queue.pop_front();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(turns) = self.0.take() else { return };
        loop {
            let next = turns.line().next();
            let Some(next) = next else { return };
            match next.send(Turn(Some(turns.clone()))) {
                Ok(()) => return,
                // Gave up at this very moment: the next one is asked, and this turn must not be passed on twice.
                Err(mut refused) => drop(refused.0.take()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use futures_util::FutureExt;

    use super::*;

    async fn writer(name: &str) -> (Writer, std::path::PathBuf) {
        let folder =
            std::env::temp_dir().join(format!("switchboard_test_{name}_{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let url = format!("sqlite:{}", folder.join("writer.db").display());
        let connect = SqliteConnectOptions::from_str(&url).unwrap().create_if_missing(true);
        let writer = Writer::open(connect, Duration::from_secs(5)).await.unwrap();
        sqlx::raw_sql("create table things (name text)").execute(writer.pool()).await.unwrap();
        (writer, folder)
    }

    async fn write(writer: &Writer, class: Class, name: &str) -> Result<(), StoreError> {
        let mut writing = writer.begin(class).await?;
        let insert = sqlx::query("insert into things values (?) /* every organization: a test */")
            .bind(name);
        insert.execute(writing.connection()).await?;
        writing.commit().await
    }

    async fn count(writer: &Writer) -> i64 {
        sqlx::query_scalar("select count(*) from things /* every organization: a test */")
            .fetch_one(writer.pool())
            .await
            .unwrap()
    }

    /// What SQLite does by itself when its disk is full.
    async fn end_by_itself(writing: &mut Writing) {
        sqlx::raw_sql("rollback").execute(writing.connection()).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_transaction_that_ended_by_itself_harms_no_other() {
        let (writer, folder) = writer("ended").await;
        let mut writing = writer.begin(Class::Intake).await.unwrap();
        end_by_itself(&mut writing).await;
        let error = writing.commit().await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        write(&writer, Class::Other, "after a commit that failed").await.unwrap();

        let mut writing = writer.begin(Class::Other).await.unwrap();
        end_by_itself(&mut writing).await;
        drop(writing);
        write(&writer, Class::Intake, "after one that was dropped").await.unwrap();

        let mut writing = writer.begin(Class::Other).await.unwrap();
        end_by_itself(&mut writing).await;
        drop(writing);
        // The job queue begins by itself, on the same pool.
        let mut transaction = writer.pool().begin().await.unwrap();
        sqlx::query("insert into things values ('a job') /* every organization: a test */")
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(count(&writer).await, 3);

        // The job queue's own transaction ends by itself.
        let mut transaction = writer.pool().begin().await.unwrap();
        sqlx::raw_sql("rollback").execute(&mut *transaction).await.unwrap();
        assert!(transaction.commit().await.is_err());
        write(&writer, Class::Intake, "after a job's").await.unwrap();
        assert_eq!(count(&writer).await, 4);
        let _ = std::fs::remove_dir_all(folder);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_given_up_anywhere_leaves_nothing_open() {
        let (writer, folder) = writer("given_up").await;
        let mut written = 0;
        for patience in 0..150_u32 {
            let writing = write(&writer, Class::Other, "perhaps");
            tokio::select! {
                biased;
                () = async { for _ in 0..patience { tokio::task::yield_now().await } } => {}
                done = writing => { done.unwrap(); written += 1; }
            }
            if patience % 10 == 0 {
                write(&writer, Class::Intake, "surely").await.unwrap();
                written += 1;
            }
        }
        write(&writer, Class::Intake, "surely").await.unwrap();
        // One that was given up while it was committed may have been written.
        assert!(count(&writer).await > written, "{written}");
        let _ = std::fs::remove_dir_all(folder);
    }

    /// Who gets a turn, while all of these wait.
    async fn order_of(classes: &[Class]) -> Vec<usize> {
        let turns = Turns::default();
        let first = turns.wait(Class::Other).await.unwrap();
        let mut waiting: Vec<_> =
            classes.iter().map(|class| Box::pin(turns.wait(*class))).collect();
        assert!(waiting.iter_mut().all(|one| one.as_mut().now_or_never().is_none()));
        drop(first);
        let mut order = Vec::new();
        let mut done = vec![false; classes.len()];
        while order.len() < classes.len() {
            for (number, one) in waiting.iter_mut().enumerate() {
                if !done[number]
                    && let Some(turn) = one.as_mut().now_or_never()
                {
                    done[number] = true;
                    order.push(number);
                    drop(turn.unwrap());
                    break;
                }
            }
        }
        order
    }

    #[tokio::test]
    async fn intake_goes_first_and_the_others_in_order() {
        use Class::{Intake, Other};
        assert_eq!(order_of(&[Other, Other, Intake, Other, Intake]).await, [2, 4, 0, 1, 3]);
        // After eight of intake, one of the others.
        let mut many = vec![Other, Other];
        many.extend([Intake; 20]);
        let order = order_of(&many).await;
        assert_eq!(order.iter().position(|number| *number == 0), Some(8), "{order:?}");
        assert_eq!(order.iter().position(|number| *number == 1), Some(17), "{order:?}");
    }

    #[tokio::test]
    async fn whoever_gives_up_is_passed_over() {
        let turns = Turns::default();
        let first = turns.wait(Class::Intake).await.unwrap();
        let mut waiting: Vec<_> = (0..5).map(|_| Box::pin(turns.wait(Class::Other))).collect();
        assert!(waiting.iter_mut().all(|one| one.as_mut().now_or_never().is_none()));
        let last = waiting.pop().unwrap();
        drop(waiting.remove(0));
        drop(first);
        // The turn is on its way to one that gives up before taking it.
        drop(waiting);
        drop(last.await.unwrap());
        assert!(!turns.line().taken);
        assert!(turns.wait(Class::Other).now_or_never().is_some());
    }
}
