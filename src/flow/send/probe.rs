//! Trying an account whose trouble was told by statuses: being taken proves nothing then. One message is sent, and nothing else
//! until it is known what became of it.

use chrono::TimeDelta;
use providers::DeliveryStatus;

use crate::clock::Timestamp;
use crate::gateway::Gateway;
use crate::model::verdict::UNWELL;
use crate::model::{Lane, MessageId, QueueState};
use crate::store::events::Outbox;
use crate::store::sending::{effects, journal, lanes, outbound};
use crate::store::{StoreError, messages};

/// How often it is looked for news of the message.
const LOOK: TimeDelta = TimeDelta::seconds(2);

/// How long a message must have been on the network without a failure to prove that the account works, where nobody tells that it
/// arrived.
const SETTLED: TimeDelta = TimeDelta::seconds(30);

/// Looks what became of the message that tries the account: the lane goes on at full pace if it got through, with another try
/// if it did not and nobody told. Returns when to look again.
pub(super) async fn look(gateway: &Gateway, lane: Lane) -> Result<Option<Timestamp>, StoreError> {
    let (organization, now) = (lane.organization_id, gateway.clock.now());
    let mut session = gateway.store.write(organization).await?;
    let mut outbox = Outbox::lock(&mut session, [organization]).await?;
    let Some(mut row) = lanes::lock(&mut session, lane).await? else { return Ok(None) };
    let (true, Some(probe)) = (row.unwell, row.probe_id) else { return Ok(Some(now)) };
    let probed_for = now - row.probed_at.unwrap_or(now);
    let status = messages::status(&mut session, organization, MessageId(probe)).await?;
    let queued = outbound::get(&mut session, organization, MessageId(probe)).await?;
    let is_out = queued.is_some_and(|queued| {
        matches!(queued.state, QueueState::Sent | QueueState::Claimed | QueueState::Unknown)
    });
    let arrived = status.is_some_and(|status| status.rank() >= DeliveryStatus::Delivered.rank());
    let passed = status == Some(DeliveryStatus::Sent) && is_out && probed_for >= SETTLED;
    if arrived || passed {
        let attempt = journal::last(&mut session, organization, probe).await?;
        effects::well(&mut row, now);
        if let Some(attempt) = attempt {
            outbox.push(organization, "account.well", attempt.account_id.0, None);
        }
    } else if !is_out || probed_for >= UNWELL {
        // It failed, or nobody tells: another one tries.
        row.probe_id = None;
        row.probed_at = None;
        row.tokens = row.tokens.max(1.0);
        row.paused_until = row.paused_until.filter(|until| *until > now);
    } else {
        row.paused_until = Some(now + LOOK);
        row.pause_reason = Some("the account is tried again with one message".to_owned());
    }
    let next = row.paused_until.unwrap_or(now);
    lanes::put(&mut session, lane, &row).await?;
    outbox.flush(&mut session, now).await?;
    session.commit().await?;
    gateway.wake_readers();
    Ok(Some(next))
}
