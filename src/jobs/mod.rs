//! What the gateway does by the clock. Each job is idempotent and may run in several processes at once.

mod lines;
mod senders;
mod steady;
mod wakes;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;

use crate::flow::access::{self, KeyMemory};
use crate::flow::send::holds;
use crate::flow::{calls, media, sweep, time};
use crate::gateway::Gateway;
use crate::store::{StoreError, jobs as queue};

pub use wakes::{QueueError, migrate};

const DIRECTORY: Duration = Duration::from_secs(1);
const KEY_USES: Duration = Duration::from_secs(30);
const MEASURE: Duration = Duration::from_secs(15);
const SWEEP: Duration = Duration::from_hours(1);
/// How soon an operator's word about the clock is heard.
const TIME: Duration = Duration::from_secs(20);
/// How soon messages go on that waited for a paused template.
const HOLDS: Duration = Duration::from_secs(2);
/// How soon calls are closed of which nothing is heard, once their time is over.
const CALLS: Duration = Duration::from_secs(5);
const PRUNE: Duration = Duration::from_secs(30);

/// How many lanes jobs may call this process to before its senders listen.
const CALLED: usize = 1_024;
/// Files are looked for when there is news, at most that often, and else that seldom: another process may have the news.
const MEDIA_PAUSE: Duration = Duration::from_millis(250);
const MEDIA: Duration = Duration::from_secs(5);

/// The jobs at work.
#[derive(Debug)]
pub struct Jobs {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Jobs {
    /// Starts all jobs.
    pub fn start(gateway: &Arc<Gateway>, keys: &Arc<KeyMemory>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut jobs = Self { stop, tasks: JoinSet::new() };
        let every = |jobs: &mut Self, name, period, job| {
            jobs.tasks.spawn(run(
                name,
                period,
                Arc::clone(gateway),
                Arc::clone(keys),
                stopped.clone(),
                job,
            ));
        };
        every(&mut jobs, "directory", DIRECTORY, Job::Directory);
        every(&mut jobs, "key uses", KEY_USES, Job::KeyUses);
        every(&mut jobs, "measure", MEASURE, Job::Measure);
        every(&mut jobs, "time", TIME, Job::Time);
        every(&mut jobs, "sweep", SWEEP, Job::Sweep);
        every(&mut jobs, "prune", PRUNE, Job::Prune);
        every(&mut jobs, "silent calls", CALLS, Job::Calls);
        if gateway.config.sending.enabled {
            let (call, called) = mpsc::channel(CALLED);
            let called = Arc::new(Mutex::new(called));
            jobs.keep("senders", gateway, &stopped, move |gateway, stopped| {
                let called = Arc::clone(&called);
                async move { senders::run(gateway, &mut *called.lock().await, stopped).await }
            });
            jobs.keep("job queue", gateway, &stopped, move |gateway, stopped| {
                wakes::listen(gateway, call.clone(), stopped)
            });
            jobs.keep("recovery", gateway, &stopped, senders::recover);
            jobs.keep("devices", gateway, &stopped, lines::supervise);
            jobs.keep("templates", gateway, &stopped, lines::templates);
            every(&mut jobs, "template holds", HOLDS, Job::Holds);
        } else {
            jobs.keep("calls", gateway, &stopped, wakes::forward);
        }
        every(&mut jobs, "media", MEDIA, Job::Media);
        jobs
    }

    /// Starts a part that goes on until it is told to stop.
    fn keep<F>(
        &mut self,
        part: &'static str,
        gateway: &Arc<Gateway>,
        stopped: &watch::Receiver<bool>,
        start: impl Fn(Arc<Gateway>, watch::Receiver<bool>) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let (gateway, told) = (Arc::clone(gateway), stopped.clone());
        let again = move || start(Arc::clone(&gateway), told.clone());
        self.tasks.spawn(steady::keep(part, stopped.clone(), again));
    }

    /// Lets running jobs finish, and starts no more.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

#[derive(Debug, Clone, Copy)]
enum Job {
    /// Notices what other processes changed about accounts, routes and keys.
    Directory,
    /// Writes down when keys were last used.
    KeyUses,
    /// Measures what waits.
    Measure,
    /// Looks whether the clock may be believed, and leaves a sign of life.
    Time,
    /// Deletes what was kept long enough.
    Sweep,
    /// Deletes wake-ups that have served.
    Prune,
    /// Closes calls of which nothing is heard any more.
    Calls,
    /// Lets messages go on that waited for a paused template.
    Holds,
    /// Fetches the files that came with messages.
    Media,
}

impl Job {
    /// Waits until it is time again.
    async fn rest(self, gateway: &Gateway, period: Duration) {
        let mut news = gateway.news.subscribe();
        if !matches!(self, Job::Media) {
            return tokio::time::sleep(period).await;
        }
        tokio::time::sleep(MEDIA_PAUSE).await;
        // An error would mean that the gateway is gone, and with it this task.
        let _ = tokio::time::timeout(period, news.changed()).await;
    }

    async fn run(self, gateway: &Arc<Gateway>, keys: &KeyMemory) -> Result<(), StoreError> {
        match self {
            Job::Directory => {
                gateway.refresh_directory().await?;
                keys.follow(gateway.directory.snapshot().version());
                Ok(())
            }
            Job::KeyUses => access::flush_uses(gateway, keys).await,
            Job::Media => media::fetch_due(gateway).await.map(drop),
            Job::Calls => calls::close_silent(gateway).await.map(drop),
            Job::Holds => holds::look(gateway).await,
            Job::Measure => sweep::measure(gateway).await,
            Job::Time => time::look(gateway).await.map(drop),
            Job::Sweep => {
                let swept = sweep::run(gateway).await?;
                tracing::debug!(?swept, "swept");
                Ok(())
            }
            Job::Prune => {
                let mut session = gateway.store.write_all().await?;
                queue::prune(&mut session).await?;
                session.commit().await
            }
        }
    }
}

async fn run(
    name: &'static str,
    period: Duration,
    gateway: Arc<Gateway>,
    keys: Arc<KeyMemory>,
    mut stopped: watch::Receiver<bool>,
    job: Job,
) {
    let mut failing = false;
    loop {
        let worked = tokio::select! {
            worked = steady::unbroken(name, job.run(&gateway, &keys)) => worked,
            // A download may take minutes. What is not finished is claimed anew when its claim is over.
            _ = stopped.wait_for(|stop| *stop), if matches!(job, Job::Media) => break,
        };
        match worked {
            Some(Ok(())) if failing => {
                tracing::info!(job = name, "the job works again");
                failing = false;
            }
            // One line when it begins to fail; a database that is away would fill the log.
            Some(Err(error)) if !failing => {
                tracing::warn!(job = name, %error, "a job failed; it will be tried again");
                failing = true;
            }
            // What panicked has left a line.
            Some(Ok(()) | Err(_)) | None => {}
        }
        tokio::select! {
            () = job.rest(&gateway, period) => {}
            _ = stopped.wait_for(|stop| *stop) => break,
        }
    }
    if let Job::KeyUses = job {
        let _ = steady::unbroken(name, job.run(&gateway, &keys)).await;
    }
}
