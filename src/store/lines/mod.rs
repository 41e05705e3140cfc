//! What accounts can do besides carrying messages, in rows: templates, and linked devices.

pub mod sessions;
pub mod templates;
