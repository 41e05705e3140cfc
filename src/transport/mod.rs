//! The only way out: every connection the gateway opens to somebody else is opened here.

mod deliver;

use std::time::Duration;

pub use deliver::{Courier, Fetched};

/// The clients, sharing their connections.
#[derive(Debug, Clone)]
pub struct Transport {
    http: reqwest::Client,
}

/// Why an outgoing request failed. Holds no credential and no body.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TransportError(String);

/// How large a document of the operator's own choosing may be (key sets are a few kilobytes).
const DOCUMENT_BYTES: usize = 1 << 20;

impl Default for Transport {
    fn default() -> Self {
        Self::new()
    }
}

impl Transport {
    /// New clients. The process's TLS provider is ring; it is installed here if nobody did before.
    pub fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))
            .build()
            .unwrap_or_default();
        Self { http }
    }

    /// Fetches a JSON document from an address that the operator has configured.
    pub async fn fetch_json<T: serde::de::DeserializeOwned>(
        &self,
        url: &str,
    ) -> Result<T, TransportError> {
        let failed = |error: reqwest::Error| TransportError(error.without_url().to_string());
        let mut response = self.http.get(url).send().await.map_err(failed)?;
        if !response.status().is_success() {
            return Err(TransportError(format!("the answer was {}", response.status())));
        }
        let mut document = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            document.extend_from_slice(&chunk);
            if document.len() > DOCUMENT_BYTES {
                return Err(TransportError("the document is too large".to_owned()));
            }
        }
        serde_json::from_slice(&document).map_err(|error| TransportError(error.to_string()))
    }
}
