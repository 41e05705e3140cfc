//! Stand-ins for the providers: what they send, signed as they sign it. For demonstrations, benchmarks and tests.

mod recordings;

pub use recordings::{Recorded, RecordedAccount, RecordedRoute, accounts, webhooks};
