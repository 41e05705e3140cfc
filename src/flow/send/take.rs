//! Taking messages of a lane to send them now: as many as its pace allows, none that must wait.

use std::sync::Arc;

use chrono::TimeDelta;
use providers::{Address, HumanPace, Pace, Sender};

use super::sort::Sorting;
use super::way;
use crate::clock::Timestamp;
use crate::gateway::{DirectoryAccount, Gateway};
use crate::model::{ClaimId, Claimed, Lane, Settled};
use crate::store::StoreError;
use crate::store::sending::claim::{self, Claim};
use crate::store::sending::lanes::{self, LaneRow, seconds, span};

/// How long a lane without a route, or whose account cannot send, rests before it is looked at again. A change of either
/// wakes it.
const NO_WAY: TimeDelta = TimeDelta::seconds(30);

/// How long a slowed lane must go without a complaint to get a quarter faster.
const RECOVERY: f64 = 10.0;

/// How long those step back that must wait for an earlier message of their conversation.
pub(super) const STEP_BACK: TimeDelta = TimeDelta::milliseconds(500);

/// What was taken.
pub(super) enum Taken {
    /// Messages to send, and some that must not be sent any more.
    Batch(Batch),
    /// Nothing now; something may be due then.
    Nothing(Option<Timestamp>),
    /// Nothing before it is known what became of the message that tries an unwell account.
    Trying,
}

/// Messages that are ours to send.
pub(super) struct Batch {
    /// Which line sends them.
    pub(super) from: Sender,
    /// Through which account.
    pub(super) account: Arc<DirectoryAccount>,
    /// The messages with their addresses.
    pub(super) messages: Vec<(Claimed, Address)>,
    /// What is not sent, and why.
    pub(super) settled: Vec<Settled>,
    /// The share of its pace that the lane uses.
    pub(super) factor: f64,
    /// Whether the account is being tried again after it refused everything.
    pub(super) probing: bool,
    /// Whether messages wait for an earlier one of their conversation.
    pub(super) held_back: bool,
}

/// Who takes, and how many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taker {
    pub(super) lane: Lane,
    pub(super) claim: ClaimId,
    pub(super) most: usize,
}

/// Takes messages that are due.
pub(super) async fn take(gateway: &Gateway, taker: Taker) -> Result<Taken, StoreError> {
    let lane = taker.lane;
    let now = gateway.clock.now();
    let mut session = gateway.store.write(lane.organization_id).await?;
    let Some(mut row) = lanes::lock(&mut session, lane).await? else {
        return Ok(Taken::Nothing(None));
    };
    if let Some(until) = row.paused_until.filter(|until| *until > now) {
        return Ok(Taken::Nothing(Some(until)));
    }
    if row.unwell && row.probe_id.is_some() {
        return Ok(Taken::Trying);
    }
    let way = way::find(gateway, &mut session, lane).await?;
    let able =
        way.open().and_then(|(from, account)| Some((from, account, account.account.messages()?)));
    let Some((from, account, messages)) = able else {
        row.paused_until = Some(now + NO_WAY);
        row.pause_reason = Some(way.obstacle().to_owned());
        lanes::put(&mut session, lane, &row).await?;
        session.commit().await?;
        return Ok(Taken::Nothing(row.paused_until));
    };
    let pace = messages.pace(lane.channel);
    let window = messages.window_hours(lane.channel);
    let probing = row.unwell;
    refill(&mut row, &pace, now);
    let allowed = if row.tokens >= 1.0 { row.tokens } else { 0.0 };
    // People write one message at a time: the pause comes after each. An account that refused everything is tried by one.
    let singly = pace.human.is_some() || probing;
    let most = whole(allowed).min(taker.most).min(if singly { 1 } else { usize::MAX });
    let claim = Claim {
        id: taker.claim,
        now,
        limit: i64::try_from(most).unwrap_or(i64::MAX),
        held_back_since: now - conversation_wait(gateway),
        step_back_to: now + STEP_BACK,
    };
    let (claimed, held_back) = match most {
        0 => (Vec::new(), false),
        _ => claim::claim(&mut session, lane, &claim).await?,
    };
    let sorting = Sorting { taker, account, from, window, pace, now, ages: gateway.time.ages() };
    let (messages, settled) = sorting.sort(&mut session, &mut row, claimed).await?;
    row.tokens -= f64::from(u32::try_from(messages.len()).unwrap_or(u32::MAX));
    rest(&mut row, pace.human.filter(|_| !messages.is_empty()), gateway, now);
    if probing
        && row.told_later
        && let Some((message, _)) = messages.first()
    {
        row.probe_id = Some(message.id.0);
        row.probed_at = Some(now);
    }
    row.due_at = claim::next_due(&mut session, lane).await?;
    if row.tokens < 1.0 {
        let next = now + span((1.0 - row.tokens) / (pace.per_second * row.factor).max(0.001));
        row.due_at = row.due_at.map(|due| due.max(next));
    }
    // Who takes comes again until there is nothing; whoever finds nothing leaves the lane asleep, under the lock under
    // which the next message becomes due.
    row.awake_at = (!messages.is_empty() || !settled.is_empty()).then_some(now);
    lanes::put(&mut session, lane, &row).await?;
    session.commit().await?;
    if messages.is_empty() && settled.is_empty() {
        let until = row.due_at.map(|due| row.paused_until.map_or(due, |paused| due.max(paused)));
        return Ok(Taken::Nothing(until));
    }
    let (from, account, factor) = (from.clone(), Arc::clone(account), row.factor);
    Ok(Taken::Batch(Batch { from, account, messages, settled, factor, probing, held_back }))
}

fn conversation_wait(gateway: &Gateway) -> TimeDelta {
    let wait = i64::try_from(gateway.config.sending.conversation_wait_ms);
    TimeDelta::milliseconds(wait.unwrap_or(i64::MAX))
}

fn whole(tokens: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is bounded")]
    let whole = tokens.clamp(0.0, 10_000.0) as usize;
    whole
}

/// The share of its pace that a lane may use now: a quarter faster for every while without a complaint.
pub(super) fn pace_share(row: &LaneRow, now: Timestamp) -> f64 {
    let quarters = (seconds(now - row.slowed_at) / RECOVERY).floor();
    (row.factor * 1.25_f64.powf(quarters.min(64.0))).min(1.0)
}

/// Fills the lane's bucket for the time that has passed, and makes a slowed lane faster if nobody complained meanwhile.
fn refill(row: &mut LaneRow, pace: &Pace, now: Timestamp) {
    let share = pace_share(row, now);
    if share > row.factor {
        row.factor = share;
        row.slowed_at = now;
    }
    let gained = seconds(now - row.refilled_at) * pace.per_second * row.factor;
    row.tokens = (row.tokens + gained).min((pace.burst * row.factor).max(1.0));
    // A lane that rests is not taken from before its rest is over, so a time ahead of now means that the clock was set back.
    row.refilled_at = now;
}

/// People pause before they write again.
fn rest(row: &mut LaneRow, human: Option<HumanPace>, gateway: &Gateway, now: Timestamp) {
    row.paused_until = None;
    row.pause_reason = None;
    if let Some(human) = human {
        let spread = human.most.saturating_sub(human.least);
        let pause = human.least + spread.mul_f64(gateway.chance());
        row.paused_until = Some(now + TimeDelta::from_std(pause).unwrap_or_default());
    }
}
