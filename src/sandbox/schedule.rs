//! Messages that were taken to be sent later: they wait here until their time comes, or until they are cancelled.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::emulator::Status;
use super::journal::Accepted;
use super::post::{Plan, Post};
use super::world::World;
use crate::clock::Timestamp;

/// How many messages may wait. Further ones are never sent, and counted as lost.
const WAITING: usize = 100_000;

/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(200);

/// How a message goes whose time has come, where that is not as it was planned: a window may have closed since.
pub(super) type Judge = fn(&World, &Accepted) -> Option<Vec<Status>>;

/// The messages that wait, by their time.
#[derive(Debug, Default)]
pub(super) struct Schedule(BTreeMap<(Timestamp, String), Waiting>);

#[derive(Debug)]
struct Waiting {
    message: Arc<Accepted>,
    plan: Plan,
    judge: Judge,
}

/// Lets a message wait for the time it was scheduled for.
pub(super) fn add(world: &World, message: &Arc<Accepted>, plan: Plan, judge: Judge) {
    let Some(key) = key(message) else { return };
    let mut schedule = world.schedule();
    match schedule.0.len() < WAITING {
        true => {
            let message = Arc::clone(message);
            schedule.0.insert(key, Waiting { message, plan, judge });
        }
        false => world.post.lose(),
    }
}

fn key(message: &Accepted) -> Option<(Timestamp, String)> {
    message.with(|seen| Some((seen.scheduled_for?, seen.id.clone())))
}

/// Lets go every message whose time has come.
pub(super) fn launch(world: &Arc<World>) {
    let now = world.later();
    let due: Vec<Waiting> = {
        let mut schedule = world.schedule();
        let mut due = Vec::new();
        while let Some(first) = schedule.0.first_entry().filter(|first| first.key().0 <= now) {
            due.push(first.remove());
        }
        due
    };
    for Waiting { message, mut plan, judge } in due {
        if let Some(statuses) = judge(world, &message) {
            plan.statuses = statuses;
        }
        message.with(|seen| "queued".clone_into(&mut seen.status));
        Post::tell(world, message, plan);
    }
}

/// Takes back a message that still waits; its webhooks say so with the provider's `status`. `false` if it waits no more.
pub(super) fn cancel(world: &Arc<World>, message: &Accepted, status: &'static str) -> bool {
    let waiting = key(message).and_then(|key| world.schedule().0.remove(&key));
    let Some(Waiting { message, plan, .. }) = waiting else { return false };
    message.with(|seen| status.clone_into(&mut seen.status));
    let plan = Plan { statuses: vec![Status::of(status)], links: Vec::new(), ..plan };
    Post::tell(world, message, plan);
    true
}

/// Looks at the clock until `stop` says so.
pub(super) async fn run(world: Arc<World>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(TICK) => launch(&world),
        }
    }
}
