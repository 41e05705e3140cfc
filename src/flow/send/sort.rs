//! Sorting claimed messages: into those that are sent now, those that wait, and those that are not sent any more.

use std::collections::{HashMap, HashSet};

use chrono::TimeDelta;
use providers::{Address, Cause, Failure, FailureClass, OutboundContent, Pace, Reach, Sender};

use super::marketing::is_marketing;
use super::take::Taker;
use crate::clock::Timestamp;
use crate::gateway::{Age, Ages, DirectoryAccount};
use crate::model::verdict::{self, Effect, Tried};
use crate::model::{Claimed, IdentityId, MessageId, Outcome, Settled, SuppressionScope, hold_key};
use crate::store::sending::claim::{self, GivenBack};
use crate::store::sending::holds::{self, HoldState};
use crate::store::sending::lanes::{self, LaneRow};
use crate::store::sending::recipients;
use crate::store::sending::suppressions::Suppression;
use crate::store::{Session, StoreError};

/// After how long a message is looked at again that is too old by a clock that is not believed.
const UNTIL_BELIEVED: TimeDelta = TimeDelta::minutes(1);

/// Templates that are held, by their keys.
type Holds = HashMap<String, HoldState>;

/// Who may be written to freely, because they wrote lately: people who wrote to us alone, and groups.
struct Open {
    people: HashSet<IdentityId>,
    groups: HashSet<String>,
}

impl Open {
    fn to(&self, message: &Claimed) -> bool {
        match &message.group {
            Some(group) => self.groups.contains(group),
            None => self.people.contains(&message.identity),
        }
    }
}

/// What sorts claimed messages: into those that are sent now, those that wait, and those that are not sent any more.
pub(super) struct Sorting<'a> {
    pub(super) taker: Taker,
    pub(super) account: &'a DirectoryAccount,
    pub(super) from: &'a Sender,
    pub(super) window: Option<u32>,
    pub(super) pace: Pace,
    pub(super) now: Timestamp,
    pub(super) ages: Ages,
}

impl Sorting<'_> {
    /// Sorts them. Returns those to send with their addresses, and what is not sent.
    pub(super) async fn sort(
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
        let open = self.open_windows(session, &claimed).await?;
        let holds = self.holds(session, &claimed).await?;
        let (mut ready, mut settled, mut later) = (Vec::new(), Vec::new(), Vec::new());
        for message in claimed {
            if let Some(held) = self.waits(&message, &holds) {
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
        claimed: &[Claimed],
    ) -> Result<Option<Open>, StoreError> {
        let Some(hours) = self.window else { return Ok(None) };
        let since = self.ages.likely() - TimeDelta::hours(i64::from(hours));
        let (lane, ours) = (self.taker.lane, &self.from.address);
        let alone = claimed.iter().filter(|message| message.group.is_none());
        let identities: Vec<IdentityId> = alone.map(|message| message.identity).collect();
        let groups = claimed.iter().filter_map(|message| message.group.as_deref());
        Ok(Some(Open {
            people: recipients::who_wrote(session, lane, ours, &identities, since).await?,
            groups: recipients::who_wrote_in_groups(session, lane, ours, groups, since).await?,
        }))
    }

    /// Why a message is not sent any more.
    fn refusal(
        &self,
        message: &Claimed,
        suppressed: &HashMap<MessageId, SuppressionScope>,
        open: Option<&Open>,
        holds: &Holds,
    ) -> Option<Outcome> {
        let permanent = |cause, code, detail: &str| {
            Failure::new(FailureClass::Permanent(cause), detail).with_code(code)
        };
        if self.ages.of(message.expires_at) == Age::Old {
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
        let closed = open.is_some_and(|open| !open.to(message));
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
        let key = hold_key(self.account.id, &template.name, template.language.as_deref());
        holds.get(&key).map(|state| (key.clone(), *state))
    }

    /// What uses a paused template waits for it, as long as it has time.
    fn held(&self, message: &Claimed, holds: &Holds) -> Option<GivenBack> {
        let (key, _) = self
            .template_of(message, holds)
            .filter(|(_, state)| *state == HoldState::Paused)
            .filter(|_| self.ages.of(message.expires_at) != Age::Old)?;
        let due_at = match message.expires_at > self.now {
            true => message.expires_at,
            false => self.now + UNTIL_BELIEVED,
        };
        Some(GivenBack { id: message.id, due_at, template_hold: Some(key) })
    }

    /// Whether a message waits, and for how long.
    fn waits(&self, message: &Claimed, holds: &Holds) -> Option<GivenBack> {
        self.held(message, holds).or_else(|| self.perhaps_old(message))
    }

    /// What is too old by a clock that is not believed is neither sent nor given up.
    fn perhaps_old(&self, message: &Claimed) -> Option<GivenBack> {
        (self.ages.of(message.expires_at) == Age::Doubtful).then(|| GivenBack {
            id: message.id,
            due_at: self.now + UNTIL_BELIEVED,
            template_hold: None,
        })
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
