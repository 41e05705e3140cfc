//! Where providers call. The handlers read the body within its bounds, and answer what the provider expects.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use http_body_util::BodyExt;
use providers::{Provider, Rejection, Reply, Unverified};

use super::front::Unanswered;
use super::pace::{Interrupted, Paced};
use super::{App, Problem, public_url};
use crate::flow::admit;
use crate::flow::receive::{self, Accepted, Endpoint, Refused};
use crate::gateway::Held;
use crate::metrics;
use crate::store::intake::SubmitError;

/// WhatsApp's webhook under the name that the CRM's specification gives it.
const CRM_WHATSAPP: &str = "/api/v1/crm/communications/whatsapp/webhook";

/// What a webhook's path leads to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    Endpoint(Endpoint),
    Nowhere(&'static str),
}

/// Whether a path is a webhook's, and where it leads: `/hooks/{provider}/{account}` is an account's own, `/hooks/{provider}`
/// is shared by all accounts of a provider, and the body says which one is meant. A slash too many, within the path or at its
/// end, leads nowhere else; what was signed is the URL as it was called.
pub(super) fn target(path: &str) -> Option<Target> {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    if parts.clone().eq(CRM_WHATSAPP.split('/').skip(1)) {
        return Some(Target::Endpoint(Endpoint::Shared(&providers::meta::PROVIDER)));
    }
    if parts.next() != Some("hooks") {
        return None;
    }
    let Some(provider) = parts.next().and_then(providers::provider) else {
        return Some(Target::Nowhere("provider"));
    };
    Some(match (parts.next().map(str::parse), parts.next()) {
        (None, _) => Target::Endpoint(Endpoint::Shared(provider)),
        (Some(Ok(id)), None) => Target::Endpoint(Endpoint::Account(provider, id)),
        (Some(_), _) => Target::Nowhere("account"),
    })
}

/// Where all accounts of a provider may be called: the body says which account is meant, and its keys must prove it. Any
/// method and content type that the provider uses. It is answered after everything is stored.
#[utoipa::path(post, path = "/hooks/{provider}", tag = "webhooks", security(()), params(
    ("provider" = String, Path, description = "`meta`, `twilio`, `telnyx`, `waha` or `evolution`")), request_body = String, responses(
    (status = 200, description = "Stored. Twilio and TeXML are answered `<Response/>`"),
    (status = 401, body = Problem, content_type = "application/problem+json", description = "Not proven to be the provider's; nothing is stored"),
    (status = 408, body = Problem, content_type = "application/problem+json", description = "The body came too slowly"),
    (status = 405, body = Problem, content_type = "application/problem+json", description = "A method that the provider does not use; `Allow` names those it does"),
    (status = 413, body = Problem, content_type = "application/problem+json", description = "Larger than 3 MiB"),
    (status = 503, body = Problem, content_type = "application/problem+json", description = "Not stored; deliver it again"),
))]
#[expect(dead_code, reason = "only its description is used")]
pub(super) fn shared() {}

/// An account's own webhook URL, as `GET /api/v1/accounts/{id}` shows it.
#[utoipa::path(post, path = "/hooks/{provider}/{account}", tag = "webhooks", security(()), params(
    ("provider" = String, Path, description = "`meta`, `twilio`, `telnyx`, `waha` or `evolution`"),
    ("account" = uuid::Uuid, Path, description = "The account's id")), request_body = String, responses(
    (status = 200, description = "Stored. Twilio and TeXML are answered `<Response/>`"),
    (status = 401, body = Problem, content_type = "application/problem+json", description = "Not proven to be the provider's; nothing is stored"),
    (status = 408, body = Problem, content_type = "application/problem+json", description = "The body came too slowly"),
    (status = 405, body = Problem, content_type = "application/problem+json", description = "A method that the provider does not use; `Allow` names those it does"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json", description = "Not stored; deliver it again"),
))]
#[expect(dead_code, reason = "only its description is used")]
pub(super) fn own() {}

/// WhatsApp's webhook under the name that the CRM's specification gives it; the same as `/hooks/meta`. `GET` answers Meta's
/// subscription check.
#[utoipa::path(post, path = "/api/v1/crm/communications/whatsapp/webhook", tag = "webhooks", security(()),
    request_body = String, responses(
    (status = 200, description = "Stored"),
    (status = 401, body = Problem, content_type = "application/problem+json", description = "Not proven to be Meta's; nothing is stored"),
    (status = 408, body = Problem, content_type = "application/problem+json", description = "The body came too slowly"),
    (status = 503, body = Problem, content_type = "application/problem+json", description = "Not stored; deliver it again"),
))]
#[expect(dead_code, reason = "only its description is used")]
pub(super) fn meta() {}

/// Receives one webhook and answers it.
pub(super) async fn receive<B>(
    app: &App,
    target: Target,
    request: Request<Paced<B>>,
    peer: Option<IpAddr>,
    id: &HeaderValue,
) -> Response
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let endpoint = match target {
        Target::Endpoint(endpoint) => endpoint,
        Target::Nowhere(what) => {
            turned_away(None, "unknown_account", id);
            return Problem::not_found(what).into_response();
        }
    };
    let provider = Some(endpoint.provider());
    let (parts, body) = request.into_parts();
    if !endpoint.provider().methods.contains(&parts.method) {
        turned_away(provider, Rejection::MethodNotUsed.word(), id);
        return method_not_used(endpoint.provider());
    }
    let server = &app.gateway.config.server;
    let Some(url) = public_url::of(&parts, server, peer) else {
        turned_away(provider, "no_host", id);
        return Problem::malformed("the request names no host").into_response();
    };
    let client = public_url::client(&parts.headers, server, peer);
    let seen = Unverified { method: &parts.method, uri: &url, headers: &parts.headers, body: None };
    if let Err(refused) = admit::admit(&app.gateway, endpoint, &seen).await {
        log(&refused, endpoint, client, id);
        return refuse(&refused, endpoint.provider());
    }
    // Behind a proxy of ours that names nobody there may be everybody.
    let sharer = client.filter(|client| !public_url::is_trusted(*client, server));
    let (body, _room) = match read(app, &parts, sharer, body).await {
        Ok(read) => read,
        Err((outcome, refusal)) => {
            turned_away(provider, outcome, id);
            return refusal;
        }
    };
    let mut request = http::Request::new(body);
    *request.method_mut() = parts.method;
    *request.uri_mut() = url;
    *request.headers_mut() = parts.headers;
    match receive::receive(&app.gateway, endpoint, request).await {
        Ok(Accepted { reply, receipt }) => {
            tracing::debug!(
                ?id,
                provider = endpoint.provider().name,
                ?receipt,
                "a webhook was stored"
            );
            answer(reply)
        }
        Err(refused) => {
            log(&refused, endpoint, client, id);
            refuse(&refused, endpoint.provider())
        }
    }
}

/// A refusal leaves one line, without anything of the request's body.
fn log(refused: &Refused, endpoint: Endpoint, client: Option<IpAddr>, id: &HeaderValue) {
    let (provider, id) = (endpoint.provider().name, id.to_str().unwrap_or_default());
    let client = client.map(tracing::field::display);
    match refused {
        Refused::Rejected(_) | Refused::UnknownAccount | Refused::Busy(SubmitError::Full) => {
            tracing::warn!(id, provider, client, reason = %refused, "a webhook was refused");
        }
        Refused::Locked | Refused::Busy(_) | Refused::Store(_) | Refused::NotNow => {
            tracing::error!(id, provider, reason = %refused, "a webhook could not be written");
        }
    }
}

/// A request that is refused before its body could be looked at is counted and leaves a line too.
fn turned_away(provider: Option<&'static Provider>, outcome: &'static str, id: &HeaderValue) {
    let provider = provider.map_or("unknown", |provider| provider.name);
    metrics::webhook(provider, outcome, Duration::ZERO);
    let id = id.to_str().unwrap_or_default();
    tracing::warn!(id, provider, reason = outcome, "a webhook was turned away");
}

/// A request that was given up is counted; who gave it up leaves the line.
pub(super) fn unanswered(target: Target, why: &Unanswered, took: Duration) {
    let provider = match target {
        Target::Endpoint(endpoint) => endpoint.provider().name,
        Target::Nowhere(_) => "unknown",
    };
    metrics::webhook(provider, why.word(), took);
}

/// Reads the body, if it is not too large, comes at its pace and there is room for it. Room is taken for what has arrived,
/// not for what is announced: whoever only announces takes none from the others. It is given back when the webhook is
/// answered. A `GET` has no body that anybody signs, and none is read.
async fn read<'a, B>(
    app: &'a App,
    parts: &Parts,
    sharer: Option<IpAddr>,
    mut body: Paced<B>,
) -> Result<(Bytes, Held<'a>), (&'static str, Response)>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let limit = app.gateway.config.server.webhook_body_bytes;
    let too_large = || ("too_large", Problem::too_large(limit).into_response());
    let mut room = app.gateway.intake_room.of(sharer);
    if parts.method == Method::GET {
        return Ok((Bytes::new(), room));
    }
    let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if announced.and_then(|text| text.parse::<usize>().ok()).is_some_and(|size| size > limit) {
        return Err(too_large());
    }
    // Nearly every body arrives in one piece, which is then not copied.
    let (mut first, mut whole) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|why| match why {
            Interrupted::TooSlow => ("too_slow", Problem::too_slow().into_response()),
            Interrupted::Broken(_) => {
                ("cut_off", Problem::malformed("the body ended before its end").into_response())
            }
        })?;
        let Ok(piece) = frame.into_data() else { continue };
        if first.len() + whole.len() + piece.len() > limit {
            return Err(too_large());
        }
        room.take(piece.len()).map_err(|why| ("no_room", busy(&why.to_string())))?;
        match (first.is_empty(), whole.is_empty()) {
            (true, true) => first = piece,
            (false, _) => {
                whole.extend_from_slice(&std::mem::take(&mut first));
                whole.extend_from_slice(&piece);
            }
            (true, false) => whole.extend_from_slice(&piece),
        }
    }
    Ok((if whole.is_empty() { first } else { whole.freeze() }, room))
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

fn refuse(refused: &Refused, provider: &Provider) -> Response {
    match refused {
        Refused::Rejected(rejection) => {
            let status =
                StatusCode::from_u16(rejection.status()).unwrap_or(StatusCode::UNAUTHORIZED);
            match status {
                StatusCode::UNAUTHORIZED => {
                    Problem::unauthorized(Some(&rejection.to_string())).into_response()
                }
                StatusCode::METHOD_NOT_ALLOWED => method_not_used(provider),
                _ => Problem::forbidden(rejection.to_string()).into_response(),
            }
        }
        Refused::UnknownAccount => Problem::not_found("account").into_response(),
        Refused::Busy(SubmitError::Full) => busy("too many webhooks are waiting to be written"),
        Refused::Locked | Refused::Busy(_) | Refused::Store(_) | Refused::NotNow => {
            busy("the webhook cannot be written now")
        }
    }
}

/// 405, with the methods that the provider uses.
fn method_not_used(provider: &Provider) -> Response {
    let methods: Vec<&str> = provider.methods.iter().map(http::Method::as_str).collect();
    let mut response = Problem::method_not_allowed().into_response();
    if let Ok(methods) = HeaderValue::from_str(&methods.join(", ")) {
        response.headers_mut().insert(header::ALLOW, methods);
    }
    response
}

fn busy(detail: &str) -> Response {
    Problem::unavailable(detail).into_response()
}
