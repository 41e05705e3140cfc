//! What follows from a failure: one decision, whichever door the failure came through.
//!
//! A provider tells of a failure in its answer to a request, or later by a status webhook. What an answer refused was never
//! taken, and is tried again until the message is too old. What was taken and then failed may have reached the provider's
//! network, costs money, and perhaps annoyed somebody: it is sent again a few times at most, after long pauses. Nothing else
//! differs: what the failure means for the lane, the template, the recipient and the window is the same.
//!
//! Everything here is pure, so that it can be tried with every failure there is.

use std::time::Duration;

use chrono::TimeDelta;
use providers::{Cause, Failure, FailureClass, LimitScope, OutboundContent, Template};

use super::{Claimed, Outcome, Suppress};
use crate::clock::Timestamp;

/// The first pause after something that passes, and the longest.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_hours(1);

/// How long an account that refuses everything is left alone before one message tries it again.
pub const UNWELL: TimeDelta = TimeDelta::minutes(5);

/// How long an account rests when it is asked to slow down and is not told for how long.
const REST: Duration = Duration::from_secs(2);

/// How long an account rests about which people complained, the first time. Each further time it is twice as long.
const REPUTATION_REST: TimeDelta = TimeDelta::hours(1);

/// The longest that it rests.
const LONGEST_REPUTATION_REST: TimeDelta = TimeDelta::days(1);

/// The least pauses before a message is sent again that the provider had taken: before the first further try, the second,
/// and each one after that.
const RESEND_PAUSES: [TimeDelta; 3] =
    [TimeDelta::minutes(1), TimeDelta::minutes(10), TimeDelta::minutes(60)];

/// The door a failure came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The provider answered the request with it: the message was not taken.
    Answer,
    /// A status told it of a message that had been taken.
    Status,
}

/// What is known of a message when a failure of it is judged.
#[derive(Debug, Clone)]
pub struct Tried {
    /// How often it was tried before this attempt.
    pub attempts: i64,
    /// How often in a row the recipient's own limit held it back.
    pub throttled: i64,
    /// How often it was sent again after it had been taken, and how often it may be.
    pub resends: i64,
    /// The most of them.
    pub most_resends: i64,
    /// What it says.
    pub content: OutboundContent,
    /// What is sent in its place once the customer-service window has closed.
    pub fallback: Option<Template>,
    /// When it is given up.
    pub expires_at: Timestamp,
    /// The share of its pace that its lane used.
    pub factor: f64,
}

/// What a failure means for the message and for everything that it touches.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// For the message.
    pub outcome: Outcome,
    /// For everything else.
    pub effect: Effect,
}

/// What a failure means for others than the message.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Effect {
    /// For everything that goes the same way.
    pub lane: LaneEffect,
    /// For the recipient.
    pub suppress: Option<Suppress>,
    /// Whether the message's template is paused: what uses it waits.
    pub holds_template: bool,
    /// Whether the account may not write to the recipient's country: somebody should know.
    pub closed_destination: bool,
}

impl Effect {
    /// Whether it must be known who the recipient is.
    pub fn concerns_recipient(&self) -> bool {
        self.suppress.is_some() || self.closed_destination
    }
}

/// What a failure means for a lane.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum LaneEffect {
    /// Nothing.
    #[default]
    None,
    /// It was too fast: it rests until then, and goes on at half its pace.
    Slower(Timestamp),
    /// Nothing gets through until somebody mends the account: it rests until then, and goes on with one message.
    Unwell(Timestamp),
    /// People complained: it rests for hours, each time longer, at least until then, and goes on with one message.
    Rests(Timestamp),
}

impl Tried {
    /// A message that is being sent, in a lane that used this share of its pace.
    pub fn of(claimed: &Claimed, factor: f64) -> Self {
        Self {
            attempts: claimed.attempts,
            throttled: claimed.throttled,
            resends: 0,
            most_resends: 0,
            content: claimed.content.clone(),
            fallback: claimed.fallback.clone(),
            expires_at: claimed.expires_at,
            factor,
        }
    }
}

impl Verdict {
    /// A verdict on the message alone.
    pub fn plain(outcome: Outcome) -> Self {
        Self { outcome, effect: Effect::default() }
    }
}

/// A failure of a message to a group: whom it answers there has nothing to do with it, and is not left alone for it.
pub fn in_a_group(failure: Failure) -> Failure {
    match failure.class {
        FailureClass::Permanent(Cause::Recipient(_)) => {
            Failure { class: FailureClass::Permanent(Cause::Message), ..failure }
        }
        _ => failure,
    }
}

/// Decides. `chance` is between 0 and 1 and spreads what fails together.
pub fn decide(
    door: Door,
    message: &Tried,
    failure: Failure,
    now: Timestamp,
    chance: f64,
) -> Verdict {
    let effect = effect(&failure, message.factor, now);
    let outcome = match failure.class {
        FailureClass::Indeterminate => Outcome::Unknown(failure),
        FailureClass::Permanent(Cause::Window) => window_closed(message, failure, now),
        FailureClass::NoFailure
        | FailureClass::Permanent(Cause::Message | Cause::Recipient(_) | Cause::Destination) => {
            Outcome::Dead(failure)
        }
        FailureClass::Transient
        | FailureClass::RateLimited(_)
        | FailureClass::Permanent(Cause::Account) => match door {
            Door::Answer => refused(message, failure, effect, now, chance),
            Door::Status => failed_later(message, failure, effect, now, chance),
        },
    };
    Verdict { outcome, effect }
}

/// What a failure means for others than the message. It depends on the failure alone, and on how fast the lane was.
fn effect(failure: &Failure, factor: f64, now: Timestamp) -> Effect {
    let none = Effect::default();
    match failure.class {
        FailureClass::RateLimited(LimitScope::Account) => {
            let rest = failure.retry_after.unwrap_or(REST.div_f64(factor.clamp(0.01, 1.0)));
            Effect { lane: LaneEffect::Slower(now + delta(rest.min(LONGEST))), ..none }
        }
        FailureClass::RateLimited(LimitScope::Reputation) => {
            let asked = failure.retry_after.map_or(REPUTATION_REST, delta);
            let least = asked.clamp(REPUTATION_REST, LONGEST_REPUTATION_REST);
            Effect { lane: LaneEffect::Rests(now + least), ..none }
        }
        FailureClass::RateLimited(LimitScope::Template) => Effect { holds_template: true, ..none },
        FailureClass::Permanent(Cause::Account) => {
            Effect { lane: LaneEffect::Unwell(now + UNWELL), ..none }
        }
        FailureClass::Permanent(Cause::Recipient(reach)) => {
            Effect { suppress: Suppress::of(reach), ..none }
        }
        FailureClass::Permanent(Cause::Destination) => Effect { closed_destination: true, ..none },
        FailureClass::Transient
        | FailureClass::RateLimited(LimitScope::Pair)
        | FailureClass::Indeterminate
        | FailureClass::Permanent(Cause::Message | Cause::Window)
        | FailureClass::NoFailure => none,
    }
}

/// When what holds back more than this message lets it go on, at the earliest.
fn after(effect: Effect, now: Timestamp) -> Timestamp {
    match effect.lane {
        LaneEffect::None => now,
        LaneEffect::Slower(until) | LaneEffect::Unwell(until) | LaneEffect::Rests(until) => until,
    }
}

/// The provider did not take it: it is tried again until it is too old.
fn refused(
    message: &Tried,
    failure: Failure,
    effect: Effect,
    now: Timestamp,
    chance: f64,
) -> Outcome {
    if effect.holds_template && uses_template(message) {
        return held(message, failure, false);
    }
    let is_throttled = failure.class == FailureClass::RateLimited(LimitScope::Pair);
    let at = match failure.class {
        FailureClass::Transient => {
            let pause = failure.retry_after.unwrap_or_else(|| back_off(message.attempts, chance));
            now + delta(pause)
        }
        FailureClass::RateLimited(LimitScope::Pair) => {
            let exponent = u32::try_from(message.throttled.clamp(0, 6)).unwrap_or(6);
            let pause = Duration::from_secs(4_u64.pow(exponent)).min(LONGEST);
            now + delta(failure.retry_after.unwrap_or(pause))
        }
        FailureClass::RateLimited(LimitScope::Template) => now + delta(LONGEST),
        _ => after(effect, now),
    };
    if at >= message.expires_at {
        return Outcome::Dead(too_old(failure));
    }
    Outcome::Again { at, failure, throttled: is_throttled, resend: false, content: None }
}

/// The provider took it, and then it failed: it is sent again a few times at most, after long pauses.
fn failed_later(
    message: &Tried,
    failure: Failure,
    effect: Effect,
    now: Timestamp,
    chance: f64,
) -> Outcome {
    if message.resends >= message.most_resends {
        let detail = format!(
            "given up after it was taken {} times and failed each time; last: {}",
            message.resends + 1,
            failure.detail
        );
        return Outcome::Dead(Failure { detail, ..failure });
    }
    if effect.holds_template && uses_template(message) {
        return held(message, failure, true);
    }
    let index = usize::try_from(message.resends).unwrap_or(0).min(RESEND_PAUSES.len() - 1);
    // What failed together is spread by a tenth; no pause is shorter than it says.
    let pause = delta(
        RESEND_PAUSES[index]
            .to_std()
            .unwrap_or(LONGEST)
            .mul_f64(1.0 + chance.clamp(0.0, 1.0) / 10.0),
    );
    let at = (now + pause).max(after(effect, now));
    if at >= message.expires_at {
        return Outcome::Dead(too_old(failure));
    }
    Outcome::Again { at, failure, throttled: false, resend: true, content: None }
}

fn uses_template(message: &Tried) -> bool {
    matches!(message.content, OutboundContent::Template(_))
}

/// It waits until its template may be used again, or its time is over.
fn held(message: &Tried, failure: Failure, resend: bool) -> Outcome {
    Outcome::Again { at: message.expires_at, failure, throttled: false, resend, content: None }
}

/// The customer-service window is closed: the template is sent, if there is one.
pub fn window_closed(message: &Tried, failure: Failure, now: Timestamp) -> Outcome {
    match &message.fallback {
        Some(template) if !message.content.opens_window() => Outcome::Again {
            at: now,
            failure,
            throttled: false,
            resend: false,
            content: Some(OutboundContent::Template(template.clone())),
        },
        _ => Outcome::Dead(failure),
    }
}

/// How long a lane rests of whose messages people complained, if it has rested so often in a row before.
pub fn reputation_rest(rests: i64) -> TimeDelta {
    let doublings = u32::try_from(rests.clamp(0, 5)).unwrap_or(5);
    (REPUTATION_REST * 2_i32.pow(doublings)).min(LONGEST_REPUTATION_REST)
}

fn too_old(failure: Failure) -> Failure {
    let detail = format!("given up after its time was over; last: {}", failure.detail);
    Failure { detail, ..failure }
}

/// 5 s, 10 s, 20 s … an hour, each between half and all of it.
fn back_off(attempts: i64, chance: f64) -> Duration {
    let doublings = u32::try_from(attempts.clamp(0, 16)).unwrap_or(16);
    let full = (FIRST * 2_u32.pow(doublings)).min(LONGEST);
    full.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

fn delta(span: Duration) -> TimeDelta {
    TimeDelta::from_std(span).unwrap_or(TimeDelta::hours(1))
}

#[cfg(test)]
mod tests;
