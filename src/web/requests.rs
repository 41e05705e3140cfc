//! Around every request: an id, a time limit, a line in the log, a measurement.

use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use super::{App, Problem, hooks, public_url};
use crate::metrics;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The outermost layer: gives the request its id, carries it out within its time, and tells of it.
pub(super) async fn handle(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(&app, &request);
    request.headers_mut().insert(&REQUEST_ID, id.clone());
    let path = request.uri().path().to_owned();
    let is_webhook = path.starts_with("/hooks/") || path.ends_with("/whatsapp/webhook");
    let method = request.method().clone();
    let client =
        public_url::client(request.headers(), &app.gateway.config.server, hooks::peer(&request));
    let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default());

    let limit = Duration::from_millis(app.gateway.config.server.request_timeout_ms);
    let answer = tokio::time::timeout(limit, next.run(request)).instrument(span.clone()).await;
    let mut response = answer.unwrap_or_else(|_| Problem::timed_out().into_response());

    let (status, took) = (response.status().as_u16(), started.elapsed());
    let _in_span = span.entered();
    let took_ms = took.as_secs_f64() * 1e3;
    if is_webhook {
        // Flows count webhooks and log refusals; a line for each accepted one would cost more than accepting it.
        tracing::debug!(%method, path, status, took_ms, client = client.map(tracing::field::display), "webhook");
    } else {
        metrics::request(status, took);
        tracing::info!(%method, path, status, took_ms, client = client.map(tracing::field::display), "request");
    }
    response.headers_mut().insert(&REQUEST_ID, id);
    response
}

/// The id that the caller gave, if it is a plain one; else a new one.
fn request_id(app: &App, request: &Request) -> HeaderValue {
    let plain = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        (1..=128).contains(&bytes.len())
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
    };
    match request.headers().get(&REQUEST_ID).filter(plain) {
        Some(given) => given.clone(),
        None => {
            let id = app.gateway.ids.next().simple().to_string();
            HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
        }
    }
}
