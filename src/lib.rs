//! Switchboard: a self-hosted, multi-tenant communications gateway with two providers for every channel.
//!
//! Imports point downward only; what stands in braces are strangers to each other:
//!
//! ```text
//! main -> cli -> {web, jobs, sandbox} -> flow -> gateway -> {store, transport}
//!      -> {model, vault, metrics, config, clock, ids} -> providers
//! ```

pub mod cli;
pub mod clock;
pub mod config;
pub mod flow;
pub mod gateway;
pub mod ids;
pub mod jobs;
pub mod metrics;
pub mod model;
pub mod sandbox;
pub mod store;
pub mod transport;
pub mod vault;
pub mod web;
