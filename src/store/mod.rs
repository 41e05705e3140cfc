//! The only SQL. One file a table (or a small family of tables), both engines, and the commit batcher.
//!
//! Statements are written once where SQLite and PostgreSQL agree, and side by side where they part. The organization is the
//! first parameter of every function and the first condition of every statement; the few that look across
//! organizations say so and run in [`Store::read_all`] or [`Store::write_all`] sessions, whose PostgreSQL role has only
//! the rights that intake and sweeps need.

pub mod accounts;
pub mod api_keys;
pub mod attachments;
pub mod audit;
pub mod call_logs;
pub mod contacts;
pub mod events;
pub mod gateway_keys;
pub mod inbox;
pub mod intake;
pub mod jobs;
pub mod leads;
pub mod leaving;
pub mod lines;
pub mod media;
pub mod members;
pub mod merges;
pub mod messages;
pub mod notices;
pub mod organizations;
pub mod recorded;
pub mod routes;
pub mod sending;
pub mod sweep;
pub mod timekeeping;
pub mod timeline;
pub mod unread;

mod bulk;
mod database;
mod error;
mod lender;
mod limits;
mod migrations;
mod session;
mod types;
mod writer;

pub use database::{Engine, PostgresRoles, Store, StoreOptions};
pub use error::StoreError;
pub use session::Session;
