//! Is everything well, and how is it going?

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret;
use serde::Serialize;
use subtle::ConstantTimeEq;
use utoipa::ToSchema;

use super::{App, Problem};
use crate::flow::health::{self, PartHealth};
use crate::metrics;

/// The process answers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Alive {
    /// Always `ok`.
    status: &'static str,
    /// The program's version.
    version: &'static str,
}

/// The state of the gateway's parts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CrmHealth {
    /// `ok`, or `failing` if any part is.
    status: &'static str,
    /// Whether the database answers and can be written.
    database: Part,
    /// Whether the webhooks that came last could be written; if not, since when and why.
    intake: Part,
    /// Whether the intake queue has room.
    queue: Part,
    /// Whether our clock agrees with the database's.
    time: Part,
    /// Whether all accounts' credentials can be opened.
    accounts: Part,
}

/// The state of one part.
#[derive(Debug, Serialize, ToSchema)]
struct Part {
    /// `ok` or `failing`.
    status: &'static str,
    /// What is wrong, or a figure.
    detail: String,
}

impl From<PartHealth> for Part {
    fn from(part: PartHealth) -> Self {
        Self { status: word(part.ok), detail: part.detail }
    }
}

fn word(ok: bool) -> &'static str {
    if ok { "ok" } else { "failing" }
}

/// Whether the process answers. It asks nobody else, so it suits as a liveness check.
#[utoipa::path(get, path = "/health", tag = "health", security(()), responses((status = 200, body = Alive)))]
pub(super) async fn alive() -> Json<Alive> {
    Json(Alive { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// Whether database, intake, queue, clock and accounts are well: what the CRM core asks before it relies on the gateway. Cheap
/// enough to be asked every second.
#[utoipa::path(get, path = "/health/crm", tag = "health", security(()), responses(
    (status = 200, body = CrmHealth, description = "All parts work"),
    (status = 503, body = CrmHealth, description = "Some part does not"),
))]
pub(super) async fn crm(State(app): State<App>) -> (StatusCode, Json<CrmHealth>) {
    let health = health::check(&app.gateway).await;
    let ok = health.ok();
    let body = CrmHealth {
        status: word(ok),
        database: health.database.into(),
        intake: health.intake.into(),
        queue: health.queue.into(),
        time: health.time.into(),
        accounts: health.accounts.into(),
    };
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body))
}

/// Metrics in Prometheus' text format, for who has the token of `metrics.token`. Without one they are closed here; they may have
/// an address of their own (`metrics.listen`).
#[utoipa::path(get, path = "/metrics", tag = "health", security(()), responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = 401, body = Problem, content_type = "application/problem+json", description = "Not the token, or there is none"),
))]
pub(super) async fn prometheus(State(app): State<App>, headers: HeaderMap) -> Response {
    if app.gateway.config.metrics.token.expose_secret().trim().is_empty() {
        let reason = "metrics are closed here: set metrics.token, or give them an address of their own with metrics.listen";
        return Problem::unauthorized(Some(reason)).into_response();
    }
    own_metrics(&app, &headers)
}

/// Metrics at an address of their own: for everybody, unless there is a token.
pub(super) fn own_metrics(app: &App, headers: &HeaderMap) -> Response {
    let wanted = app.gateway.config.metrics.token.expose_secret().trim();
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
    if !wanted.is_empty() && !bool::from(given.as_bytes().ct_eq(wanted.as_bytes())) {
        let reason = "metrics need the token of metrics.token";
        return Problem::unauthorized(Some(reason)).into_response();
    }
    metrics::waiting(app.gateway.batcher.depth(), None, None);
    match &app.metrics {
        Some(metrics) => {
            let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
            (kind, metrics.render()).into_response()
        }
        None => Problem::not_found("metrics").into_response(),
    }
}
