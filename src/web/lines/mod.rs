//! What accounts can do besides carrying messages.

pub(super) mod drafts;
pub(super) mod probe;
pub(super) mod receipts;
pub(super) mod sessions;
pub(super) mod templates;
