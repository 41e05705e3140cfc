//! Messages of ours: the queue, its lanes, the journal of attempts, and what must not be sent or answered twice.
//!
//! A row of `outbound` is the truth about one message. It is claimed by one process at a time; a claim is checked again
//! when the journal is written, right before a request leaves, so that a process that slept too long sends nothing that
//! another has taken over.

pub mod backlog;
pub mod claim;
pub mod effects;
pub(in crate::store) mod failed;
pub mod holds;
pub mod idempotency;
pub mod journal;
pub mod lanes;
pub mod outbound;
pub mod recipients;
pub mod recovery;
mod references;
pub mod settle;
mod statuses;
pub mod suppressions;
