//! Who wakes lanes: whenever something is due in one, it is run, one run a lane in this process at a time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Timestamp;
use crate::flow::send::{lane, recover};
use crate::gateway::Gateway;
use crate::model::Lane;
use crate::store::StoreError;
use crate::store::sending::lanes::{self, Wake};

/// How often lanes are looked at although nobody called: what another process accepted is found so.
const LOOK: Duration = Duration::from_millis(250);

/// How many lanes one look finds.
const LANES: i64 = 1_000;

/// How often a process shows that it is alive.
const ALIVE: Duration = Duration::from_secs(2);

/// How often lanes are checked for what nobody woke.
const MEND: Duration = Duration::from_mins(1);

/// Sends until told to stop, and finishes what is on its way.
pub(super) async fn run(gateway: Arc<Gateway>, mut stopped: watch::Receiver<bool>) {
    let mut running: JoinSet<(Lane, Result<Option<Timestamp>, StoreError>)> = JoinSet::new();
    let mut busy: HashSet<Lane> = HashSet::new();
    let mut failing = false;
    loop {
        let pause = match look(&gateway, &mut running, &mut busy, &stopped).await {
            Ok(pause) => {
                failing = false;
                pause
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "lanes cannot be looked at; it will be tried again");
                }
                failing = true;
                LOOK
            }
        };
        tokio::select! {
            () = gateway.due.notified() => {}
            () = tokio::time::sleep(pause) => {}
            Some(done) = running.join_next(), if !running.is_empty() => ended(done, &mut busy),
            _ = stopped.wait_for(|stop| *stop) => break,
        }
    }
    while let Some(done) = running.join_next().await {
        ended(done, &mut busy);
    }
    if let Err(error) = recover::leave(&gateway).await {
        tracing::debug!(%error, "this process could not say goodbye; others will notice");
    }
}

type Ended = Result<(Lane, Result<Option<Timestamp>, StoreError>), tokio::task::JoinError>;

fn ended(done: Ended, busy: &mut HashSet<Lane>) {
    match done {
        Ok((lane, result)) => {
            busy.remove(&lane);
            if let Err(error) = result {
                tracing::warn!(%error, organization = %lane.organization_id, channel = lane.channel.word(),
                    "a lane stopped; it will be run again");
            }
        }
        // Which lane it was is not known: all are looked at again.
        Err(error) => {
            tracing::error!(%error, "a lane broke");
            busy.clear();
        }
    }
}

/// Runs the lanes in which something is due. Returns how long nothing else will be.
async fn look(
    gateway: &Arc<Gateway>,
    running: &mut JoinSet<(Lane, Result<Option<Timestamp>, StoreError>)>,
    busy: &mut HashSet<Lane>,
    stopped: &watch::Receiver<bool>,
) -> Result<Duration, StoreError> {
    let mut session = gateway.store.read_all().await?;
    let wakes = lanes::wakes(&mut session, LANES).await?;
    drop(session);
    let now = gateway.clock.now();
    let mut pause = LOOK;
    for Wake { lane, at } in wakes {
        if busy.contains(&lane) {
            continue;
        }
        if at > now {
            pause = pause.min((at - now).to_std().unwrap_or(LOOK).max(Duration::from_millis(1)));
            continue;
        }
        busy.insert(lane);
        let (gateway, stopped) = (Arc::clone(gateway), stopped.clone());
        running.spawn(async move {
            let stopping = move || *stopped.borrow();
            (lane, lane::run(&gateway, lane, &stopping).await)
        });
    }
    Ok(pause)
}

/// Shows that this process is alive, takes over what dead ones left, and asks for what is unknown, until told to stop.
pub(super) async fn recover(gateway: Arc<Gateway>, mut stopped: watch::Receiver<bool>) {
    let mut asked = gateway.clock.now() - chrono::TimeDelta::hours(2);
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
