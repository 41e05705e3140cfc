//! Histories of linked devices.

use providers::SessionState::{self, Failed, LoggedOut, Pairing, Starting, Stopped, Working};

use super::*;

fn now() -> Timestamp {
    "2026-11-01T12:00:00Z".parse().unwrap()
}

fn report(state: SessionState) -> SessionReport {
    let number = (state == Working).then(|| "+5511987654321".to_owned());
    SessionReport { state, number, detail: Some(format!("{state:?}")) }
}

/// A device that works, and shall.
fn working() -> Device {
    judge(&Device::new(now()), Ok(report(Working)), now()).device
}

fn seconds(device: &Device, at: Option<Timestamp>) -> Option<i64> {
    at.map(|at| (at - device.checked_at.unwrap()).num_seconds())
}

#[test]
fn what_works_when_it_is_first_seen_shall_go_on_working() {
    let device = working();
    assert_eq!((device.state, device.wish), (DeviceState::Working, Wish::Run));
    assert_eq!(device.number.as_deref(), Some("+5511987654321"));
    assert_eq!(seconds(&device, Some(device.due_at)), Some(30));
}

#[test]
fn what_nobody_has_started_is_not_started() {
    for state in [Stopped, Failed] {
        let judged = judge(&Device::new(now()), Ok(report(state)), now());
        assert!(!judged.start && judged.device.next_start_at.is_none(), "{judged:?}");
    }
    let stopped = Device { wish: Wish::Stop, ..working() };
    assert_eq!(judge(&stopped, Ok(report(Stopped)), now()).device.next_start_at, None);
}

#[test]
fn what_breaks_is_started_again_after_5_seconds_to_10_minutes() {
    let pauses: Vec<i64> = [0, 1, 2, 6, 7, 60].map(|n| back_off(n).num_seconds()).to_vec();
    assert_eq!(pauses, [5, 10, 20, 320, 600, 600]);
    for state in [Failed, Stopped] {
        let broken = judge(&working(), Ok(report(state)), now());
        assert!(broken.changed && !broken.alarm && !broken.start);
        assert_eq!(seconds(&broken.device, broken.device.next_start_at), Some(5));
        assert_eq!(broken.device.due_at, now() + TimeDelta::seconds(5));
        let later = judge(&broken.device, Ok(report(state)), now() + TimeDelta::seconds(5));
        assert!(later.start && !later.changed, "{later:?}");
    }
}

#[test]
fn what_works_for_a_while_has_recovered() {
    let device = Device { failures: 5, ..working() };
    let early = judge(&device, Ok(report(Working)), now() + TimeDelta::seconds(119)).device;
    assert_eq!(early.failures, 5);
    let late = judge(&early, Ok(report(Working)), now() + TimeDelta::seconds(120)).device;
    assert_eq!(late.failures, 0);
}

#[test]
fn a_log_out_is_told_once_and_never_mended_by_itself() {
    let out = judge(&working(), Ok(report(LoggedOut)), now());
    assert!(out.alarm && out.changed && !out.start);
    assert_eq!((out.device.wish, out.device.linked), (Wish::Nothing, false));
    let mut device = out.device;
    for state in [LoggedOut, Failed, Stopped, Starting, Pairing] {
        let next = judge(&device, Ok(report(state)), now() + TimeDelta::hours(1));
        assert_eq!(next.device.state, DeviceState::LoggedOut, "{state:?}");
        assert!(!next.alarm && !next.changed && !next.start, "{next:?}");
        assert_eq!(next.device.next_start_at, None);
        device = next.device;
    }
    let silent = judge(&device, Err("nobody there".to_owned()), now()).device;
    let silent = judge(&silent, Err("nobody there".to_owned()), now()).device;
    assert_eq!(silent.state, DeviceState::LoggedOut);
}

#[test]
fn a_linked_device_that_asks_to_be_linked_was_logged_out() {
    let out = judge(&working(), Ok(report(Pairing)), now());
    assert!(out.alarm);
    assert_eq!(out.device.state, DeviceState::LoggedOut);
    let new = judge(&Device::new(now()), Ok(report(Pairing)), now());
    assert!(!new.alarm);
    assert_eq!(new.device.state, DeviceState::Pairing);
}

#[test]
fn what_a_person_has_linked_again_works_and_may_be_logged_out_again() {
    let out = judge(&working(), Ok(report(LoggedOut)), now()).device;
    let back = judge(&out, Ok(report(Working)), now());
    assert_eq!((back.device.state, back.device.wish), (DeviceState::Working, Wish::Run));
    assert_eq!(back.device.alerted_at, None);
    assert!(judge(&back.device, Ok(report(LoggedOut)), now()).alarm);
}

#[test]
fn what_a_person_has_logged_out_is_no_alarm() {
    let asked = Device { wish: Wish::LogOut, linked: false, ..working() };
    for state in [LoggedOut, Pairing, Stopped] {
        let judged = judge(&asked, Ok(report(state)), now());
        assert!(!judged.alarm && judged.device.next_start_at.is_none(), "{judged:?}");
    }
}

#[test]
fn one_question_may_be_lost_and_two_are_news() {
    let once = judge(&working(), Err("the time was up".to_owned()), now());
    assert!(!once.changed);
    assert_eq!(once.device.due_at, now() + TimeDelta::seconds(5));
    let twice = judge(&once.device, Err("the time was up".to_owned()), now());
    assert_eq!(twice.device.state, DeviceState::Unreachable);
    assert_eq!(twice.device.detail.as_deref(), Some("the time was up"));
    assert!(twice.changed && !twice.alarm && !twice.start);
    let back = judge(&twice.device, Ok(report(Working)), now());
    assert!(back.changed);
    assert_eq!(back.device.unanswered, 0);
}
