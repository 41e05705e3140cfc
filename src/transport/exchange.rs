//! One request and its answer, and what is known when there is none.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use providers::{ProviderRequest, ProviderResponse};
use url::Url;

use super::client::explain;
use super::guard::Forbidden;
use super::{Behalf, DownloadError, Transport};
use crate::clock::Clock;

/// How large an answer may be. Files are downloaded, not answered.
const ANSWER_BYTES: usize = 4 << 20;

/// A request that got no answer. The details hold no query, no header and no credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// It may not be sent there: the address is refused, leads to where nobody may go, or is none that its credentials may be
    /// sent to. Nothing of it left, and nothing will until settings are changed.
    #[error("{0}")]
    Refused(String),
    /// Nothing of it can have arrived: there is no such name, or nobody could be connected to.
    #[error("{0}")]
    NeverLeft(String),
    /// It may have arrived, and been done: the time was up, the connection broke, or the answer was cut short.
    #[error("{0}")]
    Unanswered(String),
}

impl Lost {
    /// The code that stands in the place of a provider's: `destination_refused` or `no_answer`.
    pub fn word(&self) -> &'static str {
        match self {
            Lost::Refused(_) => "destination_refused",
            Lost::NeverLeft(_) | Lost::Unanswered(_) => "no_answer",
        }
    }
}

impl Transport {
    /// Sends `request` once and reads the whole answer, whatever its status. Redirects are answers, too. `timeout` is for
    /// all of it; connecting alone may take five seconds, and a time-out that is shorter counts as unanswered while
    /// connecting. Answers have at most four megabytes.
    pub async fn exchange(
        &self,
        request: &ProviderRequest,
        behalf: Behalf,
        clock: &Clock,
        timeout: Duration,
    ) -> Result<ProviderResponse, Lost> {
        let answer = async {
            let response = self.send(&request.http, behalf).await?;
            read(response, clock).await
        };
        tokio::time::timeout(timeout, answer)
            .await
            .unwrap_or_else(|_| Err(Lost::Unanswered("the time was up".to_owned())))
    }

    /// Sends a request that the guard admits, up to the answer's head. Every request of ours leaves here, so it is here that
    /// credentials are kept from going elsewhere, whatever asked for it and however its address came about.
    pub(super) async fn send(
        &self,
        request: &http::Request<Bytes>,
        behalf: Behalf,
    ) -> Result<reqwest::Response, Lost> {
        let url = read_url(request.uri()).map_err(Lost::Refused)?;
        let clients = self.clients(behalf.organization);
        let reach = clients.guard.admit(&url).map_err(Lost::Refused)?;
        if request.headers().values().any(http::HeaderValue::is_sensitive) {
            clients.guard.trust(behalf.homes, &url).map_err(Lost::Refused)?;
        }
        let sent = clients
            .client(reach)
            .request(request.method().clone(), url)
            .headers(request.headers().clone())
            .body(request.body().clone())
            .send()
            .await;
        sent.map_err(|error| match forbidden(&error) {
            Some(reason) => Lost::Refused(reason),
            None if error.is_connect() || error.is_builder() => Lost::NeverLeft(explain(error)),
            None => Lost::Unanswered(explain(error)),
        })
    }
}

/// Why the resolver let nothing through, if that is what failed.
fn forbidden(error: &reqwest::Error) -> Option<String> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(Forbidden(reason)) = error.downcast_ref() {
            return Some(reason.clone());
        }
        cause = error.source();
    }
    None
}

/// A request's address. One that cannot be read may hold anything, so it is not quoted.
pub(super) fn read_url(uri: &http::Uri) -> Result<Url, String> {
    Url::parse(&uri.to_string()).map_err(|error| format!("the address cannot be read: {error}"))
}

/// The whole answer, within its bound.
pub(super) async fn read(
    mut response: reqwest::Response,
    clock: &Clock,
) -> Result<ProviderResponse, Lost> {
    let mut http = http::Response::new(Bytes::new());
    *http.status_mut() = response.status();
    *http.headers_mut() = std::mem::take(response.headers_mut());
    let mut body = BytesMut::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| Lost::Unanswered(explain(error)))?
    {
        if body.len() + chunk.len() > ANSWER_BYTES {
            let status = http.status();
            return Err(Lost::Unanswered(format!("{status}, and the answer does not end")));
        }
        body.extend_from_slice(&chunk);
    }
    *http.body_mut() = body.freeze();
    Ok(ProviderResponse { at: clock.now(), http })
}

impl From<Lost> for DownloadError {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Refused(reason) => Self::Forbidden(reason),
            lost => Self::Lost(lost),
        }
    }
}
