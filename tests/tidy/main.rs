//! Keeps the house in order: what the architecture forbids and no lint can see, these tests forbid.

#![allow(unreachable_pub, reason = "a test has no reach")]

mod house;
mod imports;
mod outside;
mod sizes;
mod statements;
