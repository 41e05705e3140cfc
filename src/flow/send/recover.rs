//! What dead processes left behind, and messages of which nobody knows whether they were sent.

use chrono::TimeDelta;
use providers::{OutboundMessage, Sender, Sent, Told};

use crate::clock::Timestamp;
use crate::gateway::{DirectoryAccount, Gateway};
use crate::model::verdict::Effect;
use crate::model::{ClaimId, Lane, MessageId, OrganizationId, Outcome, QueueState, Settled};
use crate::store::events::Outbox;
use crate::store::sending::outbound::{self, Change};
use crate::store::sending::recovery::{self, Orphan};
use crate::store::sending::{journal, lanes, settle};
use crate::store::{StoreError, contacts, messages};
use crate::transport::Lost;

/// When a provider is asked for a message of which it is not known whether it was sent: so long after the request left.
const ASK_AFTER: [TimeDelta; 5] = [
    TimeDelta::seconds(10),
    TimeDelta::seconds(150),
    TimeDelta::minutes(10),
    TimeDelta::hours(1),
    TimeDelta::hours(12),
];

/// How long a provider may take to know a message: before that, its not knowing one proves nothing.
const SURE_AFTER: TimeDelta = TimeDelta::minutes(1);

/// Shows that this process is alive, and takes over what dead ones had claimed. Returns how many messages that were.
pub async fn take_over(gateway: &Gateway) -> Result<usize, StoreError> {
    let now = gateway.clock.now();
    let timeout = i64::try_from(gateway.config.sending.worker_timeout_ms).unwrap_or(i64::MAX);
    let dead_before = now - TimeDelta::milliseconds(timeout);
    let mut session = gateway.store.write_all().await?;
    recovery::seen(&mut session, gateway.worker, now).await?;
    session.commit().await?;
    let mut session = gateway.store.read_all().await?;
    let orphans = recovery::orphans(&mut session, dead_before).await?;
    drop(session);
    let mut adopted = 0;
    for orphan in orphans {
        adopted += usize::from(adopt(gateway, &orphan, dead_before, now).await?);
    }
    if adopted > 0 {
        tracing::warn!(messages = adopted, "messages of a dead process were taken over");
        gateway.due.notify_one();
        gateway.wake_readers();
    }
    Ok(adopted)
}

async fn adopt(
    gateway: &Gateway,
    orphan: &Orphan,
    dead_before: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let organization = orphan.lane.organization_id;
    let mut session = gateway.store.write(organization).await?;
    let mut outbox = Outbox::lock(&mut session, [organization]).await?;
    let adopted = recovery::adopt(&mut session, &mut outbox, orphan, dead_before, now).await?;
    outbox.flush(&mut session, now).await?;
    session.commit().await?;
    Ok(adopted)
}

/// Says that this process sends no more.
pub async fn leave(gateway: &Gateway) -> Result<(), StoreError> {
    let long_dead = gateway.clock.now() - TimeDelta::days(1);
    let mut session = gateway.store.write_all().await?;
    recovery::gone(&mut session, gateway.worker, long_dead).await?;
    session.commit().await
}

/// Wakes lanes that should be awake, whatever their rows say.
pub async fn mend(gateway: &Gateway) -> Result<(), StoreError> {
    let mut session = gateway.store.write_all().await?;
    let mended = recovery::mend_lanes(&mut session, gateway.clock.now()).await?;
    session.commit().await?;
    if mended > 0 {
        tracing::warn!(lanes = mended, "lanes were asleep although something was due");
        gateway.due.notify_one();
    }
    Ok(())
}

/// Asks providers for messages that became unknown `ASK_AFTER` ago, since the look that ended at `since`. Returns where
/// this look ended.
pub async fn ask(gateway: &Gateway, since: Timestamp) -> Result<Timestamp, StoreError> {
    let now = gateway.clock.now();
    for after in ASK_AFTER {
        let mut session = gateway.store.read_all().await?;
        let unknown = recovery::unknown(&mut session, since - after, now - after).await?;
        drop(session);
        for (lane, id) in unknown {
            if let Err(error) = ask_for(gateway, lane, id).await {
                tracing::warn!(%error, message = %id, "the provider could not be asked for a message");
            }
        }
    }
    Ok(now)
}

/// Asks the provider for one message, where it can be asked.
async fn ask_for(gateway: &Gateway, lane: Lane, id: MessageId) -> Result<(), StoreError> {
    let organization = lane.organization_id;
    let mut session = gateway.store.read(organization).await?;
    let queued = outbound::get(&mut session, organization, id).await?;
    let queued = queued.filter(|queued| queued.state == QueueState::Unknown);
    let attempt = journal::last(&mut session, organization, id.0).await?;
    let (Some(queued), Some(attempt)) = (queued, attempt) else { return Ok(()) };
    let address = contacts::address_of(&mut session, organization, queued.identity).await?;
    drop(session);
    let snapshot = gateway.directory.snapshot();
    let Some(account) = snapshot.account(attempt.account_id) else { return Ok(()) };
    let (Some(tracking), Some(to)) = (account.account.tracking(), address) else { return Ok(()) };
    let from = Sender { address: attempt.our_address.clone(), handle: None };
    let message = OutboundMessage::new(id.to_string(), lane.channel, from, to, queued.content);
    let message = OutboundMessage { group: queued.group, ..message };
    let request = tracking.ask(&message, attempt.started_at);
    let timeout = std::time::Duration::from_millis(gateway.config.sending.request_timeout_ms);
    let told =
        match gateway.transport.exchange(&request, account.behalf(), &gateway.clock, timeout).await
        {
            Ok(answer) => tracking.told(&message, attempt.started_at, &answer),
            Err(Lost::Refused(_) | Lost::NeverLeft(_) | Lost::Unanswered(_)) => return Ok(()),
        };
    let now = gateway.clock.now();
    match told {
        // Two messages may say the same: the other one's id proves nothing about this one.
        Ok(Told::Sent(sent)) if is_another(gateway, organization, account, id, &sent).await? => {}
        Ok(Told::Sent(sent)) => {
            let settled = Settled {
                id,
                identity: queued.identity,
                attempt: Some(attempt.attempt),
                account_id: account.id,
                provider: account.provider.name,
                our_address: attempt.our_address,
                outcome: Outcome::Sent(sent),
                effect: Effect::default(),
                to: Some(message.to),
                template: None,
                template_hold: None,
                probing: false,
                exchanges: attempt
                    .exchanges
                    .map_or(serde_json::Value::Null, |exchanges| exchanges.0),
                at: now,
            };
            let claim = ClaimId { worker: gateway.worker, claim: gateway.ids.next() };
            let session = gateway.store.write(organization).await?;
            settle::settle(&gateway.store, session, &gateway.ids, lane, claim, &[settled], now)
                .await?;
            gateway.wake_readers();
        }
        Ok(Told::NeverArrived) if now - attempt.started_at >= SURE_AFTER => {
            send_again(gateway, lane, id).await?;
        }
        Ok(Told::NeverArrived | Told::Unclear) | Err(_) => {}
    }
    Ok(())
}

/// Whether what the provider found is known as another message of ours.
async fn is_another(
    gateway: &Gateway,
    organization: OrganizationId,
    account: &DirectoryAccount,
    id: MessageId,
    sent: &Sent,
) -> Result<bool, StoreError> {
    let mut session = gateway.store.read(organization).await?;
    for reference in &sent.references {
        let reference = messages::provider_ref(account.provider.name, &reference.0);
        let known = messages::named(&mut session, organization, reference).await?;
        if known.is_some_and(|known| known != id) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The provider never got it: it is due again.
async fn send_again(gateway: &Gateway, lane: Lane, id: MessageId) -> Result<(), StoreError> {
    let organization = lane.organization_id;
    let now = gateway.clock.now();
    let mut session = gateway.store.write(organization).await?;
    let mut outbox = Outbox::lock(&mut session, [organization]).await?;
    let queued = outbound::get(&mut session, organization, id).await?;
    let Some(queued) = queued.filter(|queued| queued.state == QueueState::Unknown) else {
        return Ok(());
    };
    let change = Change {
        state: QueueState::Due,
        due_at: now,
        expires_at: queued.expires_at,
        content: &queued.content,
        status: providers::DeliveryStatus::Queued,
    };
    outbound::change(&mut session, &mut outbox, organization, id, &change, now).await?;
    outbox.flush(&mut session, now).await?;
    lanes::wake(&mut session, lane, now).await?;
    session.commit().await?;
    gateway.due.notify_one();
    Ok(())
}
