//! The front door: every request gets an id, a time limit, a line in the log and a measurement; webhooks take a short way
//! to their flow, everything else goes through the router.
//!
//! A webhook needs none of what the router's layers do, and there are more of them than of everything else together: the
//! short way makes each a fifth cheaper.

use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderName, HeaderValue, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::FutureExt;
use tower::ServiceExt;
use tracing::Instrument;
use tracing::field::display;

use super::pace::{Pace, Paced};
use super::{App, Problem, hooks, media, public_url, router};
use crate::metrics;

/// How long handing in a file may take: it may be large, and the line slow.
const UPLOAD: Duration = Duration::from_mins(10);

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The whole web of a gateway. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Front {
    app: App,
    router: Router,
}

impl Front {
    /// The web of an app.
    pub fn new(app: App) -> Self {
        let router = router::build(app.clone());
        Self { app, router }
    }

    /// Answers a request that came from `peer`.
    pub async fn call<B>(&self, request: Request<B>, peer: Option<SocketAddr>) -> Response
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let started = Instant::now();
        let id = self.request_id(&request);
        let peer_ip = peer.map(|peer| peer.ip());
        let usual = Duration::from_millis(self.app.gateway.config.server.request_timeout_ms);
        let (limit, pace) = match media::is_upload(request.method(), request.uri().path()) {
            true => (UPLOAD, Pace::UPLOAD),
            false => (usual, Pace::USUAL),
        };
        let mut request = request.map(|body| Paced::new(body, pace));
        if let Some(target) = hooks::target(request.uri().path()) {
            // A copy that shares its text.
            let url = request.uri().clone();
            let answer = {
                let answer = pin!(hooks::receive(&self.app, target, request, peer_ip, &id));
                in_time(limit, answer).await
            };
            let response = answer.unwrap_or_else(|unanswered| {
                hooks::unanswered(target, &unanswered, started.elapsed());
                unanswered.tell(&id, url.path())
            });
            return with_id(response, id);
        }
        request.headers_mut().insert(&REQUEST_ID, id.clone());
        if let Some(peer) = peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let client = self.client(&request, peer_ip).map(display);
        let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default());
        let answer = self.router.clone().oneshot(request.map(Body::new));
        let answer = async { answer.await.unwrap_or_else(|never| match never {}) };
        // Boxed, so that webhooks need not carry the room that the largest handler needs.
        let answer = in_time(limit, Box::pin(answer.instrument(span.clone()))).await;
        let response =
            answer.unwrap_or_else(|unanswered| unanswered.tell(&id, media::loggable(&path)));
        let (status, took) = (response.status().as_u16(), started.elapsed());
        metrics::request(status, took);
        let took_ms = took.as_secs_f64() * 1e3;
        span.in_scope(|| {
            let path = media::loggable(&path);
            tracing::info!(%method, path, status, took_ms, client, "request");
        });
        with_id(response, id)
    }

    fn client<B>(&self, request: &Request<B>, peer: Option<IpAddr>) -> Option<IpAddr> {
        public_url::client(request.headers(), &self.app.gateway.config.server, peer)
    }

    /// The id that the caller gave, if it is a plain one; else a new one.
    fn request_id<B>(&self, request: &Request<B>) -> HeaderValue {
        let plain = |value: &&HeaderValue| {
            let bytes = value.as_bytes();
            (1..=128).contains(&bytes.len())
                && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
        };
        match request.headers().get(&REQUEST_ID).filter(plain) {
            Some(given) => given.clone(),
            None => {
                let mut buffer = uuid::Uuid::encode_buffer();
                let id = self.app.gateway.ids.next().simple().encode_lower(&mut buffer);
                HeaderValue::from_str(id).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
            }
        }
    }
}

fn with_id(mut response: Response, id: HeaderValue) -> Response {
    response.headers_mut().insert(&REQUEST_ID, id);
    response
}

/// Why a request has no answer of its handler's.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// It took longer than this.
    TimedOut(Duration),
    /// Its handler panicked, and said this.
    Panicked(String),
}

impl Unanswered {
    /// The outcome's word in the metrics.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::TimedOut(_) => "timed_out",
            Self::Panicked(_) => "panicked",
        }
    }

    /// Leaves a line; returns what to answer.
    fn tell(&self, id: &HeaderValue, path: &str) -> Response {
        let id = id.to_str().unwrap_or_default();
        match self {
            Self::TimedOut(limit) => {
                let limit_ms = limit.as_millis();
                tracing::warn!(id, path, limit_ms, "a request took too long and was given up");
                Problem::timed_out().into_response()
            }
            Self::Panicked(text) => {
                let error = std::io::Error::other(format!("a handler panicked: {text}"));
                tracing::error_span!("request", id, path)
                    .in_scope(|| Problem::internal(&error).into_response())
            }
        }
    }
}

/// The answer, if it comes in time and without a panic.
async fn in_time(
    limit: Duration,
    answer: impl Future<Output = Response>,
) -> Result<Response, Unanswered> {
    match tokio::time::timeout(limit, AssertUnwindSafe(answer).catch_unwind()).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(panic)) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Err(Unanswered::Panicked(text))
        }
        Err(_) => Err(Unanswered::TimedOut(limit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_handler_that_panics_or_takes_too_long_has_no_answer() {
        let soon = Duration::from_millis(5);
        let late = in_time(soon, std::future::pending()).await.unwrap_err();
        assert_eq!(late.word(), "timed_out");
        let id = HeaderValue::from_static("one");
        assert_eq!(late.tell(&id, "/hooks/meta").status(), 503);
        let panicking = async { panic!("it is {}", "broken") };
        let panicked = in_time(soon, panicking).await.unwrap_err();
        assert!(matches!(&panicked, Unanswered::Panicked(text) if text == "it is broken"));
        assert_eq!(panicked.word(), "panicked");
        assert_eq!(panicked.tell(&id, "/hooks/meta").status(), 500);
    }
}
