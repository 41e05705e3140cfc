//! Chance that can be repeated.

use std::sync::OnceLock;
use std::time::UNIX_EPOCH;

use super::figure;

/// A generator of numbers: the same seed gives the same ones (`SplitMix64`).
#[derive(Debug)]
pub struct Dice(u64);

/// The run's seed: `HOSTILE_SEED`, or else another one each time. It is printed, so that a run can be repeated.
pub fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| {
        let given = std::env::var("HOSTILE_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| {
            let now = UNIX_EPOCH.elapsed().unwrap_or_default();
            now.as_secs() << 20 | u64::from(now.subsec_micros())
        });
        figure("seed, which HOSTILE_SEED repeats", seed);
        seed
    })
}

impl Dice {
    /// Dice of the run's seed; `purpose` tells those of one test from another's.
    pub fn of(purpose: &str) -> Self {
        Self(purpose.bytes().fold(seed(), |mixed, byte| mixed.rotate_left(9) ^ u64::from(byte)))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 where there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap();
        usize::try_from(self.next() % bound).unwrap()
    }

    pub fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    pub fn pick<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.below(things.len())]
    }

    /// One of a few words or numbers.
    pub fn choose<T: Copy>(&mut self, things: &[T]) -> T {
        things[self.below(things.len())]
    }

    /// Whether one of `of` came up.
    pub fn once_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }
}

#[test]
fn the_same_seed_gives_the_same_numbers() {
    let throw = |dice: &mut Dice| -> Vec<u64> { (0..9).map(|_| dice.next()).collect() };
    assert_eq!(throw(&mut Dice::of("a")), throw(&mut Dice::of("a")));
    assert_ne!(throw(&mut Dice::of("a")), throw(&mut Dice::of("b")));
}
