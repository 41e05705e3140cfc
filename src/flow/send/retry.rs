//! What to do after a failure: pure, so that it can be tried with every failure there is.

use std::time::Duration;

use chrono::TimeDelta;
use providers::{Cause, Failure, FailureClass, LimitScope, OutboundContent};

use crate::clock::Timestamp;
use crate::model::{Claimed, Outcome, Suppress};

/// The first pause after something that passes, and the longest.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_hours(1);

/// How long an account that refuses everything is left alone before one message tries it again.
const UNWELL: TimeDelta = TimeDelta::minutes(5);

/// How long an account rests when it is asked to slow down and is not told for how long.
const REST: Duration = Duration::from_secs(2);

/// What a failure means for the message and for its lane.
#[derive(Debug, Clone)]
pub(super) struct Verdict {
    /// For the message.
    pub(super) outcome: Outcome,
    /// For everything else that goes the same way.
    pub(super) lane: LaneEffect,
    /// What it says about writing to the recipient again.
    pub(super) suppress: Option<Suppress>,
}

/// What a failure means for a lane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum LaneEffect {
    /// Nothing.
    None,
    /// It was too fast: it rests until then, and goes on at half its pace.
    Slower(Timestamp),
    /// Nothing gets through until somebody mends the account: it rests until then, and goes on with one message.
    Unwell(Timestamp),
}

/// Decides. `chance` is between 0 and 1 and spreads what fails together; `factor` is the share of its pace that the lane
/// uses by now.
pub(super) fn decide(
    message: &Claimed,
    failure: Failure,
    factor: f64,
    now: Timestamp,
    chance: f64,
) -> Verdict {
    match failure.class {
        FailureClass::Indeterminate => plain(Outcome::Unknown(failure)),
        FailureClass::Transient => {
            let pause = failure.retry_after.unwrap_or_else(|| back_off(message.attempts, chance));
            again(message, failure, now + delta(pause), false, LaneEffect::None)
        }
        FailureClass::RateLimited(LimitScope::Account | LimitScope::Reputation) => {
            let rest = failure.retry_after.unwrap_or(REST.div_f64(factor.clamp(0.01, 1.0)));
            let until = now + delta(rest.min(LONGEST));
            again(message, failure, until, false, LaneEffect::Slower(until))
        }
        FailureClass::RateLimited(LimitScope::Pair | LimitScope::Template) => {
            let exponent = u32::try_from(message.throttled.clamp(0, 6)).unwrap_or(6);
            let pause = Duration::from_secs(4_u64.pow(exponent)).min(LONGEST);
            let pause = failure.retry_after.unwrap_or(pause);
            again(message, failure, now + delta(pause), true, LaneEffect::None)
        }
        FailureClass::Permanent(Cause::Account) => {
            let until = now + UNWELL;
            again(message, failure, until, false, LaneEffect::Unwell(until))
        }
        FailureClass::Permanent(Cause::Window) => window_closed(message, failure, now),
        FailureClass::NoFailure => plain(Outcome::Dead(failure)),
        FailureClass::Permanent(cause) => Verdict {
            outcome: Outcome::Dead(failure),
            lane: LaneEffect::None,
            suppress: match cause {
                Cause::Recipient(reach) => Suppress::of(reach),
                _ => None,
            },
        },
    }
}

/// The customer-service window is closed: the template is sent, if there is one.
pub(super) fn window_closed(message: &Claimed, failure: Failure, now: Timestamp) -> Verdict {
    match &message.fallback {
        Some(template) if !message.content.opens_window() => plain(Outcome::Again {
            at: now,
            failure,
            throttled: false,
            content: Some(OutboundContent::Template(template.clone())),
        }),
        _ => plain(Outcome::Dead(failure)),
    }
}

fn plain(outcome: Outcome) -> Verdict {
    Verdict { outcome, lane: LaneEffect::None, suppress: None }
}

/// Tries again at `at`, unless the message is too old by then.
fn again(
    message: &Claimed,
    failure: Failure,
    at: Timestamp,
    throttled: bool,
    lane: LaneEffect,
) -> Verdict {
    let outcome = if at >= message.expires_at {
        let detail = format!("given up after its time was over; last: {}", failure.detail);
        Outcome::Dead(Failure { detail, ..failure })
    } else {
        Outcome::Again { at, failure, throttled, content: None }
    };
    Verdict { outcome, lane, suppress: None }
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
mod tests {
    use providers::{Reach, Template};

    use super::*;
    use crate::model::{IdentityId, MessageId};

    fn now() -> Timestamp {
        "2026-11-01T12:00:00Z".parse().unwrap()
    }

    fn message(attempts: i64, throttled: i64) -> Claimed {
        Claimed {
            id: MessageId(uuid::Uuid::nil()),
            identity: IdentityId(uuid::Uuid::nil()),
            address: ("phone".to_owned(), "+5511987654321".to_owned()),
            content: OutboundContent::Text { body: "Hello".to_owned(), preview_url: false },
            fallback: None,
            number: None,
            purpose: None,
            reply_to: None,
            attempts,
            throttled,
            due_at: now(),
            expires_at: now() + TimeDelta::hours(24),
            created_at: now(),
        }
    }

    fn verdict(message: &Claimed, class: FailureClass) -> Verdict {
        decide(message, Failure::new(class, "why"), 1.0, now(), 1.0)
    }

    fn pause(verdict: &Verdict) -> i64 {
        match &verdict.outcome {
            Outcome::Again { at, .. } => (*at - now()).num_seconds(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_passes_is_tried_again_after_5_seconds_to_an_hour() {
        let pauses: Vec<i64> = [0, 1, 2, 9, 10, 60]
            .map(|attempts| pause(&verdict(&message(attempts, 0), FailureClass::Transient)))
            .to_vec();
        assert_eq!(pauses, [5, 10, 20, 2_560, 3_600, 3_600]);
    }

    #[test]
    fn what_failed_together_is_spread() {
        let early =
            decide(&message(0, 0), Failure::new(FailureClass::Transient, ""), 1.0, now(), 0.0);
        assert_eq!(pause(&early), 2);
    }

    #[test]
    fn nothing_is_tried_after_its_time() {
        let mut old = message(3, 0);
        old.expires_at = now() + TimeDelta::seconds(10);
        let verdict = verdict(&old, FailureClass::Transient);
        assert!(matches!(verdict.outcome, Outcome::Dead(_)), "{verdict:?}");
    }

    #[test]
    fn what_may_have_arrived_is_never_tried_again() {
        let verdict = verdict(&message(0, 0), FailureClass::Indeterminate);
        assert!(matches!(verdict.outcome, Outcome::Unknown(_)));
        assert_eq!(verdict.lane, LaneEffect::None);
    }

    #[test]
    fn a_pair_pays_back_by_fours() {
        let limited = FailureClass::RateLimited(LimitScope::Pair);
        let pauses: Vec<i64> =
            (0..4).map(|throttled| pause(&verdict(&message(1, throttled), limited))).collect();
        assert_eq!(pauses, [1, 4, 16, 64]);
        assert_eq!(verdict(&message(1, 0), limited).lane, LaneEffect::None);
    }

    #[test]
    fn an_account_that_is_too_fast_slows_everything_down() {
        let limited = FailureClass::RateLimited(LimitScope::Account);
        let verdict = verdict(&message(1, 0), limited);
        assert_eq!(verdict.lane, LaneEffect::Slower(now() + TimeDelta::seconds(2)));
        let told = Failure {
            retry_after: Some(Duration::from_secs(90)),
            ..Failure::new(limited, "slow down")
        };
        let verdict = decide(&message(1, 0), told, 1.0, now(), 0.5);
        assert_eq!(verdict.lane, LaneEffect::Slower(now() + TimeDelta::seconds(90)));
    }

    #[test]
    fn an_account_that_refuses_loses_no_message() {
        let verdict = verdict(&message(1, 0), FailureClass::Permanent(Cause::Account));
        assert!(matches!(verdict.outcome, Outcome::Again { .. }));
        assert_eq!(verdict.lane, LaneEffect::Unwell(now() + UNWELL));
    }

    #[test]
    fn a_closed_window_is_opened_by_the_template() {
        let closed = FailureClass::Permanent(Cause::Window);
        assert!(matches!(verdict(&message(1, 0), closed).outcome, Outcome::Dead(_)));
        let mut with = message(1, 0);
        with.fallback = Some(Template {
            name: "hello".to_owned(),
            language: None,
            variables: std::collections::BTreeMap::new(),
            components: None,
        });
        let Outcome::Again { content: Some(content), at, .. } = verdict(&with, closed).outcome
        else {
            panic!("the template is not sent");
        };
        assert_eq!((content.kind(), at), ("template", now()));
    }

    #[test]
    fn who_cannot_be_reached_is_left_alone() {
        assert!(
            verdict(&message(1, 0), FailureClass::Permanent(Cause::Recipient(Reach::Nobody)))
                .suppress
                .is_some()
        );
        assert_eq!(verdict(&message(1, 0), FailureClass::Permanent(Cause::Message)).suppress, None);
    }
}
