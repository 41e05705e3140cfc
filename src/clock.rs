//! Where time comes from. Everything takes it from here, so that tests can freeze and move it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

/// An instant in UTC, in whole microseconds: what both databases keep.
pub type Timestamp = DateTime<Utc>;

/// A source of time: of what the clock on the wall shows, and of how much time has passed, whatever that clock shows.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that stands still until it is moved.
    Frozen(Arc<Hands>),
}

/// What a frozen clock shows.
#[derive(Debug)]
pub struct Hands {
    /// In microseconds since 1970.
    wall: AtomicI64,
    /// In microseconds since an instant that nobody knows.
    elapsed: AtomicI64,
    /// By how many microseconds it is ahead of the database's clock; [`NOT_COMPARED`] if nobody said.
    ahead_of_database: AtomicI64,
}

const NOT_COMPARED: i64 = i64::MIN;

impl Clock {
    /// A clock that stands at `at`.
    pub fn frozen(at: Timestamp) -> Self {
        Self::Frozen(Arc::new(Hands {
            wall: AtomicI64::new(at.timestamp_micros()),
            elapsed: AtomicI64::new(0),
            ahead_of_database: AtomicI64::new(NOT_COMPARED),
        }))
    }

    /// The time, cut to microseconds.
    pub fn now(&self) -> Timestamp {
        let micros = match self {
            #[expect(
                clippy::disallowed_methods,
                reason = "this is the one place that asks the machine"
            )]
            Self::System => Utc::now().timestamp_micros(),
            Self::Frozen(hands) => hands.wall.load(Ordering::SeqCst),
        };
        DateTime::from_timestamp_micros(micros).unwrap_or_default()
    }

    /// How much time has passed since an instant of no meaning. It never goes back and never jumps, whoever sets the clock on
    /// the wall; on Linux it goes on while the machine sleeps.
    pub fn elapsed(&self) -> TimeDelta {
        match self {
            Self::System => machine::elapsed(),
            Self::Frozen(hands) => TimeDelta::microseconds(hands.elapsed.load(Ordering::SeqCst)),
        }
    }

    /// By how much this clock is ahead of the database's, which shows `theirs`; negative if it is behind. `None` of a frozen
    /// clock of which nobody said.
    pub fn ahead_of(&self, theirs: Timestamp) -> Option<TimeDelta> {
        match self {
            Self::System => Some(self.now() - theirs),
            Self::Frozen(hands) => match hands.ahead_of_database.load(Ordering::SeqCst) {
                NOT_COMPARED => None,
                micros => Some(TimeDelta::microseconds(micros)),
            },
        }
    }

    /// Lets `by` pass on a frozen clock: it shows that much more, and that much more time has passed. A negative time sets
    /// the clock back, and no time passes. The machine's clock is left alone.
    pub fn advance(&self, by: TimeDelta) {
        self.jump(by);
        if let Self::Frozen(hands) = self {
            let passed = by.num_microseconds().unwrap_or_default().max(0);
            hands.elapsed.fetch_add(passed, Ordering::SeqCst);
        }
    }

    /// Sets a frozen clock forward by `by`, or back, without any time passing. The machine's clock is left alone.
    pub fn jump(&self, by: TimeDelta) {
        if let Self::Frozen(hands) = self {
            hands.wall.fetch_add(by.num_microseconds().unwrap_or_default(), Ordering::SeqCst);
        }
    }

    /// Says by how much a frozen clock is ahead of the database's. The machine's clock is left alone.
    pub fn set_ahead_of_database(&self, by: TimeDelta) {
        if let Self::Frozen(hands) = self {
            let micros = by.num_microseconds().unwrap_or_default();
            hands.ahead_of_database.store(micros, Ordering::SeqCst);
        }
    }
}

#[cfg(target_os = "linux")]
mod machine {
    //! How much time has passed on this machine.

    use chrono::TimeDelta;
    use rustix::time::{ClockId, clock_gettime};

    pub(super) fn elapsed() -> TimeDelta {
        let passed = clock_gettime(ClockId::Boottime);
        TimeDelta::seconds(passed.tv_sec) + TimeDelta::nanoseconds(passed.tv_nsec)
    }
}

#[cfg(not(target_os = "linux"))]
mod machine {
    //! How much time has passed since this process first asked.

    use std::sync::LazyLock;
    use std::time::Instant;

    use chrono::TimeDelta;

    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);

    pub(super) fn elapsed() -> TimeDelta {
        TimeDelta::from_std(FIRST.elapsed()).unwrap_or(TimeDelta::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_whatever_the_wall_shows() {
        let clock = Clock::frozen(DateTime::UNIX_EPOCH);
        clock.advance(TimeDelta::hours(2));
        clock.jump(TimeDelta::days(120));
        assert_eq!(clock.elapsed(), TimeDelta::hours(2));
        assert_eq!(clock.now() - DateTime::UNIX_EPOCH, TimeDelta::days(120) + TimeDelta::hours(2));
        clock.advance(TimeDelta::hours(-3));
        assert_eq!(clock.elapsed(), TimeDelta::hours(2), "time never goes back");
        let earlier = Clock::System.elapsed();
        assert!(Clock::System.elapsed() >= earlier);
    }
}
