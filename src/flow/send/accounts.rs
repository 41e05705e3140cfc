//! What the fate of single messages says about their whole lane: that it is too fast, that its account refuses everything,
//! that it works again; and about recipients: that they cannot be reached.

use serde_json::json;

use super::dispatch::Shipped;
use super::retry::LaneEffect;
use crate::clock::Timestamp;
use crate::gateway::Gateway;
use crate::model::{Lane, Outcome};
use crate::store::events::Outbox;
use crate::store::sending::lanes::{self, LaneRow};
use crate::store::sending::suppressions::{self, Cause};
use crate::store::{Session, StoreError};

/// The slowest a lane becomes: a sixty-fourth of its pace.
const SLOWEST: f64 = 1.0 / 64.0;

/// Draws the conclusions.
pub(super) async fn affect(
    gateway: &Gateway,
    lane: Lane,
    shipped: &[Shipped],
    now: Timestamp,
) -> Result<(), StoreError> {
    let sent = |shipped: &Shipped| matches!(shipped.settled.outcome, Outcome::Sent(_));
    let tells = |shipped: &&Shipped| {
        shipped.lane != LaneEffect::None
            || shipped.suppress.is_some()
            || (shipped.probing && sent(shipped))
    };
    let telling: Vec<&Shipped> = shipped.iter().filter(tells).collect();
    if telling.is_empty() {
        return Ok(());
    }
    let organization = lane.organization_id;
    let mut session = gateway.store.write(organization).await?;
    let mut outbox = Outbox::lock(&mut session, [organization]).await?;
    let Some(mut row) = lanes::lock(&mut session, lane).await? else { return Ok(()) };
    for one in telling {
        match one.lane {
            LaneEffect::None => {}
            LaneEffect::Slower(until) => slow_down(&mut row, until, now),
            LaneEffect::Unwell(until) => unwell(&mut row, &mut outbox, lane, one, until, now),
        }
        if one.probing && sent(one) && row.unwell {
            well(&mut row, now);
            outbox.push(organization, "account.well", one.settled.account_id.0, None);
        }
        suppress(&mut session, lane, one, now).await?;
    }
    lanes::put(&mut session, lane, &row).await?;
    outbox.flush(&mut session, now).await?;
    session.commit().await
}

/// Half the pace, and a rest. Complaints about messages that were on their way together count once.
fn slow_down(row: &mut LaneRow, until: Timestamp, now: Timestamp) {
    if row.paused_until.is_none_or(|paused| paused <= now) || row.factor >= 1.0 {
        row.factor = (row.factor / 2.0).max(SLOWEST);
    }
    row.slowed_at = until;
    row.tokens = row.tokens.min(0.0);
    row.refilled_at = until;
    pause(row, until, "the provider asks for a slower pace");
}

fn unwell(
    row: &mut LaneRow,
    outbox: &mut Outbox,
    lane: Lane,
    shipped: &Shipped,
    until: Timestamp,
    now: Timestamp,
) {
    let failure = shipped.settled.outcome.failure();
    let detail = failure.map_or("the provider refuses everything", |failure| &failure.detail);
    if !row.unwell {
        let account = shipped.settled.account_id;
        let code = failure.and_then(|failure| failure.code.as_deref());
        tracing::error!(organization = %lane.organization_id, channel = lane.channel.word(), %account, code,
            detail, "the account cannot send; its messages wait");
        let data = json!({ "channel": lane.channel.word(), "code": code, "detail": detail });
        outbox.push(lane.organization_id, "account.unwell", account.0, Some(data));
    }
    row.unwell = true;
    // One message tries the account again.
    row.factor = SLOWEST;
    row.slowed_at = now;
    row.tokens = 1.0;
    row.refilled_at = until;
    pause(row, until, &format!("the account cannot send: {detail}"));
}

fn well(row: &mut LaneRow, now: Timestamp) {
    row.unwell = false;
    row.factor = 1.0;
    row.slowed_at = now;
    row.refilled_at = now;
    row.paused_until = None;
    row.pause_reason = None;
}

fn pause(row: &mut LaneRow, until: Timestamp, reason: &str) {
    row.paused_until = Some(row.paused_until.map_or(until, |paused| paused.max(until)));
    row.pause_reason = Some(crate::store::cleaned(reason));
}

async fn suppress(
    session: &mut Session,
    lane: Lane,
    shipped: &Shipped,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some((address, suppress)) = &shipped.suppress else { return Ok(()) };
    let detail = shipped.settled.outcome.failure().map(|f| crate::store::cleaned(&f.detail));
    let cause = Cause {
        reason: suppress.reason,
        scope: suppress.scope,
        detail: detail.as_deref(),
        until: suppress.lasts.map(|lasts| now + lasts),
        since: shipped.settled.at,
    };
    suppressions::put(session, lane.organization_id, lane.channel, address, &cause, now).await
}
