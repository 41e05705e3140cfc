//! The verdicts, tried with every failure there is.

use providers::Reach;

use super::*;

fn now() -> Timestamp {
    "2026-11-01T12:00:00Z".parse().unwrap()
}

fn message(attempts: i64, throttled: i64) -> Tried {
    Tried {
        attempts,
        throttled,
        resends: 0,
        most_resends: 2,
        content: OutboundContent::Text { body: "Hello".to_owned(), preview_url: false },
        fallback: None,
        expires_at: now() + TimeDelta::hours(24),
        factor: 1.0,
    }
}

fn hello() -> Template {
    Template {
        name: "hello".to_owned(),
        language: None,
        variables: std::collections::BTreeMap::new(),
        header: None,
        components: None,
    }
}

fn answered(message: &Tried, class: FailureClass) -> Verdict {
    decide(Door::Answer, message, Failure::new(class, "why"), now(), 1.0)
}

fn told(message: &Tried, class: FailureClass) -> Verdict {
    decide(Door::Status, message, Failure::new(class, "why"), now(), 0.0)
}

fn pause(verdict: &Verdict) -> i64 {
    match &verdict.outcome {
        Outcome::Again { at, .. } => (*at - now()).num_seconds(),
        other => panic!("{other:?}"),
    }
}

fn is_final(verdict: &Verdict) -> bool {
    matches!(verdict.outcome, Outcome::Dead(_))
}

#[test]
fn what_passes_is_tried_again_after_5_seconds_to_an_hour() {
    let pauses: Vec<i64> = [0, 1, 2, 9, 10, 60]
        .map(|attempts| pause(&answered(&message(attempts, 0), FailureClass::Transient)))
        .to_vec();
    assert_eq!(pauses, [5, 10, 20, 2_560, 3_600, 3_600]);
}

#[test]
fn what_failed_together_is_spread() {
    let failure = Failure::new(FailureClass::Transient, "");
    assert_eq!(pause(&decide(Door::Answer, &message(0, 0), failure.clone(), now(), 0.0)), 2);
    assert_eq!(pause(&decide(Door::Status, &message(0, 0), failure, now(), 1.0)), 66);
}

#[test]
fn nothing_is_tried_after_its_time() {
    let mut old = message(3, 0);
    old.expires_at = now() + TimeDelta::seconds(10);
    assert!(is_final(&answered(&old, FailureClass::Transient)));
    assert!(is_final(&told(&old, FailureClass::Transient)));
}

#[test]
fn what_may_have_arrived_is_never_tried_again() {
    for verdict in [answered, told].map(|judge| judge(&message(0, 0), FailureClass::Indeterminate))
    {
        assert!(matches!(verdict.outcome, Outcome::Unknown(_)));
        assert_eq!(verdict.effect, Effect::default());
    }
}

#[test]
fn what_was_taken_is_sent_again_after_1_10_and_60_minutes_and_no_oftener_than_it_may_be() {
    let mut message = Tried { most_resends: 5, ..message(7, 3) };
    let mut pauses = Vec::new();
    while message.resends < 5 {
        pauses.push(pause(&told(&message, FailureClass::Transient)));
        message.resends += 1;
    }
    assert_eq!(pauses, [60, 600, 3_600, 3_600, 3_600]);
    assert!(is_final(&told(&message, FailureClass::Transient)));
    assert!(is_final(&told(&Tried { most_resends: 0, ..message }, FailureClass::Transient)));
}

#[test]
fn a_pair_pays_back_by_fours() {
    let limited = FailureClass::RateLimited(LimitScope::Pair);
    let pauses: Vec<i64> =
        (0..4).map(|throttled| pause(&answered(&message(1, throttled), limited))).collect();
    assert_eq!(pauses, [1, 4, 16, 64]);
    assert_eq!(answered(&message(1, 0), limited).effect, Effect::default());
}

#[test]
fn an_account_that_is_too_fast_slows_everything_down() {
    let limited = FailureClass::RateLimited(LimitScope::Account);
    let verdict = answered(&message(1, 0), limited);
    assert_eq!(verdict.effect.lane, LaneEffect::Slower(now() + TimeDelta::seconds(2)));
    let asked =
        Failure { retry_after: Some(Duration::from_secs(90)), ..Failure::new(limited, "slow") };
    let verdict = decide(Door::Answer, &message(1, 0), asked, now(), 0.5);
    assert_eq!(verdict.effect.lane, LaneEffect::Slower(now() + TimeDelta::seconds(90)));
}

#[test]
fn an_account_that_refuses_loses_no_message() {
    let account = FailureClass::Permanent(Cause::Account);
    for verdict in [answered, told].map(|judge| judge(&message(1, 0), account)) {
        assert!(pause(&verdict) >= 300);
        assert_eq!(verdict.effect.lane, LaneEffect::Unwell(now() + UNWELL));
    }
}

#[test]
fn a_closed_window_is_opened_by_the_template_whichever_door_it_came_through() {
    let closed = FailureClass::Permanent(Cause::Window);
    let with = Tried { fallback: Some(hello()), ..message(1, 0) };
    for judge in [answered, told] {
        assert!(is_final(&judge(&message(1, 0), closed)));
        let Outcome::Again { content: Some(content), at, .. } = judge(&with, closed).outcome else {
            panic!("the template is not sent");
        };
        assert_eq!((content.kind(), at), ("template", now()));
        let sent = Tried { content, ..with.clone() };
        assert!(is_final(&judge(&sent, closed)), "a template is not followed by itself");
    }
}

#[test]
fn who_cannot_be_reached_is_left_alone_and_nobody_else() {
    let suppress = |cause| answered(&message(1, 0), FailureClass::Permanent(cause)).effect.suppress;
    assert!(suppress(Cause::Recipient(Reach::Nobody)).is_some());
    for cause in [Cause::Message, Cause::Destination, Cause::Recipient(Reach::NotThisTime)] {
        assert_eq!(suppress(cause), None, "{cause:?}");
    }
}

#[test]
fn a_paused_template_holds_its_messages_for_as_long_as_they_have() {
    let paused = FailureClass::RateLimited(LimitScope::Template);
    let templated = Tried { content: OutboundContent::Template(hello()), ..message(1, 0) };
    for verdict in [answered, told].map(|judge| judge(&templated, paused)) {
        assert!(verdict.effect.holds_template);
        assert_eq!(verdict.effect.lane, LaneEffect::None);
        assert_eq!(pause(&verdict), 24 * 3_600);
    }
}

#[test]
fn complaints_rest_a_lane_for_an_hour_and_then_ever_longer_up_to_a_day() {
    let complained = FailureClass::RateLimited(LimitScope::Reputation);
    for verdict in [answered, told].map(|judge| judge(&message(1, 0), complained)) {
        assert_eq!(verdict.effect.lane, LaneEffect::Rests(now() + TimeDelta::hours(1)));
        assert_eq!(pause(&verdict), 3_600);
    }
    let hours: Vec<i64> = (0..7).map(|rests| reputation_rest(rests).num_hours()).collect();
    assert_eq!(hours, [1, 2, 4, 8, 16, 24, 24]);
}

/// Both doors decide the same, but for when, and for how often, a message is sent again.
#[test]
fn both_doors_do_the_same_for_every_class() {
    for (class, name) in FailureClass::ALL {
        for message in [message(2, 0), Tried { fallback: Some(hello()), ..message(2, 0) }] {
            let (answered, told) = (answered(&message, class), told(&message, class));
            assert_eq!(answered.effect, told.effect, "{name}");
            let what = std::mem::discriminant;
            assert_eq!(what(&answered.outcome), what(&told.outcome), "{name}");
            let content = |verdict: &Verdict| match &verdict.outcome {
                Outcome::Again { content, .. } => content.clone(),
                _ => None,
            };
            assert_eq!(content(&answered), content(&told), "{name}");
        }
    }
}
