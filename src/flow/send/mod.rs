//! Sending: messages are accepted into the queue, taken from it lane by lane, sent, and their fate is written down.
//!
//! A message is accepted with a row ([`accept`], many of them by [`bulk`]); somebody wakes its lane ([`lane`]); the lane takes what its pace allows
//! ([`take`]), writes the journal, sends side by side ([`dispatch`]), decides what a failure means
//! ([`verdict`](crate::model::verdict)) and writes it down. What a dead process left is found by [`recover`].

pub mod accept;
pub mod bulk;
mod by_number;
mod desk;
mod dispatch;
mod exchanges;
mod files;
mod groups;
mod halts;
pub mod holds;
mod judge;
pub mod lane;
pub mod leave_alone;
mod link_name;
pub mod manage;
mod marketing;
mod probe;
pub mod recipient;
pub mod recover;
mod running;
mod shown;
mod sort;
mod take;
mod templates;
mod way;
