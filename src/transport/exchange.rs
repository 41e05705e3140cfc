//! One request and its answer, and what is known when there is none.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use providers::{ProviderRequest, ProviderResponse};
use url::Url;

use super::client::explain;
use super::{DownloadError, Transport};
use crate::clock::Clock;

/// How large an answer may be. Files are downloaded, not answered.
const ANSWER_BYTES: usize = 4 << 20;

/// A request that got no answer. The details hold no query, no header and no credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Nothing of it can have arrived: the address is refused, has no such name, or nobody could be connected to.
    #[error("{0}")]
    NeverLeft(String),
    /// It may have arrived, and been done: the time was up, the connection broke, or the answer was cut short.
    #[error("{0}")]
    Unanswered(String),
}

impl Transport {
    /// Sends `request` once and reads the whole answer, whatever its status. Redirects are answers, too. `timeout` is for
    /// all of it; connecting alone may take five seconds, and a time-out that is shorter counts as unanswered while
    /// connecting. Answers have at most four megabytes.
    pub async fn exchange(
        &self,
        request: &ProviderRequest,
        clock: &Clock,
        timeout: Duration,
    ) -> Result<ProviderResponse, Lost> {
        let answer = async {
            let response = self.send(&request.http).await?;
            read(response, clock).await
        };
        tokio::time::timeout(timeout, answer)
            .await
            .unwrap_or_else(|_| Err(Lost::Unanswered("the time was up".to_owned())))
    }

    /// Sends a request that the guard admits, up to the answer's head.
    pub(super) async fn send(
        &self,
        request: &http::Request<Bytes>,
    ) -> Result<reqwest::Response, Lost> {
        let refused = |reason: String| Lost::NeverLeft(reason);
        let url = read_url(request.uri()).map_err(refused)?;
        let client = self.client(self.guard.admit(&url).map_err(refused)?);
        let sent = client
            .request(request.method().clone(), url)
            .headers(request.headers().clone())
            .body(request.body().clone())
            .send()
            .await;
        sent.map_err(|error| match error.is_connect() || error.is_builder() {
            true => Lost::NeverLeft(explain(error)),
            false => Lost::Unanswered(explain(error)),
        })
    }
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
        Self::Lost(lost)
    }
}
