//! The fuzz target: what any bytes do to the readers of webhooks.

#![no_main]

#[path = "../src/attempt.rs"]
mod attempt;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    attempt::attempt(data);
});
