//! The HTTP clients, one for each kind of target, and documents of the operator's own choosing.

use std::time::Duration;

use super::guard::{Guard, Reach, Resolver};
use crate::config::Target;

/// How long it may take to find an address, connect and agree on keys.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a connection is kept for the next request. Shorter than what servers and balancers keep it, so that a request is
/// rarely written to a connection that is being closed: nobody could say whether it arrived.
const KEEP: Duration = Duration::from_secs(20);

/// How large a document of the operator's own choosing may be (key sets are a few kilobytes).
const DOCUMENT_BYTES: usize = 1 << 20;

/// The clients, sharing their connections.
#[derive(Debug, Clone)]
pub struct Transport {
    pub(super) guard: Guard,
    /// For the operator's own addresses, and for hosts that are allowed by name.
    anywhere: reqwest::Client,
    /// For public addresses, and networks that are allowed.
    outside: reqwest::Client,
    /// For networks that are allowed.
    inside: reqwest::Client,
}

/// Why an outgoing request failed. Holds no credential and no body.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TransportError(pub(super) String);

impl Transport {
    /// New clients; `allow` names what may be reached though it is not public. The process's TLS provider is ring; it is
    /// installed here if nobody did before.
    pub fn new(allow: &[Target]) -> Result<Self, TransportError> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let guard = Guard::new(allow);
        Ok(Self {
            anywhere: client(&guard, Reach::Anywhere)?,
            outside: client(&guard, Reach::Outside)?,
            inside: client(&guard, Reach::Inside)?,
            guard,
        })
    }

    pub(super) fn client(&self, reach: Reach) -> &reqwest::Client {
        match reach {
            Reach::Anywhere => &self.anywhere,
            Reach::Outside => &self.outside,
            Reach::Inside => &self.inside,
        }
    }

    /// Fetches a JSON document from an address that the operator has configured.
    pub async fn fetch_json<T: serde::de::DeserializeOwned>(
        &self,
        url: &str,
    ) -> Result<T, TransportError> {
        let failed = |error: reqwest::Error| TransportError(explain(error));
        let request = self.anywhere.get(url).timeout(Duration::from_secs(10));
        let mut response = request.send().await.map_err(failed)?;
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

/// A client that looks up each name once for each connection and connects to what the guard let through. Nothing is
/// repeated or redirected behind our back, and the environment's proxy, which would look names up itself, is not asked.
fn client(guard: &Guard, reach: Reach) -> Result<reqwest::Client, TransportError> {
    reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .pool_idle_timeout(KEEP)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .dns_resolver(Resolver::new(guard.clone(), reach))
        .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| TransportError(explain(error)))
}

/// An error and its causes in one line, without the URL, whose query may hold a secret.
pub(super) fn explain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
