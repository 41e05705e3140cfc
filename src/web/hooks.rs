//! Where providers call. The handlers read the body within its bounds, and answer what the provider expects.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use providers::Reply;
use tokio::sync::OwnedSemaphorePermit;

use super::{App, Problem, public_url};
use crate::flow::receive::{self, Accepted, Endpoint, Refused};
use crate::store::intake::SubmitError;

/// The webhook URLs. `{account}` is an account's own; without it, the body says which account is meant.
pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/hooks/{provider}", any(shared))
        .route("/hooks/{provider}/{account}", any(own))
        .route("/api/v1/crm/communications/whatsapp/webhook", post(meta).get(meta))
}

/// Where all accounts of a provider may be called: the body says which account is meant, and its keys must prove it. Any
/// method and content type that the provider uses. It is answered after everything is stored.
#[utoipa::path(post, path = "/hooks/{provider}", tag = "webhooks", security(()), params(
    ("provider" = String, Path, description = "`meta`, `twilio` or `telnyx`")), request_body = String, responses(
    (status = 200, description = "Stored. Twilio and TeXML are answered `<Response/>`"),
    (status = 401, body = Problem, content_type = "application/problem+json", description = "Not proven to be the provider's; nothing is stored"),
    (status = 413, body = Problem, content_type = "application/problem+json", description = "Larger than 3 MiB"),
    (status = 503, body = Problem, content_type = "application/problem+json", description = "Not stored; deliver it again"),
))]
pub(super) async fn shared(
    State(app): State<App>,
    Path(provider): Path<String>,
    request: Request,
) -> Response {
    match providers::provider(&provider) {
        Some(provider) => receive(&app, Endpoint::Shared(provider), request).await,
        None => Problem::not_found("provider").into_response(),
    }
}

/// An account's own webhook URL, as `GET /api/v1/accounts/{id}` shows it.
#[utoipa::path(post, path = "/hooks/{provider}/{account}", tag = "webhooks", security(()), params(
    ("provider" = String, Path, description = "`meta`, `twilio` or `telnyx`"),
    ("account" = uuid::Uuid, Path, description = "The account's id")), request_body = String, responses(
    (status = 200, description = "Stored. Twilio and TeXML are answered `<Response/>`"),
    (status = 401, body = Problem, content_type = "application/problem+json", description = "Not proven to be the provider's; nothing is stored"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json", description = "Not stored; deliver it again"),
))]
pub(super) async fn own(
    State(app): State<App>,
    Path((provider, account)): Path<(String, String)>,
    request: Request,
) -> Response {
    match (providers::provider(&provider), account.parse()) {
        (Some(provider), Ok(id)) => receive(&app, Endpoint::Account(provider, id), request).await,
        _ => Problem::not_found("account").into_response(),
    }
}

/// WhatsApp's webhook under the name that the CRM's specification gives it; the same as `/hooks/meta`. `GET` answers Meta's
/// subscription check.
#[utoipa::path(post, path = "/api/v1/crm/communications/whatsapp/webhook", tag = "webhooks", security(()),
    request_body = String, responses(
    (status = 200, description = "Stored"),
    (status = 401, body = Problem, content_type = "application/problem+json", description = "Not proven to be Meta's; nothing is stored"),
    (status = 503, body = Problem, content_type = "application/problem+json", description = "Not stored; deliver it again"),
))]
pub(super) async fn meta(State(app): State<App>, request: Request) -> Response {
    receive(&app, Endpoint::Shared(&providers::meta::PROVIDER), request).await
}

async fn receive(app: &App, endpoint: Endpoint, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let Some(url) = public_url::of(&parts, &app.gateway.config.server, peer) else {
        return Problem::malformed("the request names no host").into_response();
    };
    let (body, _room) = match read(app, &parts.headers, body).await {
        Ok(read) => read,
        Err(refusal) => return refusal,
    };
    let mut request = http::Request::new(body);
    *request.method_mut() = parts.method;
    *request.uri_mut() = url;
    *request.headers_mut() = parts.headers;
    match receive::receive(&app.gateway, endpoint, request).await {
        Ok(Accepted { reply, .. }) => answer(reply),
        Err(refused) => refuse(&refused),
    }
}

/// Reads the body, if it is not too large and there is room for it. The room is given back when the webhook is answered.
async fn read(
    app: &App,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Bytes, OwnedSemaphorePermit), Response> {
    let limit = app.gateway.config.server.webhook_body_bytes;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced = announced.and_then(|text| text.parse::<usize>().ok()).unwrap_or(limit);
    if announced > limit {
        return Err(Problem::too_large(limit).into_response());
    }
    let permits = u32::try_from(announced.max(1)).unwrap_or(u32::MAX);
    let room = Arc::clone(&app.gateway.intake_room).try_acquire_many_owned(permits);
    let Ok(room) = room else {
        return Err(busy("too many bytes of webhooks are waiting to be written"));
    };
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok((collected.to_bytes(), room)),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Problem::too_large(limit).into_response())
        }
        Err(_) => Err(Problem::malformed("the body ended before its end").into_response()),
    }
}

fn answer(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    let mut response = (status, reply.body).into_response();
    match reply.content_type {
        Some(kind) => {
            let kind = HeaderValue::from_static(kind);
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        None => {
            response.headers_mut().remove(header::CONTENT_TYPE);
        }
    }
    response
}

fn refuse(refused: &Refused) -> Response {
    match refused {
        Refused::Rejected(rejection) => {
            let status =
                StatusCode::from_u16(rejection.status()).unwrap_or(StatusCode::UNAUTHORIZED);
            match status {
                StatusCode::UNAUTHORIZED => {
                    Problem::unauthorized(Some(&rejection.to_string())).into_response()
                }
                StatusCode::METHOD_NOT_ALLOWED => Problem::method_not_allowed().into_response(),
                _ => Problem::forbidden(rejection.to_string()).into_response(),
            }
        }
        Refused::UnknownAccount => Problem::not_found("account").into_response(),
        Refused::Busy(SubmitError::Full) => busy("too many webhooks are waiting to be written"),
        Refused::Busy(_) | Refused::Store(_) => busy("the webhook cannot be written now"),
    }
}

fn busy(detail: &str) -> Response {
    Problem::unavailable(detail).into_response()
}

/// The peer's address, for logs.
pub(super) fn peer(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip())
}
