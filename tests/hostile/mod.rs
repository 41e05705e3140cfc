//! What the gateway stands up to: forgers, silent and greedy clients, full disks, broken logs, clocks that jump.
//!
//! Each test runs with every build at a small scale. `tests/hostile/run` runs the same ones long, on the release program, and
//! prints the figures.

mod bodies;
mod broken_log;
mod bulks;
mod clocks;
mod connections;
mod crowds;
mod destinations;
mod dice;
mod forged;
mod forms;
mod full_disk;
mod fuzzed;
mod heads;
mod kills;
mod squatters;

/// How many times as long as usual the tests run: `HOSTILE_SCALE`, 1 if it is not given.
pub fn scale() -> usize {
    std::env::var("HOSTILE_SCALE").ok().and_then(|text| text.parse().ok()).unwrap_or(1).max(1)
}

/// Prints a line of the table of figures that `tests/hostile/run` shows at its end.
#[expect(clippy::print_stdout, reason = "the figures are for people")]
pub fn figure(name: impl std::fmt::Display, value: impl std::fmt::Display) {
    println!("| {name} | {value} |");
}

#[test]
fn a_scale_is_a_number_from_one_on() {
    assert!(scale() >= 1);
}
