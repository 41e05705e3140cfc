//! Any bytes at all: no reader of webhooks panics. The same attempt is a fuzz target, see `fuzz/README.md`.

#[path = "../../fuzz/src/attempt.rs"]
mod attempt;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::dice::{Dice, seed};
use super::{figure, scale};

/// At each step of the scale.
const SECONDS: u64 = 3;

#[test]
fn fuzzed_no_input_makes_a_reader_of_webhooks_panic() {
    let mut dice = Dice::of("fuzzed");
    let until = Instant::now() + Duration::from_secs(SECONDS * u64::try_from(scale()).unwrap());
    let (mut inputs, mut believed) = (0_u64, 0_u64);
    while Instant::now() < until {
        let length = match dice.below(20) {
            0 => dice.below(4_000),
            _ => 16 + dice.below(80),
        };
        let input: Vec<u8> = (0..length).map(|_| dice.byte()).collect();
        let is_believed = catch_unwind(AssertUnwindSafe(|| attempt::attempt(&input)));
        let is_believed = is_believed.unwrap_or_else(|_| {
            panic!("seed {}: input {inputs} is {}", seed(), hex::encode(&input))
        });
        inputs += 1;
        believed += u64::from(is_believed);
    }
    figure("fuzz inputs", format!("{inputs}, of which {believed} were read when signed; panics 0"));
    assert!(believed > inputs / 4, "only {believed} of {inputs} inputs got as far as the readers");
}

/// What an input means must not depend on what was tried before: a finding can be tried again.
#[test]
fn an_attempt_can_be_repeated() {
    let mut dice = Dice::of("repeated");
    for _ in 0..50 {
        let input: Vec<u8> = (0..60).map(|_| dice.byte()).collect();
        assert_eq!(attempt::attempt(&input), attempt::attempt(&input));
    }
}
