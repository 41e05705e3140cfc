//! One bed for all providers: fixtures go in, snapshots, laws and properties hold. No network, no database.

#![allow(unreachable_pub, reason = "a test binary has no reach")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod bridges;
mod cases;
mod codes;
mod credentials;
mod evolution;
mod evolution_asking;
mod evolution_sending;
mod fixtures;
mod garbled;
mod laws;
mod meta_sending;
mod normal;
mod openapi;
mod outside;
mod prechecks;
mod properties;
mod telnyx_events;
mod telnyx_sending;
mod twilio;
mod twilio_asking;
mod twilio_sending;
mod vectors;
mod waha;
mod waha_sending;
mod words;
