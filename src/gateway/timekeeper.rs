//! How far the clock may be believed where something is deleted or given up because of its age.
//!
//! A clock that was ahead for a moment must not delete what is kept for a time. While a process runs, time that has passed
//! vouches for what the clock shows: the *line* is what the clock must show if nobody touches it. At its start a process has
//! no line yet; then the last sign of life that a gateway left in the database stands in for it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use uuid::Uuid;

use crate::clock::{Clock, Timestamp};
use crate::store::timekeeping::Timekeeping;

/// What a clock may be off by without anybody wondering: corrections, time zones, a night without power.
const DAY: TimeDelta = TimeDelta::days(1);

/// How far PostgreSQL's clock may be from ours for us to delete anything.
const SKEW: TimeDelta = TimeDelta::minutes(1);

/// How far deletions may go beyond the line: clocks are corrected.
const TOLERANCE: TimeDelta = TimeDelta::minutes(1);

/// For how long gateways run with a clock that is a day or more after the last sign of life until it is believed.
const PATIENCE: TimeDelta = TimeDelta::hours(24);

/// An operator's word is about one machine's clock: another machine's must agree with it this closely to be meant too.
const MEANT: TimeDelta = TimeDelta::minutes(10);

/// How the clock stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is believed.
    Well,
    /// It stands more than a day after the last sign of life, at the start of a process: a dead battery and a long holiday
    /// look the same. It is believed after `left`.
    Doubted {
        /// The last sign of life.
        alive_at: Timestamp,
        /// How much longer gateways must run.
        left: TimeDelta,
    },
    /// It jumped ahead by so much while a process ran.
    Jumped(TimeDelta),
    /// It stands so far before the time that was known.
    Behind(TimeDelta),
    /// It is so far ahead of PostgreSQL's clock; negative if it is behind.
    Skewed(TimeDelta),
}

/// Whether an age has been reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// Not yet.
    Young,
    /// By the clock, which is not believed.
    Doubtful,
    /// Certainly.
    Old,
}

/// What ages are told by, at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Ages {
    /// The latest time that has certainly come.
    certain: Timestamp,
    /// What the clock shows, where that may be right too.
    perhaps: Timestamp,
}

impl Ages {
    /// Whether the time until which something is kept is over.
    pub fn of(self, until: Timestamp) -> Age {
        if until <= self.certain {
            Age::Old
        } else if until <= self.perhaps {
            Age::Doubtful
        } else {
            Age::Young
        }
    }

    /// The time that it is most likely: what a believed clock must show if nobody touched it, and else what it shows.
    pub fn likely(self) -> Timestamp {
        self.perhaps
    }

    /// The latest time that has certainly come.
    pub fn certain(self) -> Timestamp {
        self.certain
    }
}

/// Keeps time.
#[derive(Debug)]
pub struct Timekeeper {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What the clock showed at some moment, and how much time had passed then.
    line: (Timestamp, TimeDelta),
    /// Whether that was right.
    is_proven: bool,
    /// How much time had passed when this process began.
    started: TimeDelta,
    /// For how long gateways had run before with a clock that was not believed, as far as it is this doubt.
    doubted: Option<TimeDelta>,
    /// The operator's word that was heard last.
    word: Option<Uuid>,
    known: Timekeeping,
    /// How far the clock is ahead of PostgreSQL's.
    ahead: Option<TimeDelta>,
    /// How the clock stood when that was told last.
    told: Standing,
    /// Whether it was said what would be deleted.
    has_warned: bool,
}

/// What follows from a look at what the database knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// How the clock stands now.
    pub standing: Standing,
    /// How it stood at the look before; well before the first one.
    pub before: Standing,
    /// What the clock shows, or the time until which a clock that is believed vouches.
    pub now: Timestamp,
    /// For how long gateways have run with a clock that is not believed.
    pub doubted: TimeDelta,
    /// An operator's word that was heard for the first time, and whether it is about this clock.
    pub word: Option<bool>,
}

impl Timekeeper {
    /// Keeps time from now on, knowing what the database knew at the start.
    pub(super) fn start(clock: Clock, known: Timekeeping, ahead: Option<TimeDelta>) -> Self {
        let elapsed = clock.elapsed();
        let state = State {
            line: (clock.now(), elapsed),
            is_proven: false,
            started: elapsed,
            doubted: None,
            word: known.right_id,
            known,
            ahead,
            told: Standing::Well,
            has_warned: false,
        };
        let keeper = Self { clock, state: Mutex::new(state) };
        keeper.state().prove(keeper.clock.now(), elapsed);
        keeper
    }

    /// Takes in what the database knows now.
    pub fn look(&self, known: Timekeeping, ahead: Option<TimeDelta>) -> Look {
        let (now, elapsed) = (self.clock.now(), self.clock.elapsed());
        let mut state = self.state();
        (state.known, state.ahead) = (known, ahead);
        let word = state.hear(now, elapsed);
        state.prove(now, elapsed);
        let standing = state.standing(now, elapsed);
        let before = std::mem::replace(&mut state.told, standing);
        let vouched = match standing {
            Standing::Well => state.vouched(now, elapsed),
            _ => now,
        };
        Look { standing, before, now: vouched, doubted: state.doubted(elapsed), word }
    }

    /// How the clock stands.
    pub fn standing(&self) -> Standing {
        self.state().standing(self.clock.now(), self.clock.elapsed())
    }

    /// The time by which may be deleted what is too old: never more than the time that has passed vouches for. `None` while
    /// the clock is not believed.
    pub fn may_delete(&self) -> Option<Timestamp> {
        let (now, elapsed) = (self.clock.now(), self.clock.elapsed());
        let state = self.state();
        let is_well = state.standing(now, elapsed) == Standing::Well;
        is_well.then(|| state.vouched(now, elapsed))
    }

    /// What ages are told by now, for whatever is not deleted but given up.
    pub fn ages(&self) -> Ages {
        let (now, elapsed) = (self.clock.now(), self.clock.elapsed());
        let state = self.state();
        if state.is_proven {
            let certain = state.vouched(now, elapsed);
            return Ages { certain, perhaps: certain };
        }
        let alive_at = state.known.alive_at.unwrap_or(now);
        let certain = now.min(alive_at + (elapsed - state.started));
        Ages { certain, perhaps: now }
    }

    /// Whether nobody was told yet what would be deleted if the clock were believed. Once a process `true`.
    pub fn warns_first(&self) -> bool {
        !std::mem::replace(&mut self.state().has_warned, true)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What the clock must show if nobody touches it.
    fn line(&self, elapsed: TimeDelta) -> Timestamp {
        self.line.0 + (elapsed - self.line.1)
    }

    fn vouched(&self, now: Timestamp, elapsed: TimeDelta) -> Timestamp {
        now.min(self.line(elapsed) + TOLERANCE)
    }

    fn believe(&mut self, now: Timestamp, elapsed: TimeDelta) {
        (self.line, self.is_proven, self.doubted) = ((now, elapsed), true, None);
    }

    /// Hears an operator's word, if there is a new one.
    fn hear(&mut self, now: Timestamp, elapsed: TimeDelta) -> Option<bool> {
        let (Some(id), Some(said_at)) = (self.known.right_id, self.known.right_at) else {
            return None;
        };
        if self.word.replace(id) == Some(id) {
            return None;
        }
        let is_meant = (now - said_at).abs() <= MEANT;
        if is_meant {
            self.believe(now, elapsed);
        }
        Some(is_meant)
    }

    /// Compares a clock that has nothing to prove it yet with the last sign of life.
    fn prove(&mut self, now: Timestamp, elapsed: TimeDelta) {
        if self.is_proven {
            return;
        }
        let Some(alive_at) = self.known.alive_at else { return self.believe(now, elapsed) };
        let ran = elapsed - self.started;
        let agrees = (-DAY..=DAY + ran).contains(&(now - alive_at));
        // A clock that PostgreSQL's contradicts is not believed by waiting.
        let may_wait = self.is_ahead_of_life(now) && self.skewed().is_none();
        if agrees || (may_wait && self.doubted(elapsed) >= PATIENCE) {
            return self.believe(now, elapsed);
        }
        if self.doubted.is_none() {
            let continues = |shown: Timestamp| (now - shown).abs() <= DAY;
            let before = match self.known.doubted_at.is_some_and(continues) {
                true => TimeDelta::milliseconds(self.known.doubted_ms),
                false => TimeDelta::zero(),
            };
            self.doubted = Some(before);
        }
    }

    /// Whether the clock stands after the last sign of life, and is not known to have jumped there.
    fn is_ahead_of_life(&self, now: Timestamp) -> bool {
        let jumped = self.known.jumped_at.is_some_and(|shown| now >= shown - DAY);
        !jumped && self.known.alive_at.is_none_or(|alive_at| now > alive_at)
    }

    fn skewed(&self) -> Option<Standing> {
        self.ahead.filter(|ahead| ahead.abs() > SKEW).map(Standing::Skewed)
    }

    /// For how long gateways have run with this clock while it was not believed.
    fn doubted(&self, elapsed: TimeDelta) -> TimeDelta {
        self.doubted.map_or(TimeDelta::zero(), |before| before + (elapsed - self.started))
    }

    fn standing(&self, now: Timestamp, elapsed: TimeDelta) -> Standing {
        let ahead = now - self.line(elapsed);
        if ahead > DAY {
            return Standing::Jumped(ahead);
        }
        if ahead < -DAY && self.is_proven {
            return Standing::Behind(-ahead);
        }
        let skewed = self.skewed();
        let Some(alive_at) = self.known.alive_at.filter(|_| !self.is_proven) else {
            return skewed.unwrap_or(Standing::Well);
        };
        if now < alive_at {
            return Standing::Behind(alive_at - now);
        }
        if !self.is_ahead_of_life(now) {
            return Standing::Jumped(now - alive_at);
        }
        let left = PATIENCE - self.doubted(elapsed);
        skewed.unwrap_or(Standing::Doubted { alive_at, left: left.max(TimeDelta::zero()) })
    }
}

impl Standing {
    /// Whether health fails for it.
    pub fn is_failing(self) -> bool {
        !matches!(self, Self::Well | Self::Doubted { .. })
    }

    /// The same in a sentence, with what follows and the way out; `None` where nothing is amiss.
    pub fn describe(self) -> Option<String> {
        const WORD: &str =
            "if it is right, say so: `switchboard doctor --clock-is-right`; if not, set it";
        Some(match self {
            Self::Well => return None,
            Self::Doubted { alive_at, left } => format!(
                "the clock stands more than a day after the last sign of life ({}): nothing is deleted for its age for {} \
                 more hours of running, or until `switchboard doctor --clock-is-right`",
                alive_at.format("%Y-%m-%dT%H:%MZ"),
                left.num_minutes().div_euclid(60) + 1
            ),
            Self::Jumped(by) => {
                format!(
                    "the clock jumped ahead by {}: nothing is deleted for its age; {WORD}",
                    span(by)
                )
            }
            Self::Behind(by) => format!(
                "the clock stands {} before the time that was known: nothing is deleted for its age; {WORD}",
                span(by)
            ),
            Self::Skewed(by) => format!(
                "the clock is {} {} PostgreSQL's: nothing is deleted for its age until they agree within a minute; \
                 synchronize both machines (NTP)",
                span(by.abs()),
                if by > TimeDelta::zero() { "ahead of" } else { "behind" }
            ),
        })
    }
}

fn span(by: TimeDelta) -> String {
    match (by.num_days(), by.num_hours(), by.num_minutes()) {
        (days @ 2.., ..) => format!("{days} days"),
        (_, hours @ 2.., _) => format!("{hours} hours"),
        (_, _, minutes @ 2..) => format!("{minutes} minutes"),
        _ => format!("{} seconds", by.num_seconds()),
    }
}

#[cfg(test)]
mod tests;
