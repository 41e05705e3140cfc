//! The job queue: it calls one of the processes that send to a lane in which something is due. The only module that knows
//! apalis. A job is a wake-up and nothing else: a lane's row says what is due, so a job may be lost, doubled or late, and
//! costs time at worst. Handling one means putting its lane before this process's senders, which cannot fail or take long.
//!
//! What apalis 1.0 needs us to mind is said where it matters.

use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use apalis::prelude::{Monitor, PollSnapshot, PollStrategy, PollWith, TaskSink, WorkerBuilder};
use apalis_postgres::{PgPool, PostgresStorage, Pubsub};
use apalis_sqlite::SqliteStorage;
use futures_util::Stream;
use providers::Channel;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior, Sleep};

use crate::clock::Timestamp;
use crate::gateway::Gateway;
use crate::model::{Lane, OrganizationId};
use crate::store::jobs::{self, JobPool};
use crate::store::sending::lanes;
use crate::store::{Store, StoreError};

/// The queue's name.
const QUEUE: &str = "lanes";

/// Where the queue's migrations are kept: on SQLite they would otherwise stand among ours, by numbers that clash.
const MIGRATIONS: &str = "apalis_migrations";

/// How often a worker looks by itself. On SQLite nothing else tells it of what another process handed in.
const LOOK: Duration = Duration::from_secs(1);

/// A notification may come while a look is under way that does not see its job yet: then there is one more look.
const ONCE_MORE: Duration = Duration::from_millis(20);

/// How often a worker shows that it is alive. A wake-up that is lost inside apalis is found by then, too.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// After how many missed heartbeats another worker takes over its jobs. No job takes even one.
const MISSED: usize = 6;

/// How long after its worker broke a new one starts.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a worker may take to stop.
const STOP: Duration = Duration::from_secs(5);

/// How many lanes one call reaches.
const LANES: i64 = 1_000;

/// How long somebody who was called has to come, and to come back, before others are called.
pub(super) const COMES_WITHIN: chrono::TimeDelta = chrono::TimeDelta::seconds(1);

/// A job: something is due in a lane.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Call {
    organization_id: OrganizationId,
    channel: String,
}

/// A job could not be handed in, or the queue's tables could not be made.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue.
    #[error("job queue: {0}")]
    Queue(String),
}

fn queue_error(error: impl std::fmt::Display) -> QueueError {
    QueueError::Queue(error.to_string())
}

/// Makes the queue's tables, or brings them up to date. The schema must be there: its roles get their rights here.
pub async fn migrate(store: &Store) -> Result<(), QueueError> {
    // Not by the storages' own `setup`: SQLite's switches off the syncing of whatever connection it is given.
    match store.job_pool(true) {
        JobPool::Sqlite(pool) => {
            let mut migrations = SqliteStorage::migrations();
            migrations.dangerous_set_table_name(MIGRATIONS);
            migrations.run(&pool).await.map_err(queue_error)?;
        }
        JobPool::Postgres(pool) => {
            let mut migrations = PostgresStorage::migrations();
            migrations.dangerous_set_table_name(MIGRATIONS);
            migrations.run(&pool).await.map_err(queue_error)?;
        }
    }
    let mut session = store.write_as_owner().await?;
    jobs::complete(&mut session).await?;
    Ok(session.commit().await?)
}

/// Hands in a job for each lane in which something is due and to which nobody was called since `stale`. Returns how many.
pub(super) async fn call(gateway: &Gateway, stale: Timestamp) -> Result<usize, QueueError> {
    let now = gateway.clock.now();
    let mut session = gateway.store.write_all().await?;
    let roused = lanes::rouse(&mut session, now, stale, LANES).await?;
    // In two steps: should the second fail, the lanes are abandoned, and whoever sweeps goes there without a job.
    session.commit().await?;
    let calls: Vec<Call> = roused.iter().map(Call::to).collect();
    if !calls.is_empty() {
        hand_in(&gateway.store, calls).await?;
    }
    Ok(roused.len())
}

async fn hand_in(store: &Store, calls: Vec<Call>) -> Result<(), QueueError> {
    // Without a key of their own: a doubled one would be an error on PostgreSQL and nothing on SQLite.
    match store.job_pool(false) {
        JobPool::Sqlite(pool) => sqlite(&pool).push_bulk(calls).await.map_err(queue_error),
        JobPool::Postgres(pool) => postgres(&pool).push_bulk(calls).await.map_err(queue_error),
    }
}

impl Call {
    fn to(lane: &Lane) -> Self {
        Self { organization_id: lane.organization_id, channel: lane.channel.word().to_owned() }
    }

    /// `None` where a newer version knows a channel that this one does not.
    fn lane(&self) -> Option<Lane> {
        let channel = Channel::from_word(&self.channel)?;
        Some(Lane { organization_id: self.organization_id, channel })
    }
}

// One job at a time: while more could come than there is room for, a worker shows no sign of life and acknowledges nothing.
// A job is not marked as running: it is over before that would be written.
fn sqlite(pool: &apalis_sqlite::SqlitePool) -> SqliteStorage<Call> {
    let config = apalis_sqlite::Config::default().queue(QUEUE).batch_size(1).lock_tasks(false);
    let config = config.heartbeat_interval(HEARTBEAT).missed_heartbeats(MISSED);
    SqliteStorage::new(pool).with_config(config)
}

fn postgres(pool: &PgPool) -> PostgresStorage<Call> {
    let config = apalis_postgres::Config::default().queue(QUEUE).batch_size(1).lock_tasks(false);
    let config = config.heartbeat_interval(HEARTBEAT).missed_heartbeats(MISSED);
    PostgresStorage::new(pool).with_config(config)
}

/// For a process that accepts and does not send: calls others whenever it has accepted something, until told to stop.
pub(super) async fn forward(gateway: Arc<Gateway>, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = gateway.due.notified() => {}
            _ = stopped.wait_for(|stop| *stop) => break,
        }
        if let Err(error) = call(&gateway, gateway.clock.now() - COMES_WITHIN).await {
            tracing::warn!(%error, "nobody could be called to what was accepted; a sweep will find it");
        }
    }
}

/// Takes jobs and puts their lanes before the senders, until told to stop. A worker that broke (any error of the database
/// ends one) is followed by a new one.
pub(super) async fn listen(
    gateway: Arc<Gateway>,
    called: mpsc::Sender<Lane>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut failing = false;
    while !*stopped.borrow() {
        // A new name each time: under a dead worker's name it would be refused, or its jobs would stay locked.
        let name = format!("{}-{}", gateway.worker, gateway.ids.next());
        let monitor = match gateway.store.job_pool(false) {
            JobPool::Sqlite(pool) => on_sqlite(&pool, name, called.clone()),
            JobPool::Postgres(pool) => on_postgres(&pool, name, called.clone()),
        };
        let context = monitor.context();
        // Nothing restarts a worker inside the monitor: that would be at once, and for ever while the database is away.
        let mut working = Box::pin(monitor.run());
        let ended = tokio::select! {
            ended = &mut working => Some(ended),
            _ = stopped.wait_for(|stop| *stop) => None,
        };
        let Some(ended) = ended else {
            let _ = context.shutdown();
            if tokio::time::timeout(STOP, working).await.is_err() {
                tracing::debug!(
                    "the job queue's worker did not stop in time; what it held is taken over"
                );
            }
            break;
        };
        if let Err(error) = ended {
            if failing {
                tracing::debug!(%error, "the job queue's worker broke again");
            } else {
                tracing::warn!(%error, "the job queue's worker broke; a new one follows, and sweeps go on meanwhile");
            }
            failing = true;
        } else {
            failing = false;
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
    }
}

fn on_sqlite(
    pool: &apalis_sqlite::SqlitePool,
    name: String,
    called: mpsc::Sender<Lane>,
) -> Monitor {
    let pool = pool.clone();
    Monitor::new().register(move |_| {
        let backend = PollWith::new(sqlite(&pool), Looks::new(None));
        let called = called.clone();
        WorkerBuilder::new(name.clone())
            .backend(backend)
            .build(move |call: Call| answer(&call, &called))
    })
}

fn on_postgres(pool: &PgPool, name: String, called: mpsc::Sender<Lane>) -> Monitor {
    let pool = pool.clone();
    Monitor::new().register(move |_| {
        let backend = PollWith::new(postgres(&pool), Looks::new(Some(pool.clone())));
        let called = called.clone();
        WorkerBuilder::new(name.clone())
            .backend(backend)
            .build(move |call: Call| answer(&call, &called))
    })
}

/// Never an error and nothing that could panic: what fails is fetched again at once, and what panics stays claimed.
fn answer(call: &Call, called: &mpsc::Sender<Lane>) -> Ready<Result<(), std::convert::Infallible>> {
    if let Some(lane) = call.lane() {
        // Where the senders have more to do than they can remember, the lane counts as abandoned soon.
        let _ = called.try_send(lane);
    }
    ready(Ok(()))
}

/// When a worker looks for jobs: every second, and whenever PostgreSQL tells of a new one. apalis' own strategies forget to
/// be woken again once they have fired; these are asked until they have nothing more to say.
struct Looks {
    every: Interval,
    once_more: Option<Pin<Box<Sleep>>>,
    listening: Option<PgPool>,
    news: Option<Pubsub>,
}

impl Looks {
    fn new(listening: Option<PgPool>) -> Self {
        let mut every = tokio::time::interval(LOOK);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { every, once_more: None, listening, news: None }
    }

    fn poll_news(&mut self, cx: &mut Context<'_>) -> bool {
        let mut told = false;
        while let Some(news) = &mut self.news {
            match Pin::new(news).poll_next(cx) {
                Poll::Ready(Some(Ok(_))) => told = true,
                // It ends with its connection and says no more, for ever.
                Poll::Ready(Some(Err(_)) | None) => self.news = None,
                Poll::Pending => break,
            }
        }
        told
    }
}

impl PollStrategy for Looks {
    fn poll_drive(&mut self, cx: &mut Context<'_>, _: &PollSnapshot) -> Poll<Option<()>> {
        let mut look = false;
        while self.every.poll_tick(cx).is_ready() {
            look = true;
            if self.news.is_none() {
                self.news = self.listening.clone().map(|pool| Pubsub::new(pool, QUEUE.to_owned()));
            }
        }
        if self.poll_news(cx) {
            look = true;
            self.once_more = Some(Box::pin(tokio::time::sleep(ONCE_MORE)));
        }
        if let Some(once_more) = &mut self.once_more
            && once_more.as_mut().poll(cx).is_ready()
        {
            look = true;
            self.once_more = None;
        }
        if look { Poll::Ready(Some(())) } else { Poll::Pending }
    }
}
