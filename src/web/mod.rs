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
mod limits;
mod lines;
mod media;
mod members;
mod messages;
mod pace;
mod public_url;
mod range;
mod raw;
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
pub use server::{Server, ServerError, descriptors};

use crate::flow::access::KeyMemory;
use crate::gateway::{Gateway, store_options};

/// What every handler may touch.
#[derive(Debug, Clone)]
pub struct App {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// Keys that were found lately.
    pub keys: Arc<KeyMemory>,
    /// Verifies tokens of the identity provider.
    tokens: Arc<auth::Tokens>,
    /// The searches under way.
    searches: Arc<limits::Searches>,
    /// How many requests there were within a minute, where they are limited.
    requests: Arc<limits::Requests>,
    /// Renders the metrics, if they are recorded.
    metrics: Option<PrometheusHandle>,
}

impl App {
    /// An app for a gateway.
    pub fn new(gateway: Arc<Gateway>, metrics: Option<PrometheusHandle>) -> Self {
        let tokens = auth::Tokens::new(&gateway.config.auth);
        let connections = store_options(&gateway.config).connections;
        Self {
            keys: Arc::default(),
            tokens: Arc::new(tokens),
            searches: Arc::new(limits::Searches::new(connections)),
            requests: Arc::new(limits::Requests::new(&gateway.config.limits)),
            metrics,
            gateway,
        }
    }
}
