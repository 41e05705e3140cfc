//! Sending over the API: messages to be sent, the queue they wait in, what was given up, and whom not to write to.

mod draft;
mod interactive;
pub(super) mod messages;
pub(super) mod queue;
pub(super) mod suppressions;
