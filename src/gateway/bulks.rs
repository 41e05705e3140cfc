//! Requests that bring many messages: one at a time an organization, in pieces that are written in a moment.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::model::OrganizationId;

/// How many messages the first piece has.
const FIRST: usize = 25;

/// The bounds of a piece, in messages: below the least, what is spent on each transaction weighs more than its messages do.
const LEAST: usize = 8;
const MOST: usize = 250;

/// How many requests of one organization may wait for their turn.
const WAITING: usize = 16;

/// What requests with many messages share.
#[derive(Debug)]
pub struct Bulks {
    turns: Arc<Mutex<HashMap<OrganizationId, Turns>>>,
    /// One piece at a time is worked on: whoever has many messages has time, and processors are for those who have none.
    places: Semaphore,
    /// When the next piece may begin.
    free_from: Mutex<Instant>,
    size: AtomicUsize,
}

#[derive(Debug)]
struct Turns {
    one: Arc<Semaphore>,
    /// Those at work and those that wait.
    count: usize,
}

/// An organization's turn. The next one's comes when this is dropped.
#[derive(Debug)]
pub struct Turn {
    _permit: OwnedSemaphorePermit,
    _place: InLine,
}

/// A place in an organization's line.
#[derive(Debug)]
struct InLine {
    turns: Arc<Mutex<HashMap<OrganizationId, Turns>>>,
    organization: OrganizationId,
}

impl Default for Bulks {
    fn default() -> Self {
        Self {
            turns: Arc::default(),
            places: Semaphore::new(1),
            free_from: Mutex::new(Instant::now()),
            size: AtomicUsize::new(FIRST),
        }
    }
}

impl Bulks {
    /// The organization's turn; `None` if it does not come within `patience`, or too many wait for it already.
    pub async fn turn(&self, organization: OrganizationId, patience: Duration) -> Option<Turn> {
        let (one, place) = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Turns { one: Arc::new(Semaphore::new(1)), count: 0 };
            let of_one = turns.entry(organization).or_insert_with(new);
            if of_one.count > WAITING {
                return None;
            }
            of_one.count += 1;
            (Arc::clone(&of_one.one), InLine { turns: Arc::clone(&self.turns), organization })
        };
        let permit = tokio::time::timeout(patience, one.acquire_owned()).await.ok()?.ok()?;
        Some(Turn { _permit: permit, _place: place })
    }

    /// A place to work on a piece: organizations take turns, piece by piece. It comes once what was worked on before has rested.
    pub async fn place(&self) -> Option<SemaphorePermit<'_>> {
        let place = self.places.acquire().await.ok()?;
        let free_from = *self.free_from.lock().unwrap_or_else(PoisonError::into_inner);
        tokio::time::sleep_until(free_from.into()).await;
        Some(place)
    }

    /// The next piece waits for so long: webhooks came while one was worked on, and processors are theirs for as long again.
    pub fn rest(&self, worked: Duration) {
        let free_from = Instant::now() + worked;
        *self.free_from.lock().unwrap_or_else(PoisonError::into_inner) = free_from;
    }

    /// How many messages the next piece should have.
    pub fn size(&self) -> usize {
        self.size.load(Ordering::Relaxed)
    }

    /// A piece of that many messages held others up for so long, where `target` is wanted.
    pub fn learn(&self, messages: usize, held: Duration, target: Duration) {
        self.size.store(next_size(messages, held, target), Ordering::Relaxed);
    }
}

/// Nearer to the target by at most half a piece: one look is no average.
fn next_size(messages: usize, held: Duration, target: Duration) -> usize {
    let fitting = target.as_micros() * messages as u128 / held.as_micros().max(1);
    let fitting = usize::try_from(fitting).unwrap_or(MOST);
    fitting.clamp(messages / 2, messages + messages.div_ceil(2)).clamp(LEAST, MOST)
}

impl Drop for InLine {
    fn drop(&mut self) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_one) = turns.get_mut(&self.organization) {
            of_one.count -= 1;
            if of_one.count == 0 {
                turns.remove(&self.organization);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn pieces_grow_and_shrink_towards_the_target_within_bounds() {
        let ms = Duration::from_millis;
        assert_eq!(next_size(100, ms(20), ms(20)), 100);
        assert_eq!(next_size(100, ms(25), ms(20)), 80);
        assert_eq!(next_size(100, ms(1), ms(20)), 150, "at most half as much again");
        assert_eq!(next_size(100, ms(500), ms(20)), 50, "at least half");
        assert_eq!(next_size(LEAST, ms(500), ms(20)), LEAST);
        assert_eq!(next_size(MOST, ms(1), ms(20)), MOST);
        assert!(next_size(LEAST, ms(1), ms(20)) > LEAST, "the least piece grows again");
    }

    #[tokio::test]
    async fn one_at_a_time_an_organization_and_nothing_is_left_behind() {
        let bulks = Bulks::default();
        let [one, other] = [1, 2].map(|n| OrganizationId(Uuid::from_u128(n)));
        let first = bulks.turn(one, Duration::ZERO).await.unwrap();
        assert!(bulks.turn(one, Duration::from_millis(5)).await.is_none());
        let theirs = bulks.turn(other, Duration::ZERO).await.unwrap();
        drop(first);
        let second = bulks.turn(one, Duration::from_secs(5)).await.unwrap();
        drop((second, theirs));
        assert!(bulks.turns.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_piece_waits_until_the_one_before_has_rested() {
        let bulks = Bulks::default();
        let began = Instant::now();
        drop(bulks.place().await.unwrap());
        bulks.rest(Duration::from_millis(50));
        drop(bulks.place().await.unwrap());
        assert!(began.elapsed() >= Duration::from_millis(50));
    }

    #[tokio::test]
    async fn a_line_has_an_end() {
        let bulks = Bulks::default();
        let one = OrganizationId(Uuid::from_u128(1));
        let _first = bulks.turn(one, Duration::ZERO).await.unwrap();
        let turn = || bulks.turn(one, Duration::from_secs(5));
        let mut line: Vec<_> = (0..WAITING).map(|_| Box::pin(turn())).collect();
        for waiting in &mut line {
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        }
        let began = std::time::Instant::now();
        assert!(turn().await.is_none(), "whoever comes last is told at once");
        assert!(began.elapsed() < Duration::from_secs(4));
    }
}
