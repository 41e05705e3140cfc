//! Who runs lanes: whenever something is due in one, it is run, one run a lane in this process at a time. What this process
//! accepted itself is due at once; to what others accepted it is called by a job; and a sweep finds the rest.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};

use super::{steady, wakes};
use crate::clock::Timestamp;
use crate::flow::send::{lane, recover};
use crate::gateway::Gateway;
use crate::metrics;
use crate::model::Lane;
use crate::store::StoreError;
use crate::store::sending::lanes;

/// How often lanes are looked at although nobody called.
const SWEEP: Duration = Duration::from_secs(1);

/// How many lanes one look finds.
const LANES: i64 = 1_000;

/// How often a process shows that it is alive.
const ALIVE: Duration = Duration::from_secs(2);

/// When a lane is run again that panicked.
const AFTER_A_PANIC: TimeDelta = TimeDelta::seconds(1);

/// How often lanes are checked for what nobody woke.
const MEND: Duration = Duration::from_mins(1);

/// Sends until told to stop, and finishes what is on its way. `called` brings lanes to which jobs call this process.
pub(super) async fn run(
    gateway: Arc<Gateway>,
    called: &mut mpsc::Receiver<Lane>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut senders = Senders {
        gateway: Arc::clone(&gateway),
        stopped: stopped.clone(),
        running: JoinSet::new(),
        busy: HashMap::new(),
        tasks: HashMap::new(),
        later: HashMap::new(),
        failing: false,
    };
    let mut sweep = tokio::time::interval(SWEEP);
    sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let pause = senders.run_what_was_put_off();
        let heard = tokio::select! {
            () = gateway.due.notified() => Heard::Due,
            Some(lane) = called.recv() => Heard::Called(lane),
            _ = sweep.tick() => Heard::Sweep,
            () = tokio::time::sleep(pause) => Heard::Nothing,
            Some(done) = senders.running.join_next_with_id(), if !senders.running.is_empty() => Heard::Ended(done),
            _ = stopped.wait_for(|stop| *stop) => break,
        };
        // Were all of it started again, the lanes that are being run would be given up in the middle.
        steady::unbroken("senders", senders.answer(heard)).await;
    }
    while let Some(done) = senders.running.join_next_with_id().await {
        senders.ended(done);
    }
    // Whoever sends on is called to what is left; if nobody is there, it is there for the next start.
    if let Err(error) = wakes::call(&gateway, gateway.clock.now()).await {
        tracing::debug!(%error, "nobody could be called to what is left; others will find it");
    }
    if let Err(error) = recover::leave(&gateway).await {
        tracing::debug!(%error, "this process could not say goodbye; others will notice");
    }
}

enum Heard {
    /// This process accepted something.
    Due,
    /// A job calls it to a lane.
    Called(Lane),
    Sweep,
    Nothing,
    Ended(Result<(Id, Run), JoinError>),
}

type Run = (Lane, Result<Option<Timestamp>, StoreError>);

struct Senders {
    gateway: Arc<Gateway>,
    stopped: watch::Receiver<bool>,
    running: JoinSet<Run>,
    /// Lanes that are being run, and how to tell that something has become due in one meanwhile.
    busy: HashMap<Lane, Arc<Notify>>,
    /// Which lane each task runs.
    tasks: HashMap<Id, Lane>,
    /// Lanes that were run here and have something to do again then.
    later: HashMap<Lane, Timestamp>,
    failing: bool,
}

impl Senders {
    async fn answer(&mut self, heard: Heard) {
        match heard {
            Heard::Due => self.look(false).await,
            Heard::Called(lane) => self.begin(lane),
            Heard::Sweep => self.look(true).await,
            Heard::Nothing => {}
            Heard::Ended(done) => self.ended(done),
        }
    }

    fn begin(&mut self, lane: Lane) {
        self.later.remove(&lane);
        if let Some(nudge) = self.busy.get(&lane) {
            nudge.notify_one();
            return;
        }
        let nudge = Arc::new(Notify::new());
        self.busy.insert(lane, Arc::clone(&nudge));
        let (gateway, stopped) = (Arc::clone(&self.gateway), self.stopped.clone());
        let running = self.running.spawn(async move {
            let stopping = move || *stopped.borrow();
            (lane, lane::run(&gateway, lane, &nudge, &stopping).await)
        });
        self.tasks.insert(running.id(), lane);
    }

    fn ended(&mut self, done: Result<(Id, Run), JoinError>) {
        match done {
            Ok((task, (lane, result))) => {
                self.tasks.remove(&task);
                self.busy.remove(&lane);
                match result {
                    Ok(None) => {}
                    Ok(Some(at)) => {
                        self.later.insert(lane, at);
                    }
                    Err(error) => {
                        tracing::warn!(%error, organization = %lane.organization_id, channel = lane.channel.word(),
                            "a lane stopped; it will be run again");
                    }
                }
            }
            Err(error) => {
                metrics::panicked("lane");
                let lane = self.tasks.remove(&error.id());
                let organization = lane.map(|lane| lane.organization_id.to_string());
                tracing::error!(%error, organization, "a lane panicked; it will be run again");
                if let Some(lane) = lane {
                    self.busy.remove(&lane);
                    self.later.insert(lane, self.gateway.clock.now() + AFTER_A_PANIC);
                }
            }
        }
    }

    /// Runs the lanes whose time has come. Returns how long no other's will.
    fn run_what_was_put_off(&mut self) -> Duration {
        let now = self.gateway.clock.now();
        let due: Vec<Lane> =
            self.later.iter().filter(|(_, at)| **at <= now).map(|(lane, _)| *lane).collect();
        for lane in due {
            self.begin(lane);
        }
        let next = self.later.values().min().map(|at| (*at - now).to_std().unwrap_or(SWEEP));
        next.unwrap_or(SWEEP).clamp(Duration::from_millis(1), SWEEP)
    }

    async fn look(&mut self, sweeping: bool) {
        match self.find(sweeping).await {
            Ok(()) => self.failing = false,
            Err(error) => {
                if !self.failing {
                    tracing::warn!(%error, "lanes cannot be looked at; it will be tried again");
                }
                self.failing = true;
            }
        }
    }

    /// Runs the lanes in which something is due and nobody is at it. A sweep leaves those to which nobody was called to
    /// whomever a job calls: all processes sweep, and one is enough. Those that were abandoned it runs itself, whatever
    /// has become of their jobs.
    async fn find(&mut self, sweeping: bool) -> Result<(), StoreError> {
        let now = self.gateway.clock.now();
        let stale = now - wakes::COMES_WITHIN;
        let mut session = self.gateway.store.read_all().await?;
        let asleep = lanes::asleep(&mut session, now, stale, LANES).await?;
        drop(session);
        let mut uncalled = false;
        for lane in asleep {
            if sweeping && !lane.abandoned && !self.busy.contains_key(&lane.lane) {
                uncalled = true;
            } else {
                self.begin(lane.lane);
            }
        }
        if uncalled && let Err(error) = wakes::call(&self.gateway, stale).await {
            tracing::debug!(%error, "nobody could be called; the next sweep goes there itself");
        }
        Ok(())
    }
}

/// Shows that this process is alive, takes over what dead ones left, and asks for what is unknown, until told to stop.
pub(super) async fn recover(gateway: Arc<Gateway>, mut stopped: watch::Receiver<bool>) {
    let mut asked = gateway.clock.now() - TimeDelta::hours(2);
    let mut rounds = 0_u64;
    loop {
        let result = async {
            recover::take_over(&gateway).await?;
            asked = recover::ask(&gateway, asked).await?;
            if rounds.is_multiple_of(MEND.as_secs() / ALIVE.as_secs()) {
                recover::mend(&gateway).await?;
            }
            Ok::<(), StoreError>(())
        };
        if let Err(error) = result.await {
            tracing::debug!(%error, "recovery failed; it will be tried again");
        }
        rounds += 1;
        tokio::select! {
            () = tokio::time::sleep(ALIVE) => {}
            _ = stopped.wait_for(|stop| *stop) => break,
        }
    }
}
