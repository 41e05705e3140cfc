//! Files, read piece by piece within bounds on their size and time. Redirects are followed here, each one past the guard.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, LOCATION, PROXY_AUTHORIZATION};
use http::{Method, StatusCode};
use providers::{ProviderRequest, ProviderResponse};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use url::Url;

use super::client::explain;
use super::exchange::read;
use super::{Behalf, Lost, Transport};
use crate::clock::Clock;

/// How many redirects are followed.
const REDIRECTS: usize = 3;

/// The bounds of a download.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How large the file may be.
    pub bytes: u64,
    /// How long all of it may take.
    pub timeout: Duration,
    /// How long nothing may come.
    pub idle: Duration,
}

/// Why a file did not come.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// It is not a place where files are fetched from, or a redirect led to one that is not.
    #[error("{0}")]
    Forbidden(String),
    /// It was not answered, not to its end, or not in time.
    #[error("{0}")]
    Lost(Lost),
    /// A redirect that is not followed.
    #[error("{0}")]
    Redirect(String),
    /// The answer was not 2xx.
    #[error("the answer was {}", .0.http.status())]
    Refused(Box<ProviderResponse>),
    /// It is larger than the limit, in bytes.
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
}

/// A file on its way.
#[derive(Debug)]
pub struct Incoming {
    response: reqwest::Response,
    limits: Limits,
    deadline: Instant,
    size: u64,
    hash: Sha256,
}

impl Transport {
    /// Asks for a file, following at most three redirects. Where one leads to another scheme, host or port, whatever
    /// may be a credential stays behind, and stays behind even if the next leads back.
    pub async fn download(
        &self,
        request: &ProviderRequest,
        behalf: Behalf,
        limits: Limits,
        clock: &Clock,
    ) -> Result<Incoming, DownloadError> {
        let deadline = Instant::now() + limits.timeout;
        let mut request = request.http.clone();
        for _ in 0..=REDIRECTS {
            let response = within(deadline, limits.idle, self.send(&request, behalf)).await??;
            let status = response.status();
            if status.is_success() {
                let over = response.content_length().is_some_and(|length| length > limits.bytes);
                let incoming =
                    Incoming { response, limits, deadline, size: 0, hash: Sha256::new() };
                return if over {
                    Err(DownloadError::TooLarge(limits.bytes))
                } else {
                    Ok(incoming)
                };
            }
            if !leads_on(status) {
                let answer = within(deadline, limits.timeout, read(response, clock)).await??;
                return Err(DownloadError::Refused(Box::new(answer)));
            }
            request = follow(&request, &response)?;
        }
        Err(DownloadError::Redirect(format!("more than {REDIRECTS} redirects")))
    }
}

impl Incoming {
    /// The type the server gives it.
    pub fn content_type(&self) -> Option<&str> {
        self.response.headers().get(CONTENT_TYPE)?.to_str().ok()
    }

    /// How large the server says it is, in bytes; never above the limit.
    pub fn announced(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next piece; `None` at the end, which is the true one: a connection that breaks is an error.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, DownloadError> {
        let next =
            async { self.response.chunk().await.map_err(|error| Lost::Unanswered(explain(error))) };
        let Some(chunk) = within(self.deadline, self.limits.idle, next).await?? else {
            return Ok(None);
        };
        self.size += chunk.len() as u64;
        if self.size > self.limits.bytes {
            return Err(DownloadError::TooLarge(self.limits.bytes));
        }
        self.hash.update(&chunk);
        Ok(Some(chunk))
    }

    /// How many bytes came, and their SHA-256.
    pub fn finish(self) -> (u64, [u8; 32]) {
        (self.size, self.hash.finalize().into())
    }
}

/// `work`, unless the deadline passes or nothing happens for `idle`.
async fn within<T>(
    deadline: Instant,
    idle: Duration,
    work: impl Future<Output = T>,
) -> Result<T, DownloadError> {
    let until = deadline.min(Instant::now() + idle);
    let late = |_| DownloadError::Lost(Lost::Unanswered("the time was up".to_owned()));
    tokio::time::timeout_at(until, work).await.map_err(late)
}

fn leads_on(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The request that a redirect asks for.
fn follow(
    request: &http::Request<Bytes>,
    response: &reqwest::Response,
) -> Result<http::Request<Bytes>, DownloadError> {
    let refuse = |reason: &str| DownloadError::Redirect(reason.to_owned());
    if request.method() != Method::GET {
        return Err(refuse("a request that is no GET was redirected"));
    }
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| refuse("a redirect leads nowhere"))?;
    let from = response.url();
    let to = from.join(location).map_err(|_| refuse("a redirect's address cannot be read"))?;
    let mut next = http::Request::new(Bytes::new());
    *next.uri_mut() =
        to.as_str().parse().map_err(|_| refuse("a redirect's address cannot be read"))?;
    *next.headers_mut() = request.headers().clone();
    next.headers_mut().remove(HOST);
    if origin(from) != origin(&to) {
        let headers = std::mem::take(next.headers_mut());
        let credentials = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE];
        let harmless = |name: &http::HeaderName, value: &http::HeaderValue| {
            !value.is_sensitive() && !credentials.contains(name)
        };
        for (name, value) in &headers {
            if harmless(name, value) {
                next.headers_mut().append(name, value.clone());
            }
        }
    }
    Ok(next)
}

fn origin(url: &Url) -> (&str, Option<&str>, Option<u16>) {
    (url.scheme(), url.host_str(), url.port_or_known_default())
}
