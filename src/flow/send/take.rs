//! Taking messages of a lane to send them now: as many as its pace allows, none that must wait.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::TimeDelta;
use providers::{
    Address, Cause, Failure, FailureClass, HumanPace, OutboundContent, Pace, Reach, Sender,
};

use super::marketing::is_marketing;
use super::way;
use crate::clock::Timestamp;
use crate::gateway::{DirectoryAccount, Gateway};
use crate::model::verdict::{self, Effect, Tried};
use crate::model::{
    ClaimId, Claimed, IdentityId, Lane, MessageId, Outcome, Settled, SuppressionScope, hold_key,
};
use crate::store::sending::claim::{self, Claim, GivenBack};
use crate::store::sending::holds::{self, HoldState};
use crate::store::sending::lanes::{self, LaneRow, seconds, span};
use crate::store::sending::recipients;
use crate::store::sending::suppressions::Suppression;
use crate::store::{Session, StoreError};

/// How long a lane without a route, or whose account cannot send, rests before it is looked at again. A change of either
/// wakes it.
const NO_WAY: TimeDelta = TimeDelta::seconds(30);

/// How long a slowed lane must go without a complaint to get a quarter faster.
const RECOVERY: f64 = 10.0;

/// How long those step back that must wait for an earlier message of their conversation.
pub(super) const STEP_BACK: TimeDelta = TimeDelta::milliseconds(500);

/// Templates that are held, by their keys.
type Holds = HashMap<String, HoldState>;

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
    let sorting = Sorting { taker, account, from, window, pace, now };
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

/// What sorts claimed messages: into those that are sent now, those that wait, and those that are not sent any more.
struct Sorting<'a> {
    taker: Taker,
    account: &'a DirectoryAccount,
    from: &'a Sender,
    window: Option<u32>,
    pace: Pace,
    now: Timestamp,
}

impl Sorting<'_> {
    async fn sort(
        &self,
        session: &mut Session,
        row: &mut LaneRow,
        claimed: Vec<Claimed>,
    ) -> Result<(Vec<(Claimed, Address)>, Vec<Settled>), StoreError> {
        if claimed.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let lane = self.taker.lane;
        let identities: Vec<IdentityId> = claimed.iter().map(|message| message.identity).collect();
        let suppressed = self.suppressed(session, &claimed, &identities).await?;
        let open = self.open_windows(session, &identities).await?;
        let holds = self.holds(session, &claimed).await?;
        let (mut ready, mut settled, mut later) = (Vec::new(), Vec::new(), Vec::new());
        for message in claimed {
            if let Some(held) = self.held(&message, &holds) {
                later.push(held);
                continue;
            }
            match self.refusal(&message, &suppressed, open.as_ref(), &holds) {
                Some(outcome) => settled.push(self.settled(&message, outcome)),
                None => match Address::from_parts(&message.address.0, &message.address.1) {
                    Some(address) => ready.push((message, address)),
                    None => settled.push(self.settled(&message, Outcome::Dead(unreadable()))),
                },
            }
        }
        self.hold_strangers(session, row, &mut ready, &mut later).await?;
        self.hold_pairs(session, &mut ready, &mut later).await?;
        claim::give_back(session, lane, self.taker.claim, &later).await?;
        Ok((ready, settled))
    }

    /// The messages that must not go to their recipients, and what is kept from those.
    async fn suppressed(
        &self,
        session: &mut Session,
        claimed: &[Claimed],
        identities: &[IdentityId],
    ) -> Result<HashMap<MessageId, SuppressionScope>, StoreError> {
        let lane = self.taker.lane;
        let people = recipients::who_is_suppressed(session, lane, identities, self.now).await?;
        let mut suppressed = HashMap::new();
        if people.is_empty() {
            return Ok(suppressed);
        }
        for message in claimed {
            let Some(suppressions) = people.get(&message.identity) else { continue };
            let of = |scope: SuppressionScope| {
                move |suppression: &Suppression| suppression.scope == scope.word()
            };
            if suppressions.iter().any(of(SuppressionScope::All)) {
                suppressed.insert(message.id, SuppressionScope::All);
            } else if suppressions.iter().any(of(SuppressionScope::Marketing)) {
                let (purpose, content) = (message.purpose, &message.content);
                let (organization, account) = (lane.organization_id, self.account.id);
                if is_marketing(session, organization, account, purpose, content).await? {
                    suppressed.insert(message.id, SuppressionScope::Marketing);
                }
            }
        }
        Ok(suppressed)
    }

    /// Who may be written to freely; `None` where everybody may.
    async fn open_windows(
        &self,
        session: &mut Session,
        identities: &[IdentityId],
    ) -> Result<Option<HashSet<IdentityId>>, StoreError> {
        let Some(hours) = self.window else { return Ok(None) };
        let since = self.now - TimeDelta::hours(i64::from(hours));
        let lane = self.taker.lane;
        recipients::who_wrote(session, lane, &self.from.address, identities, since).await.map(Some)
    }

    /// Why a message is not sent any more.
    fn refusal(
        &self,
        message: &Claimed,
        suppressed: &HashMap<MessageId, SuppressionScope>,
        open: Option<&HashSet<IdentityId>>,
        holds: &Holds,
    ) -> Option<Outcome> {
        let permanent = |cause, code, detail: &str| {
            Failure::new(FailureClass::Permanent(cause), detail).with_code(code)
        };
        if message.expires_at <= self.now {
            let detail = "it could not be sent before its time was over";
            return Some(Outcome::Dead(permanent(Cause::Message, "expired", detail)));
        }
        if let Some(scope) = suppressed.get(&message.id) {
            let detail = match scope {
                SuppressionScope::All => "the recipient is not to be written to on this channel",
                SuppressionScope::Marketing => "the recipient gets no marketing on this channel",
            };
            return Some(Outcome::Dead(permanent(
                Cause::Recipient(Reach::NotThisTime),
                "suppressed",
                detail,
            )));
        }
        let closed = open.is_some_and(|open| !open.contains(&message.identity));
        if closed && !message.content.opens_window() {
            let detail = "the customer-service window is closed; only a template gets through";
            let failure = permanent(Cause::Window, "window_closed", detail);
            return Some(verdict::window_closed(&Tried::of(message, 1.0), failure, self.now));
        }
        if self.template_of(message, holds).is_some() {
            let detail = "the provider has ended the template that it uses";
            return Some(Outcome::Dead(permanent(Cause::Message, "template_ended", detail)));
        }
        None
    }

    /// The templates of the account that are paused or ended, if any of these messages uses one.
    async fn holds(&self, session: &mut Session, claimed: &[Claimed]) -> Result<Holds, StoreError> {
        let uses = |message: &Claimed| matches!(message.content, OutboundContent::Template(_));
        if !claimed.iter().any(uses) {
            return Ok(Holds::new());
        }
        let organization = self.taker.lane.organization_id;
        let holds = holds::of_account(session, organization, self.account.id).await?;
        Ok(holds.into_iter().map(|hold| (hold.key(), hold.state)).collect())
    }

    /// The held template that a message uses, and how that stands.
    fn template_of(&self, message: &Claimed, holds: &Holds) -> Option<(String, HoldState)> {
        let OutboundContent::Template(template) = &message.content else { return None };
        let key = hold_key(self.account.id, template);
        holds.get(&key).map(|state| (key.clone(), *state))
    }

    /// What uses a paused template waits for it, as long as it has time.
    fn held(&self, message: &Claimed, holds: &Holds) -> Option<GivenBack> {
        let (key, _) = self
            .template_of(message, holds)
            .filter(|(_, state)| *state == HoldState::Paused && message.expires_at > self.now)?;
        Some(GivenBack { id: message.id, due_at: message.expires_at, template_hold: Some(key) })
    }

    fn settled(&self, message: &Claimed, outcome: Outcome) -> Settled {
        Settled {
            id: message.id,
            identity: message.identity,
            attempt: None,
            account_id: self.account.id,
            provider: self.account.provider.name,
            our_address: self.from.address.clone(),
            outcome,
            effect: Effect::default(),
            to: None,
            template: None,
            template_hold: None,
            probing: false,
            exchanges: serde_json::Value::Null,
            at: self.now,
        }
    }

    /// A linked device that writes to many strangers in a day is banned: what goes beyond waits for the next day.
    async fn hold_strangers(
        &self,
        session: &mut Session,
        row: &mut LaneRow,
        ready: &mut Vec<(Claimed, Address)>,
        later: &mut Vec<GivenBack>,
    ) -> Result<(), StoreError> {
        let Some(human) = self.pace.human else { return Ok(()) };
        let identities: Vec<IdentityId> =
            ready.iter().map(|(message, _)| message.identity).collect();
        let known = recipients::who_is_known(session, self.taker.lane, &identities).await?;
        let today = self.now.format("%Y-%m-%d").to_string();
        if row.first_contacts_day.as_deref() != Some(today.as_str()) {
            row.first_contacts_day = Some(today);
            row.first_contacts = 0;
        }
        let tomorrow =
            (self.now + TimeDelta::days(1)).date_naive().and_time(chrono::NaiveTime::MIN);
        ready.retain(|(message, _)| {
            if known.contains(&message.identity) {
                return true;
            }
            if row.first_contacts >= i64::from(human.first_contacts_per_day) {
                later.push(wait(message.id, tomorrow.and_utc()));
                return false;
            }
            row.first_contacts += 1;
            true
        });
        Ok(())
    }

    /// Those whose recipient was written to too often lately wait their turn.
    async fn hold_pairs(
        &self,
        session: &mut Session,
        ready: &mut Vec<(Claimed, Address)>,
        later: &mut Vec<GivenBack>,
    ) -> Result<(), StoreError> {
        let Some(pace) = self.pace.pair else { return Ok(()) };
        let recipients: Vec<IdentityId> =
            ready.iter().map(|(message, _)| message.identity).collect();
        let free_at =
            lanes::take_pairs(session, self.taker.lane, pace, &recipients, self.now).await?;
        let mut free_at = free_at.into_iter();
        ready.retain(|(message, _)| match free_at.next() {
            Some(at) if at > self.now => {
                later.push(wait(message.id, at));
                false
            }
            _ => true,
        });
        Ok(())
    }
}

/// A message that waits for its turn.
fn wait(id: MessageId, due_at: Timestamp) -> GivenBack {
    GivenBack { id, due_at, template_hold: None }
}

fn unreadable() -> Failure {
    let class = FailureClass::Permanent(Cause::Recipient(Reach::NotThisTime));
    Failure::new(class, "the recipient's address cannot be read").with_code("address")
}
