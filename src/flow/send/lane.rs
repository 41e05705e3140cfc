//! One lane at work: it takes what is due, sends it side by side, and writes down what became of it, until nothing is due.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::dispatch::{self, LaneState, Shipment};
use super::files;
use super::probe;
use super::take::{self, Batch, Taken, Taker};
use crate::clock::Timestamp;
use crate::gateway::Gateway;
use crate::metrics;
use crate::model::{ClaimId, Claimed, IdentityId, Lane, MessageId, Settled};
use crate::store::StoreError;
use crate::store::sending::{claim, journal, lanes, settle};

/// How many messages of one lane are on their way at once.
const SIDE_BY_SIDE: usize = 64;

/// A lane that sends at full speed takes more once so many have come back: each look costs transactions.
const BATCH: usize = 16;

/// How often a lane looks for what became due while it waits for answers.
const LOOK: Duration = Duration::from_secs(1);

/// The pauses between tries to write down what became of messages, while the database is away.
const WRITE_AGAIN: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// Sends what is due in a lane. Returns when there is something to do again, if that is known. `nudged` says that something
/// has become due meanwhile: it is sent beside what is on its way, which may take long. `stopping` says that no more may be
/// taken; what is on its way is finished.
///
/// # Errors
/// The database could not be read. What was on its way is written down all the same.
pub async fn run(
    gateway: &Arc<Gateway>,
    lane: Lane,
    nudged: &Notify,
    stopping: &(dyn Fn() -> bool + Send + Sync),
) -> Result<Option<Timestamp>, StoreError> {
    let claim = ClaimId { worker: gateway.worker, claim: gateway.ids.next() };
    let mut underway: JoinSet<Settled> = JoinSet::new();
    let mut result = Ok(None);
    let mut held_back = false;
    let mut broken = false;
    loop {
        let mut shipped = Vec::new();
        if result.is_ok() && underway.len() <= SIDE_BY_SIDE - BATCH && !stopping() {
            let most = SIDE_BY_SIDE - underway.len();
            match begin(gateway, Taker { lane, claim, most }, &mut underway).await {
                Ok(Begun::Started(settled, held)) => {
                    shipped.extend(settled);
                    held_back |= held;
                    result = Ok(None);
                }
                Ok(Begun::Nothing(until)) => {
                    if underway.is_empty() {
                        return Ok(until);
                    }
                }
                Err(error) => result = Err(error),
            }
        }
        if shipped.is_empty() {
            if underway.is_empty() {
                match result.is_err() || stopping() {
                    true => break,
                    false => continue,
                }
            }
            tokio::select! {
                Some(one) = underway.join_next() => {
                    broken |= one.is_err();
                    shipped.extend(one.ok());
                }
                () = nudged.notified() => continue,
                // One slow answer must not hold up what becomes due meanwhile.
                () = tokio::time::sleep(LOOK) => continue,
            }
        }
        while let Some(one) = underway.try_join_next() {
            broken |= one.is_err();
            shipped.extend(one.ok());
        }
        conclude(gateway, lane, claim, shipped, held_back).await;
    }
    // What is still held was claimed and has not left, unless a task broke: of its message nobody knows.
    if result.is_err() && !broken {
        let_go(gateway, lane, claim, stopping).await;
    }
    result
}

enum Begun {
    /// Messages are on their way; these are not sent. Whether others wait for an earlier one of their conversation.
    Started(Vec<Settled>, bool),
    /// There is nothing to take now.
    Nothing(Option<Timestamp>),
}

async fn begin(
    gateway: &Arc<Gateway>,
    taker: Taker,
    underway: &mut JoinSet<Settled>,
) -> Result<Begun, StoreError> {
    let batch = match take::take(gateway, taker).await? {
        Taken::Nothing(until) => return Ok(Begun::Nothing(until)),
        Taken::Trying => {
            let next = probe::look(gateway, taker.lane).await?;
            return Ok(match next.filter(|at| *at <= gateway.clock.now()) {
                Some(_) => Begun::Started(Vec::new(), false),
                None => Begun::Nothing(next),
            });
        }
        Taken::Batch(batch) => batch,
    };
    let (prepared, mut unsent) = prepare(gateway, taker.lane, &batch).await;
    let ids: Vec<MessageId> = prepared.iter().map(|(claimed, ..)| claimed.id).collect();
    let opening = journal::Opening {
        claim: taker.claim,
        account_id: batch.account.id,
        provider: batch.account.provider.name,
        our_address: &batch.from.address,
    };
    let organization = taker.lane.organization_id;
    if !ids.is_empty() {
        let mut session = gateway.store.write(organization).await?;
        let now = gateway.clock.now();
        let held = journal::open(&mut session, organization, &opening, &ids, now).await?;
        session.commit().await?;
        let held: std::collections::HashMap<MessageId, i64> = held.into_iter().collect();
        for (claimed, message, first) in prepared {
            let Some(attempt) = held.get(&claimed.id).copied() else { continue };
            let shipment = Shipment { claimed, message, first, attempt };
            let (gateway, account) = (Arc::clone(gateway), Arc::clone(&batch.account));
            let state = LaneState { factor: batch.factor, probing: batch.probing };
            underway
                .spawn(async move { dispatch::ship(&gateway, &account, state, shipment).await });
        }
    }
    unsent.extend(batch.settled);
    Ok(Begun::Started(unsent, batch.held_back))
}

type Prepared = (Claimed, providers::OutboundMessage, providers::ProviderRequest);

/// Loads files and makes the first requests.
async fn prepare(gateway: &Gateway, lane: Lane, batch: &Batch) -> (Vec<Prepared>, Vec<Settled>) {
    let (mut prepared, mut unsent) = (Vec::new(), Vec::new());
    for (claimed, address) in &batch.messages {
        let mut claimed = claimed.clone();
        let loaded = files::load(gateway, &batch.account, &mut claimed).await;
        let made = loaded.and_then(|files| {
            let message = dispatch::compose(gateway, lane, batch, &claimed, address.clone(), files);
            dispatch::prepare(&batch.account, &message).map(|first| (message, first))
        });
        match made {
            Ok((message, first)) => prepared.push((claimed, message, first)),
            Err(failure) => {
                let exchanges = dispatch::unsent(&failure);
                let verdict = dispatch::judge(gateway, &claimed, failure, batch.factor);
                let (account, from) = (&batch.account, &batch.from.address);
                let settled = dispatch::settled(gateway, account, from, &claimed, verdict, address);
                unsent.push(Settled { exchanges, ..settled });
            }
        }
    }
    (prepared, unsent)
}

/// Writes down what became of messages, however long that takes: what the provider has taken must not be forgotten.
async fn conclude(
    gateway: &Gateway,
    lane: Lane,
    claim: ClaimId,
    settled: Vec<Settled>,
    held_back: bool,
) {
    if settled.is_empty() {
        return;
    }
    for count in 0_usize.. {
        match write(gateway, lane, claim, &settled).await {
            Ok(()) => break,
            Err(error) => {
                tracing::warn!(%error, messages = settled.len(), "what became of messages is not yet written");
                let pause = WRITE_AGAIN[count.min(WRITE_AGAIN.len() - 1)];
                tokio::time::sleep(pause).await;
            }
        }
    }
    for one in &settled {
        metrics::attempt(one.provider, one.outcome.word());
    }
    gateway.wake_readers();
    if held_back && let Err(error) = step_up(gateway, lane, &settled).await {
        // They step up by themselves, a little later.
        tracing::debug!(%error, "messages that waited for earlier ones go on later");
    }
}

/// Gives back what was claimed and never left because the database went away: nobody else may take it while this process
/// lives.
async fn let_go(
    gateway: &Gateway,
    lane: Lane,
    claim: ClaimId,
    stopping: &(dyn Fn() -> bool + Send + Sync),
) {
    for count in 0_usize.. {
        let given_back = async {
            let mut session = gateway.store.write(lane.organization_id).await?;
            claim::let_go(&mut session, lane, claim, gateway.clock.now()).await?;
            session.commit().await
        };
        match given_back.await {
            Ok(()) => break,
            // Others take it over once this process has ended.
            Err(_) if stopping() => break,
            Err(error) => {
                tracing::debug!(%error, "claimed messages are not yet given back");
                tokio::time::sleep(WRITE_AGAIN[count.min(WRITE_AGAIN.len() - 1)]).await;
            }
        }
    }
}

/// Lets those go on that waited for what is settled now.
async fn step_up(gateway: &Gateway, lane: Lane, settled: &[Settled]) -> Result<(), StoreError> {
    let mut people: Vec<IdentityId> = settled.iter().map(|settled| settled.identity).collect();
    people.sort_unstable();
    people.dedup();
    let now = gateway.clock.now();
    let mut session = gateway.store.write(lane.organization_id).await?;
    claim::step_up(&mut session, lane, &people, now, now + take::STEP_BACK).await?;
    lanes::wake(&mut session, lane, now).await?;
    session.commit().await
}

async fn write(
    gateway: &Gateway,
    lane: Lane,
    claim: ClaimId,
    settled: &[Settled],
) -> Result<(), StoreError> {
    let now = gateway.clock.now();
    let session = gateway.store.write(lane.organization_id).await?;
    settle::settle(&gateway.store, session, &gateway.ids, lane, claim, settled, now).await
}
