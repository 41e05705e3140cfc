//! What a report of a linked device means: pure, so that it can be tried with every report there is.

use chrono::TimeDelta;
use providers::SessionReport;

use crate::clock::Timestamp;
use crate::model::{Device, DeviceState, Wish};

/// How often a device is asked, and how often while it comes up, waits for somebody, or did not answer once.
const USUAL: TimeDelta = TimeDelta::seconds(30);
const SOON: TimeDelta = TimeDelta::seconds(5);

/// After so many questions without an answer it is unreachable: one may be lost.
const UNREACHABLE: i64 = 2;

/// A device that works for so long has recovered: the next time it is started again at once.
const RECOVERED: TimeDelta = TimeDelta::minutes(2);

/// The longest pause before it is started again, in seconds.
const LONGEST: i64 = 600;

/// What follows from a report.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judgement {
    /// The device from now on.
    pub(super) device: Device,
    /// Whether its state is another one.
    pub(super) changed: bool,
    /// Whether people must be told, loudly, that it was logged out.
    pub(super) alarm: bool,
    /// Whether it is to be started now.
    pub(super) start: bool,
}

/// Judges what a device told, or why it told nothing.
pub(super) fn judge(
    before: &Device,
    told: Result<SessionReport, String>,
    now: Timestamp,
) -> Judgement {
    let mut device = before.clone();
    device.checked_at = Some(now);
    match told {
        Err(why) => unanswered(&mut device, why, now),
        Ok(report) => answered(&mut device, report, now),
    }
    let changed = device.state != before.state;
    if changed {
        device.since = now;
    }
    let is_out = device.state == DeviceState::LoggedOut;
    let alarm = is_out && before.wish != Wish::LogOut && before.alerted_at.is_none();
    if alarm {
        device.alerted_at = Some(now);
    }
    let start = device.next_start_at.is_some_and(|at| at <= now);
    Judgement { device, changed, alarm, start }
}

/// How long a device rests before it is started for the `failures`-th time in a row: 5 s, 10 s … ten minutes.
pub(super) fn back_off(failures: i64) -> TimeDelta {
    let doublings = u32::try_from(failures.clamp(0, 16)).unwrap_or(16);
    TimeDelta::seconds((5 << doublings).min(LONGEST))
}

fn unanswered(device: &mut Device, why: String, now: Timestamp) {
    device.unanswered += 1;
    device.due_at = now + if device.unanswered < UNREACHABLE { SOON } else { USUAL };
    // That it was logged out is the greater news.
    if device.unanswered >= UNREACHABLE && device.state != DeviceState::LoggedOut {
        device.state = DeviceState::Unreachable;
        device.detail = Some(why);
    }
}

fn answered(device: &mut Device, report: SessionReport, now: Timestamp) {
    use DeviceState::{Failed, LoggedOut, Pairing, Starting, Stopped, Working};
    device.unanswered = 0;
    let told = DeviceState::from(report.state);
    // Logged out it stays until a person starts it, or has linked it again at the bridge: whatever a bridge tells in
    // between, it must not be started by itself.
    let stays_out = device.state == LoggedOut && device.wish == Wish::Nothing && told != Working;
    if !stays_out {
        // It was linked, and asks to be linked: so it was unlinked, though the bridge has no word for it.
        let state = if told == Pairing && device.linked { LoggedOut } else { told };
        if state == Working && device.state == Working && now - device.since >= RECOVERED {
            device.failures = 0;
        }
        device.state = state;
        device.detail = report.detail;
    }
    match device.state {
        Working => {
            device.linked = true;
            device.number = report.number.or(device.number.take());
            device.alerted_at = None;
            // It was started before it was connected here.
            if device.wish == Wish::Nothing {
                device.wish = Wish::Run;
            }
        }
        LoggedOut => {
            device.linked = false;
            device.number = None;
            if device.wish != Wish::LogOut {
                device.wish = Wish::Nothing;
            }
        }
        _ => {}
    }
    device.next_start_at = match device.state {
        Failed | Stopped if device.wish == Wish::Run => {
            Some(device.next_start_at.unwrap_or(now + back_off(device.failures)))
        }
        _ => None,
    };
    let next = now + if matches!(device.state, Starting | Pairing) { SOON } else { USUAL };
    device.due_at = device.next_start_at.map_or(next, |at| at.clamp(now, next));
}

#[cfg(test)]
mod tests;
