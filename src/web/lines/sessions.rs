//! `/api/v1/accounts/{id}/session`: linked devices.

use std::sync::Arc;

use axum::extract::State;
use providers::PairingCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::flow::lines::sessions::{self as flow, Errand};
use crate::model::{AccountId, Device, Scope};
use crate::web::answer::Answer;
use crate::web::body::Json;
use crate::web::extract::{Access, Id};
use crate::web::times::At;
use crate::web::{App, Problem};

/// A linked device.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionView {
    /// `stopped`, `starting`, `pairing` (it waits for somebody to link it), `working`, `failed` (it is started again by
    /// itself), `logged_out` (unlinked or banned: only a person can mend it), `unreachable` (the bridge does not answer)
    /// or `unknown` (it was never asked).
    state: &'static str,
    /// What people want of it: `nothing`, `run`, `stop` or `log_out`.
    wish: &'static str,
    /// Our number, while it is linked.
    number: Option<String>,
    /// Why it is in this state, in the bridge's words.
    detail: Option<String>,
    /// Since when it is in this state.
    since: At,
    /// When it was last asked.
    checked_at: Option<At>,
    /// How often it was started by itself since it last worked for a while.
    failures: i64,
    /// When it is started again by itself.
    next_start_at: Option<At>,
    /// When people were told that it was logged out.
    alerted_at: Option<At>,
}

/// How to link a device.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PairBody {
    /// The telephone's number in E.164 form, for a code to type there; without it, a QR code to scan.
    phone: Option<String>,
}

/// What links a device. It is good for less than a minute.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PairingView {
    /// The text of a QR code, to be drawn and scanned.
    #[serde(skip_serializing_if = "Option::is_none")]
    qr: Option<String>,
    /// Characters to type on the telephone.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

impl From<Device> for SessionView {
    fn from(device: Device) -> Self {
        Self {
            state: device.state.word(),
            wish: device.wish.word(),
            number: device.number,
            detail: device.detail,
            since: device.since.into(),
            checked_at: device.checked_at.map(At::from),
            failures: device.failures,
            next_start_at: device.next_start_at.map(At::from),
            alerted_at: device.alerted_at.map(At::from),
        }
    }
}

/// How the account's linked device is doing. It is asked twice a minute.
#[utoipa::path(get, path = "/api/v1/accounts/{id}/session", tag = "accounts", params(("id" = Uuid, Path)), responses(
    (status = 200, body = SessionView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn get(
    State(app): State<App>,
    access: Access,
    Id(id): Id<AccountId>,
) -> Result<Answer<SessionView>, Problem> {
    let organization = access.needs(Scope::AccountsRead)?;
    Ok(Answer(flow::view(&app.gateway, organization, id).await?.into()))
}

/// Starts the device, and from now on whenever it breaks. This alone ends the rest after a log-out or ban.
#[utoipa::path(post, path = "/api/v1/accounts/{id}/session/start", tag = "accounts", params(("id" = Uuid, Path)),
    responses(
    (status = 200, body = SessionView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
    (status = 502, body = Problem, content_type = "application/problem+json"),
    (status = 504, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn start_session(
    State(app): State<App>,
    access: Access,
    Id(id): Id<AccountId>,
) -> Result<Answer<SessionView>, Problem> {
    run(&app, &access, id, Errand::Start).await
}

/// Stops the device; it stays linked.
#[utoipa::path(post, path = "/api/v1/accounts/{id}/session/stop", tag = "accounts", params(("id" = Uuid, Path)),
    responses(
    (status = 200, body = SessionView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
    (status = 502, body = Problem, content_type = "application/problem+json"),
    (status = 504, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn stop_session(
    State(app): State<App>,
    access: Access,
    Id(id): Id<AccountId>,
) -> Result<Answer<SessionView>, Problem> {
    run(&app, &access, id, Errand::Stop).await
}

/// Unlinks the device.
#[utoipa::path(post, path = "/api/v1/accounts/{id}/session/log-out", tag = "accounts", params(("id" = Uuid, Path)),
    responses(
    (status = 200, body = SessionView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
    (status = 502, body = Problem, content_type = "application/problem+json"),
    (status = 504, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn log_out_session(
    State(app): State<App>,
    access: Access,
    Id(id): Id<AccountId>,
) -> Result<Answer<SessionView>, Problem> {
    run(&app, &access, id, Errand::LogOut).await
}

async fn run(
    app: &App,
    access: &Access,
    id: AccountId,
    errand: Errand,
) -> Result<Answer<SessionView>, Problem> {
    access.needs(Scope::AccountsWrite)?;
    let (gateway, actor) = (Arc::clone(&app.gateway), access.actor());
    // Once begun it is finished, though nobody may wait for the answer any more: a lease is held meanwhile.
    let task = tokio::spawn(async move { flow::run(&gateway, &actor, id, errand).await });
    let device = task.await.map_err(|error| Problem::internal(&error))??;
    Ok(Answer(device.into()))
}

/// What links a telephone to the session: a QR code, or a code to type. The session must have been started.
#[utoipa::path(post, path = "/api/v1/accounts/{id}/session/pair", tag = "accounts", params(("id" = Uuid, Path)),
    request_body = PairBody, responses(
    (status = 200, body = PairingView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
    (status = 502, body = Problem, content_type = "application/problem+json"),
    (status = 504, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn pair_session(
    State(app): State<App>,
    access: Access,
    Id(id): Id<AccountId>,
    Json(body): Json<PairBody>,
) -> Result<Answer<PairingView>, Problem> {
    access.needs(Scope::AccountsWrite)?;
    let code = flow::pair(&app.gateway, &access.actor(), id, body.phone.as_deref()).await?;
    Ok(Answer(match code {
        PairingCode::Qr(text) => PairingView { qr: Some(text), code: None },
        PairingCode::Code(text) => PairingView { qr: None, code: Some(text) },
    }))
}
