//! The only axum: routes, extractors, handlers and problem documents. Handlers parse, call one flow, and show what came of
//! it; they decide nothing.

mod accounts;
mod answer;
mod audit;
mod auth;
mod body;
mod calls;
mod communications;
mod contacts;
mod docs;
mod error;
mod events;
mod extract;
mod figures;
mod forwarded;
mod front;
mod health;
mod hooks;
mod inbox;
mod keys;
mod leads;
mod lines;
mod media;
mod members;
mod messages;
mod public_url;
mod range;
mod router;
mod routes;
mod sending;
mod server;
mod timeline;
mod times;
mod voip;

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;

pub use error::Problem;
pub use figures::Figures;
pub use front::Front;
pub use server::{Server, ServerError};

use crate::flow::access::KeyMemory;
use crate::gateway::Gateway;

/// What every handler may touch.
#[derive(Debug, Clone)]
pub struct App {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// Keys that were found lately.
    pub keys: Arc<KeyMemory>,
    /// Verifies tokens of the identity provider.
    tokens: Arc<auth::Tokens>,
    /// Renders the metrics, if they are recorded.
    metrics: Option<PrometheusHandle>,
}

impl App {
    /// An app for a gateway.
    pub fn new(gateway: Arc<Gateway>, metrics: Option<PrometheusHandle>) -> Self {
        let tokens = auth::Tokens::new(&gateway.config.auth);
        Self { gateway, keys: Arc::default(), tokens: Arc::new(tokens), metrics }
    }
}
