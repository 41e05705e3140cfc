//! What speaks for a clock and against it, one after the other.

use super::*;

fn start_of_time() -> Timestamp {
    "2026-11-01T12:00:00Z".parse().unwrap()
}

fn alive(at: Timestamp) -> Timekeeping {
    Timekeeping { alive_at: Some(at), ..Timekeeping::default() }
}

fn keeper(known: Timekeeping) -> (Clock, Timekeeper) {
    let clock = Clock::frozen(start_of_time());
    (clock.clone(), Timekeeper::start(clock, known, None))
}

#[test]
fn time_that_passes_is_vouched_for_and_a_jump_is_not() {
    let (clock, keeper) = keeper(Timekeeping::default());
    clock.advance(TimeDelta::days(40));
    assert_eq!(keeper.may_delete(), Some(clock.now()));
    clock.jump(TimeDelta::hours(23));
    let line = start_of_time() + TimeDelta::days(40);
    assert_eq!(keeper.may_delete(), Some(line + TOLERANCE), "no further than time has passed");
    clock.jump(TimeDelta::hours(2));
    assert_eq!(keeper.standing(), Standing::Jumped(TimeDelta::hours(25)));
    assert_eq!(keeper.may_delete(), None);
    assert_eq!(keeper.ages().of(line - TimeDelta::days(1)), Age::Old);
    assert_eq!(keeper.ages().of(line + TimeDelta::hours(1)), Age::Young);
    clock.jump(TimeDelta::hours(-25));
    assert_eq!(keeper.may_delete(), Some(clock.now()), "it is set right again");
    clock.jump(TimeDelta::days(-3));
    assert_eq!(keeper.standing(), Standing::Behind(TimeDelta::days(3)));
    assert_eq!(keeper.may_delete(), None);
}

#[test]
fn a_long_rest_is_doubted_for_a_day_of_running() {
    let long_ago = start_of_time() - TimeDelta::days(12);
    let (clock, keeper) = keeper(alive(long_ago));
    assert!(matches!(keeper.standing(), Standing::Doubted { .. }));
    assert!(!keeper.standing().is_failing());
    clock.advance(TimeDelta::hours(23));
    let look = keeper.look(alive(long_ago), None);
    let left = TimeDelta::hours(1);
    assert_eq!(look.standing, Standing::Doubted { alive_at: long_ago, left });
    assert_eq!(look.doubted, TimeDelta::hours(23));
    assert_eq!(keeper.ages().of(clock.now() - TimeDelta::days(2)), Age::Doubtful);
    assert_eq!(keeper.ages().of(long_ago), Age::Old);
    clock.advance(TimeDelta::hours(1));
    assert_eq!(keeper.look(alive(long_ago), None).standing, Standing::Well);
    assert_eq!(keeper.may_delete(), Some(clock.now()));
}

#[test]
fn the_hours_of_a_doubt_are_counted_over_restarts_and_not_over_another_clock() {
    let known = |shown: Timestamp| Timekeeping {
        doubted_at: Some(shown),
        doubted_ms: TimeDelta::hours(20).num_milliseconds(),
        ..alive(start_of_time() - TimeDelta::days(12))
    };
    let (clock, keeper) = keeper(known(start_of_time() - TimeDelta::hours(1)));
    clock.advance(TimeDelta::hours(4));
    assert_eq!(keeper.look(known(clock.now()), None).standing, Standing::Well);
    let (clock, keeper) = self::keeper(known(start_of_time() - TimeDelta::days(2)));
    clock.advance(TimeDelta::hours(4));
    assert!(matches!(keeper.look(known(clock.now()), None).standing, Standing::Doubted { .. }));
}

#[test]
fn a_clock_that_was_wrong_at_the_start_is_believed_once_it_is_set_right() {
    let (clock, keeper) = keeper(alive(start_of_time() - TimeDelta::days(120)));
    clock.advance(TimeDelta::minutes(5));
    clock.jump(TimeDelta::days(-120));
    let known = alive(start_of_time() - TimeDelta::days(120));
    assert_eq!(keeper.look(known, None).standing, Standing::Well);
    assert_eq!(keeper.may_delete(), Some(clock.now()));
    clock.jump(TimeDelta::days(2));
    assert_eq!(keeper.standing(), Standing::Jumped(TimeDelta::days(2)));
}

#[test]
fn a_jump_is_remembered_over_a_restart() {
    let jumped = Timekeeping {
        jumped_at: Some(start_of_time()),
        ..alive(start_of_time() - TimeDelta::days(120))
    };
    let (clock, keeper) = keeper(jumped);
    assert_eq!(keeper.standing(), Standing::Jumped(TimeDelta::days(120)));
    clock.advance(TimeDelta::hours(30));
    assert!(keeper.look(jumped, None).standing.is_failing(), "waiting does not help");
    let word = Timekeeping {
        right_at: Some(clock.now()),
        right_id: Some(Uuid::max()),
        ..alive(clock.now())
    };
    let look = keeper.look(word, None);
    assert_eq!((look.standing, look.word), (Standing::Well, Some(true)));
    assert_eq!(keeper.look(word, None).word, None, "a word is heard once");
}

#[test]
fn a_word_about_another_clock_does_not_help_this_one() {
    let (clock, keeper) = keeper(Timekeeping::default());
    clock.jump(TimeDelta::days(120));
    let word = Timekeeping {
        right_at: Some(start_of_time()),
        right_id: Some(Uuid::max()),
        ..alive(start_of_time())
    };
    let look = keeper.look(word, None);
    assert_eq!(look.word, Some(false));
    assert_eq!(look.standing, Standing::Jumped(TimeDelta::days(120)));
}

#[test]
fn a_clock_that_postgresql_contradicts_is_not_believed_however_long_it_runs() {
    let (clock, keeper) = keeper(alive(start_of_time() - TimeDelta::days(120)));
    let known = alive(start_of_time() - TimeDelta::days(120));
    let ahead = Some(TimeDelta::days(120));
    clock.advance(TimeDelta::hours(30));
    assert_eq!(keeper.look(known, ahead).standing, Standing::Skewed(TimeDelta::days(120)));
    assert_eq!(keeper.look(known, ahead).standing, Standing::Skewed(TimeDelta::days(120)));
    clock.jump(TimeDelta::days(-120));
    assert_eq!(keeper.look(known, Some(TimeDelta::zero())).standing, Standing::Well);
    let behind = Some(TimeDelta::seconds(-61));
    assert!(keeper.look(known, behind).standing.describe().unwrap().contains("61 seconds behind"));
}

#[test]
fn a_clock_before_the_last_sign_of_life_is_told_of() {
    let (_, keeper) = keeper(alive(start_of_time() + TimeDelta::days(3)));
    assert_eq!(keeper.standing(), Standing::Behind(TimeDelta::days(3)));
    assert_eq!(keeper.may_delete(), None);
}
