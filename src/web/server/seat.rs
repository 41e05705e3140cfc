//! What a connection is doing, as the house and its deadlines see it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// A connection. Only its own task writes here, and whoever has it go; so nothing waits for anything.
#[derive(Debug)]
pub(super) struct Seat {
    began: Instant,
    /// What it does, in the lowest bits, and since when: milliseconds after `began`.
    state: AtomicU64,
    /// Since when the client has taken nothing of an answer that waits for it: milliseconds after `began` and one; 0: it takes.
    stuck: AtomicU64,
    /// Whether it brought something that nobody has read.
    unread: AtomicBool,
    dismissed: Notify,
}

/// What a connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// It is new, and its first head is not complete.
    New,
    /// It has served a request, and nothing has come since.
    Between,
    /// It has served a request, and a further head has begun.
    Beginning,
    /// A request is being answered.
    Serving,
    /// The answer is complete, and not all of it has left yet.
    Answered,
    /// It was told to go.
    Dismissed,
}

/// How long the clients of a connection may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// From the beginning to the end of a head; on a new connection from its beginning.
    pub(super) head: Duration,
    /// Between two requests.
    pub(super) between: Duration,
}

/// How idle connections go before each other: those that are really idle first, of these the longest.
pub(super) type Idle = (bool, Instant);

const BITS: u32 = 3;

impl Doing {
    const ALL: [Self; 6] =
        [Self::New, Self::Between, Self::Beginning, Self::Serving, Self::Answered, Self::Dismissed];

    fn of(state: u64) -> Self {
        let place = usize::try_from(state & ((1 << BITS) - 1)).unwrap_or_default();
        Self::ALL.get(place).copied().unwrap_or(Self::Dismissed)
    }
}

impl Seat {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            state: AtomicU64::new(Doing::New as u64),
            stuck: AtomicU64::new(0),
            unread: AtomicBool::new(false),
            dismissed: Notify::new(),
        }
    }

    pub(super) fn doing(&self) -> Doing {
        Doing::of(self.state.load(Ordering::Relaxed))
    }

    /// A request's head is complete. Returns whether it may be answered: not if the connection was told to go.
    pub(super) fn begin(&self) -> bool {
        let from = [Doing::New, Doing::Between, Doing::Beginning, Doing::Serving, Doing::Answered];
        self.change(&from, Doing::Serving)
    }

    /// The answer is complete, or will never be.
    pub(super) fn answered(&self) {
        self.change(&[Doing::Serving], Doing::Answered);
    }

    /// Everything that was to be sent has left.
    pub(super) fn sent(&self) {
        if self.doing() == Doing::Answered {
            self.change(&[Doing::Answered], Doing::Between);
        }
    }

    /// Something came.
    pub(super) fn received(&self) {
        if self.doing() == Doing::Between {
            self.change(&[Doing::Between], Doing::Beginning);
        }
    }

    /// Whether the client takes what is sent.
    pub(super) fn takes(&self, takes: bool) {
        match (takes, self.stuck.load(Ordering::Relaxed)) {
            (true, 0) => {}
            (true, _) => self.stuck.store(0, Ordering::Relaxed),
            (false, 0) => self.stuck.store(self.now() + 1, Ordering::Relaxed),
            (false, _) => {}
        }
    }

    /// Since when the client has taken nothing of what waits for it.
    pub(super) fn stuck_since(&self) -> Option<Instant> {
        let at = self.stuck.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.began + Duration::from_millis(at))
    }

    /// Until when something must have come.
    pub(super) fn deadline(&self, patience: Patience) -> Option<Instant> {
        let state = self.state.load(Ordering::Relaxed);
        let patience = match Doing::of(state) {
            Doing::New | Doing::Beginning => patience.head,
            Doing::Between => patience.between,
            Doing::Serving | Doing::Answered | Doing::Dismissed => return None,
        };
        Some(self.since(state) + patience)
    }

    /// Something that it brought is not read.
    pub(super) fn leaves_unread(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// Since when it is idle: no request is under way, or the client has taken nothing of the answer for so long.
    pub(super) fn idle(&self, stuck: Duration) -> Option<Idle> {
        let state = self.state.load(Ordering::Relaxed);
        match Doing::of(state) {
            Doing::New | Doing::Between | Doing::Beginning => Some((false, self.since(state))),
            Doing::Serving | Doing::Answered => {
                let since = self.stuck_since()?;
                (since.elapsed() >= stuck).then_some((true, since))
            }
            Doing::Dismissed => None,
        }
    }

    /// Tells it to go, if it is idle still. From then on it begins no request.
    pub(super) fn dismiss(&self, stuck: Duration) -> bool {
        let state = self.state.load(Ordering::Relaxed);
        if self.idle(stuck).is_none() {
            return false;
        }
        let to = self.now() << BITS | Doing::Dismissed as u64;
        let order = Ordering::Relaxed;
        if self.state.compare_exchange(state, to, order, order).is_err() {
            return false;
        }
        self.dismissed.notify_one();
        true
    }

    /// Resolves when it is told to go.
    pub(super) async fn dismissed(&self) {
        self.dismissed.notified().await;
    }

    fn change(&self, from: &[Doing], to: Doing) -> bool {
        let to = self.now() << BITS | to as u64;
        let order = Ordering::Relaxed;
        let mut state = self.state.load(order);
        while from.contains(&Doing::of(state)) {
            match self.state.compare_exchange_weak(state, to, order, order) {
                Ok(_) => return true,
                Err(other) => state = other,
            }
        }
        false
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX >> BITS)
    }

    fn since(&self, state: u64) -> Instant {
        self.began + Duration::from_millis(state >> BITS)
    }
}
