//! One bed for all providers: fixtures go in, snapshots, laws and properties hold. No network, no database.

#![allow(unreachable_pub, reason = "a test binary has no reach")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod fixtures;
mod laws;
mod normal;
mod properties;
mod twilio;
mod vectors;
mod waha;
mod waha_sending;
