//! The commit batcher: webhooks that arrive together are committed together.
//!
//! A request hands in a [`Submission`] and waits for its [`Receipt`]. One task (a few on PostgreSQL, if configured) takes
//! everything that waits, writes it in one transaction, and releases every request with its own result after the
//! commit. While it commits, the next batch gathers: no timer, and no added delay when nothing else is going on. The
//! queue is bounded in number; whoever finds it full is told to come back.

mod aside;
mod calls;
mod changes;
mod commit;
mod edits;
mod identities;
mod light;
mod messages;
mod outcome;
mod outgoing;
mod people;
mod places;
mod quarantine;
mod queue;
mod statuses;
mod strangers;
mod unread;
mod wishes;
mod writer;

pub(crate) use aside::WAITERS;
pub(super) use identities::{Memory, memory};
pub use outcome::{Failing, Outcome};
pub(super) use outgoing::Joining;
pub use queue::{Batcher, BatcherOptions, Committed, SubmitError};

use writer::Writer;
