//! What the sandbox sends: webhooks, as a provider would, and a look at files that a message links to. It knows no
//! provider and no secret; the requests come to it signed.

use std::time::Duration;

use bytes::Bytes;

use super::TransportError;

/// A client for the sandbox alone. It follows no redirects and keeps its connections.
#[derive(Debug, Clone)]
pub struct Courier {
    http: reqwest::Client,
}

/// A file that was looked at.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The media type the server named.
    pub content_type: Option<String>,
    /// The file.
    pub bytes: Bytes,
}

impl Default for Courier {
    fn default() -> Self {
        Self::new()
    }
}

impl Courier {
    /// A new client. The process's TLS provider is ring; it is installed here if nobody did before.
    pub fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap_or_default();
        Self { http }
    }

    /// Sends a request and returns the status of the answer, whose body is read and dropped.
    ///
    /// # Errors
    /// When no answer came within `patience`.
    pub async fn deliver(
        &self,
        request: http::Request<Bytes>,
        patience: Duration,
    ) -> Result<u16, TransportError> {
        let failed = |error: reqwest::Error| TransportError(error.without_url().to_string());
        let (parts, body) = request.into_parts();
        let sent = self
            .http
            .request(parts.method, parts.uri.to_string())
            .headers(parts.headers)
            .timeout(patience)
            .body(body)
            .send();
        let answer = sent.await.map_err(failed)?;
        let status = answer.status().as_u16();
        // A connection is used again only when its answer was read.
        let _ = answer.bytes().await;
        Ok(status)
    }

    /// Fetches a file of at most `limit` bytes.
    ///
    /// # Errors
    /// When it is not there, is larger, or does not come within ten seconds.
    pub async fn fetch(&self, url: &str, limit: usize) -> Result<Fetched, TransportError> {
        let failed = |error: reqwest::Error| TransportError(error.without_url().to_string());
        let request = self.http.get(url).timeout(Duration::from_secs(10));
        let mut answer = request.send().await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(TransportError(format!("the answer was {}", answer.status())));
        }
        let kind = answer.headers().get(http::header::CONTENT_TYPE);
        let content_type = kind.and_then(|kind| kind.to_str().ok()).map(ToOwned::to_owned);
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > limit {
                return Err(TransportError("the file is too large".to_owned()));
            }
        }
        Ok(Fetched { content_type, bytes: bytes.into() })
    }
}
