//! Where ids come from: UUIDs of version 7 whose time is when the thing *happened*; for people, UUIDs of version 4.
//!
//! Messages are listed in the order of their ids, and calls in the order of ids that were [moved], so an id holds, from
//! the left: 48 bits of milliseconds and
//! 12 bits of finer time of the occurrence (RFC 9562, section 6.2, method 3), then 46 bits that count up with
//! every id made (the microsecond of its making), then 16 bits that differ from process to process. Two messages of one second, which is as
//! fine as some providers tell the time, thus stay in the order in which they came.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::TimeDelta;
use uuid::Uuid;

use crate::clock::{Clock, Timestamp};

const ARRIVAL_BITS: u32 = 46;

/// A source of ids.
#[derive(Debug, Clone)]
pub struct Ids {
    clock: Clock,
    /// The last arrival that was given out, in microseconds: each id gets a later one.
    last: Arc<AtomicU64>,
    /// Tells this process's ids from another's.
    seed: u64,
}

impl Ids {
    /// Ids whose arrival order follows `clock`.
    pub fn new(clock: Clock) -> Self {
        Self { clock, last: Arc::new(AtomicU64::new(0)), seed: random_seed() }
    }

    /// An id of something that happens now.
    pub fn next(&self) -> Uuid {
        self.at(self.clock.now())
    }

    /// An id of something that happened at `occurred`.
    pub fn at(&self, occurred: Timestamp) -> Uuid {
        let now = u64::try_from(self.clock.now().timestamp_micros()).unwrap_or_default();
        let claim = |last: u64| Some(now.max(last + 1));
        let last = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim);
        let arrival = last.map_or(now, |last| now.max(last + 1));
        let bits = u128::from(arrival) & ((1 << ARRIVAL_BITS) - 1);
        build(occurred.timestamp_micros(), (bits << 16) | u128::from(scatter(self.seed, arrival)))
    }
}

/// The smallest id of anything that happened at `at` or later; of times that no id can hold, the nearest there is. What is
/// shown has whole microseconds, so a fraction of one is the next.
pub fn first_at(at: Timestamp) -> Uuid {
    let whole = i64::from(!at.timestamp_subsec_nanos().is_multiple_of(1_000));
    build(at.timestamp_micros() + whole, 0)
}

/// `id` with the time `at`: the place of something on the timeline that turned out to have happened then. An id keeps its
/// place if its time is right.
pub fn moved(id: Uuid, at: Timestamp) -> Uuid {
    build(at.timestamp_micros(), id.as_u128())
}

/// An id that says nothing, not even when it was made: of people, who are known to several organizations.
///
/// # Errors
/// The operating system gave no random bytes.
pub fn random() -> Result<Uuid, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

/// When the thing of that id happened, to about a quarter of a microsecond below.
pub fn time_of(id: Uuid) -> Timestamp {
    let value = id.as_u128();
    let millis = i64::try_from(value >> 80).unwrap_or_default();
    let fraction = i64::try_from((value >> 64) & 0xfff).unwrap_or_default();
    let start = Timestamp::from_timestamp_millis(millis).unwrap_or_default();
    start + TimeDelta::microseconds((fraction * 1_000 + 4_095) / 4_096)
}

fn build(micros: i64, tail: u128) -> Uuid {
    let micros = u128::try_from(micros).unwrap_or_default();
    let (millis, micros) = ((micros / 1_000).min(0xffff_ffff_ffff), micros % 1_000);
    let fraction = micros * 4_096 / 1_000;
    let value =
        millis << 80 | 0x7 << 76 | (fraction & 0xfff) << 64 | 0x2 << 62 | (tail & ((1 << 62) - 1));
    Uuid::from_u128(value)
}

/// Sixteen bits that differ from process to process, for the `arrival`th id. They only keep apart what two processes make
/// in the same microsecond; nobody relies on their being secret.
fn scatter(seed: u64, arrival: u64) -> u16 {
    let mixed = (seed ^ arrival).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    u16::try_from(mixed >> 48).unwrap_or_default()
}

/// A random seed. Without a source of randomness the counter alone still keeps ids apart in one process.
fn random_seed() -> u64 {
    let mut bytes = [0; 8];
    if getrandom::fill(&mut bytes).is_err() {
        return 0;
    }
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn ids_order_by_occurrence_and_then_by_arrival() {
        let ids = Ids::new(Clock::frozen(instant("2026-11-01T12:00:00.123456Z")));
        let early = ids.at(instant("2026-10-01T00:00:00Z"));
        let first = ids.next();
        let second = ids.next();
        let third = ids.next();
        assert!(early < first && first < second && second < third);
        assert_eq!(first.get_version_num(), 7);
        assert_eq!(first.get_variant(), uuid::Variant::RFC4122);
    }

    #[test]
    fn an_id_tells_its_time() {
        let ids = Ids::new(Clock::frozen(instant("2026-11-01T12:00:00Z")));
        for text in ["2026-10-01T00:00:00Z", "2026-10-01T00:00:00.123456Z", "1970-01-01T00:00:01Z"]
        {
            let at = instant(text);
            assert_eq!(time_of(ids.at(at)), at);
            assert!(first_at(at) <= ids.at(at));
            assert!(first_at(at + TimeDelta::microseconds(1)) > ids.at(at));
            assert!(
                first_at(at + TimeDelta::nanoseconds(1)) > ids.at(at),
                "what is shown is earlier"
            );
        }
        assert_eq!(time_of(first_at(instant("1900-01-01T00:00:00Z"))), Timestamp::UNIX_EPOCH);
        assert!(first_at(Timestamp::MAX_UTC) > first_at(instant("9999-12-31T23:59:59Z")));
    }

    #[test]
    fn an_id_is_moved_to_another_time_and_back() {
        let ids = Ids::new(Clock::frozen(instant("2026-11-01T12:00:00Z")));
        let (heard, began) =
            (instant("2026-11-01T11:59:00.123456Z"), instant("2026-11-01T11:00:00.5Z"));
        let (first, second) = (ids.at(heard), ids.at(heard));
        assert_eq!(moved(first, heard), first);
        assert_eq!(time_of(moved(first, began)), began);
        assert_eq!(moved(moved(first, began), heard), first);
        assert!(moved(first, began) < moved(second, began), "the order of arrival stays");
    }

    #[test]
    fn a_random_id_carries_no_time() {
        let (first, second) = (random().unwrap(), random().unwrap());
        assert_eq!((first.get_version_num(), first.get_variant()), (4, uuid::Variant::RFC4122));
        assert_ne!(first, second);
    }
}
