//! The gateway as a whole, on both engines, over its own HTTP.

#![allow(unreachable_pub, reason = "a test binary has no reach")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod access;
mod accounts;
mod api;
mod batches;
mod binary;
mod bridged;
mod call_legs;
mod calls;
mod cli;
mod demo;
mod devices;
mod directory;
mod doubtful;
mod edited;
mod events;
mod evolution;
mod failing_providers;
mod failures;
mod held;
#[path = "../hostile/mod.rs"]
mod hostile;
mod intake;
mod isolation;
mod lending;
mod lines;
mod locked;
mod media;
mod migrations;
mod observed;
mod one_person;
mod order;
mod outside;
mod people;
mod queue;
mod refused;
mod replay;
mod roles;
mod sandbox;
mod sending;
mod sending_crashes;
mod sending_faults;
mod sending_kinds;
mod sending_providers;
mod shares;
mod signatures;
mod statuses;
mod stopping;
mod stranded;
mod strength;
mod support;
mod suppressions;
mod sweep;
mod templates;
mod timeline;
mod tokens;
mod transport;
mod trust;
mod unread;
mod wakes;
