//! `POST /api/v1/messages`: messages to be sent, and what people decide about them afterwards.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use super::draft::{ContentBody, DraftBody};
use crate::flow::send::accept::{self, Acceptance, IdempotencyKey};
use crate::flow::send::bulk::{self, MOST, Telling, Told};
use crate::flow::send::manage::{self, Decision};
use crate::model::{MessageId, Scope};
use crate::web::answer::Answer;
use crate::web::body::Json;
use crate::web::extract::{Access, Id};
use crate::web::{App, Problem};

/// A message that was accepted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AcceptedView {
    /// Its id.
    id: Uuid,
    /// Where it can be read.
    url: String,
    /// `queued`.
    status: &'static str,
}

/// Several messages to be sent.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkBody {
    /// The messages, 1 to 1000. They wait behind messages that are sent one by one.
    messages: Vec<DraftBody>,
}

/// What became of each of several messages, in their order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkView {
    /// How many were accepted.
    accepted: usize,
    /// How many were refused.
    refused: usize,
    /// One a message: `{id, url, status}`, or the problem document that says why not.
    results: Vec<Value>,
}

/// What a person decided about a message.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DecidedView {
    /// Its id.
    id: Uuid,
    /// Where it stands in the queue now.
    queue_state: &'static str,
}

/// What a message shall say.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EditBody {
    /// What it shall say.
    content: ContentBody,
}

/// What became of a message of which nobody knew.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResolveBody {
    /// `arrived`, `send_again` or `give_up`.
    outcome: String,
}

fn accepted(id: MessageId) -> AcceptedView {
    AcceptedView { id: id.0, url: format!("/api/v1/messages/{id}"), status: "queued" }
}

/// Sends a message: it is accepted into the queue, and sent by the account of the channel's active route.
///
/// With an `Idempotency-Key` (at most 255 characters, bare or in quotes) a repeated request is carried out once and gets the
/// same answer.
#[utoipa::path(post, path = "/api/v1/messages", tag = "sending", request_body = DraftBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "Carry this out once.")), responses(
    (status = 202, body = AcceptedView),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json", description = "Not done: the account cannot be opened now, or the database is away; ask again"),
))]
pub(crate) async fn send(
    State(app): State<App>,
    access: Access,
    headers: HeaderMap,
    Json(body): Json<DraftBody>,
) -> Result<Response, Problem> {
    access.needs(Scope::CommunicationsWrite)?;
    let key = idempotency_key(&headers, "messages", &body)?;
    let draft = body.read()?;
    let answer = |id: MessageId| (202, json!(accepted(id)));
    let actor = access.actor();
    Ok(answered(accept::accept(&app.gateway, &actor, &draft, key.as_ref(), answer).await?))
}

/// Sends up to 1000 messages; each has its own result. They are accepted piece by piece, one request of an organization at a time.
///
/// With an `Idempotency-Key` a request that was stopped half way (503, a broken connection, a restart) is repeated: it goes on where
/// it stopped, what was accepted keeps its ids, and nothing is accepted twice. Without one, what was accepted by then is answered
/// with 202, and each of the others has a problem document with the code `unavailable` (send it again) or `outcome_unknown` (its
/// `detail` names the id to look for).
#[utoipa::path(post, path = "/api/v1/messages/bulk", tag = "sending", request_body = BulkBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "Carry this out once.")), responses(
    (status = 202, body = BulkView),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
    (status = 429, body = Problem, content_type = "application/problem+json", description = "`bulk_in_progress`: other requests of the organization are being carried out; ask again after `Retry-After`"),
    (status = 503, body = Problem, content_type = "application/problem+json", description = "The account cannot be opened now, or the database is away. With an `Idempotency-Key`, ask again and it goes on; without one, nothing was accepted"),
))]
pub(crate) async fn bulk(
    State(app): State<App>,
    access: Access,
    headers: HeaderMap,
    Json(body): Json<BulkBody>,
) -> Result<Response, Problem> {
    access.needs(Scope::CommunicationsWrite)?;
    let key = idempotency_key(&headers, "messages/bulk", &body)?;
    if body.messages.is_empty() || body.messages.len() > MOST {
        return Err(Problem::invalid("messages", format!("must be 1 to {MOST} messages")));
    }
    // A draft that has the right form and says what cannot be is refused alone; its neighbours go on.
    let mut unreadable: Vec<Option<Value>> = Vec::with_capacity(body.messages.len());
    let mut drafts = Vec::with_capacity(body.messages.len());
    for body in body.messages {
        match body.read() {
            Ok(draft) => {
                drafts.push(draft);
                unreadable.push(None);
            }
            Err(problem) => unreadable.push(Some(json!(problem))),
        }
    }
    let telling = Telling {
        refusal: &|error| json!(Problem::of(error)),
        answer: &|told| (202, json!(bulk_view(&unreadable, told))),
    };
    let actor = access.actor();
    Ok(answered(bulk::accept(&app.gateway, &actor, &drafts, key.as_ref(), &telling).await?))
}

/// What became of each message: of those that could be read it was told.
fn bulk_view(unreadable: &[Option<Value>], told: &[Told]) -> BulkView {
    let mut told = told.iter();
    let mut count = 0;
    let results: Vec<Value> = unreadable
        .iter()
        .map(|unreadable| match unreadable {
            Some(problem) => problem.clone(),
            None => match told.next() {
                Some(Told::Accepted(id)) => {
                    count += 1;
                    json!(accepted(*id))
                }
                Some(Told::Refused(problem)) => problem.clone(),
                None => Value::Null,
            },
        })
        .collect();
    BulkView { accepted: count, refused: results.len() - count, results }
}

fn answered(acceptance: Acceptance) -> Response {
    let (status, body, replayed) = match acceptance {
        Acceptance::New(status, body) => (status, body, false),
        Acceptance::Replayed(status, body) => (status, body, true),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::ACCEPTED);
    let mut response = (status, Answer(body)).into_response();
    if replayed {
        let yes = axum::http::HeaderValue::from_static("true");
        response.headers_mut().insert("idempotency-replayed", yes);
    }
    response
}

/// The request's key, bare or quoted, and what the request says.
fn idempotency_key(
    headers: &HeaderMap,
    path: &str,
    body: &impl Serialize,
) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    let key = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let plain = key.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if key.is_empty() || key.len() > 255 || !plain {
        let reason = "must be 1 to 255 printable characters, bare or in quotes";
        return Err(Problem::invalid("Idempotency-Key", reason));
    }
    let body = serde_json::to_vec(body).map_err(|error| Problem::internal(&error))?;
    let fingerprint = Sha256::new().chain_update(path).chain_update([0]).chain_update(body);
    let fingerprint = fingerprint.finalize().to_vec();
    Ok(Some(IdempotencyKey { key: key.to_owned(), fingerprint }))
}

async fn decide(
    app: &App,
    access: &Access,
    id: MessageId,
    decision: Decision,
) -> Result<Answer<DecidedView>, Problem> {
    access.needs(Scope::CommunicationsWrite)?;
    let state = manage::decide(&app.gateway, &access.actor(), id, &decision).await?;
    Ok(Answer(DecidedView { id: id.0, queue_state: state.word() }))
}

/// Calls a message back, while nobody sends it.
#[utoipa::path(post, path = "/api/v1/messages/{id}/cancel", tag = "sending", params(("id" = Uuid, Path)), responses(
    (status = 200, body = DecidedView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn cancel(
    State(app): State<App>,
    access: Access,
    Id(id): Id<MessageId>,
) -> Result<Answer<DecidedView>, Problem> {
    decide(&app, &access, id, Decision::Cancel).await
}

/// Sends a message again that was given up, or of which nobody knows whether it arrived.
#[utoipa::path(post, path = "/api/v1/messages/{id}/retry", tag = "sending", params(("id" = Uuid, Path)), responses(
    (status = 200, body = DecidedView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn retry(
    State(app): State<App>,
    access: Access,
    Id(id): Id<MessageId>,
) -> Result<Answer<DecidedView>, Problem> {
    decide(&app, &access, id, Decision::Retry).await
}

/// Changes what a message says, while nobody sends it or once it was given up.
#[utoipa::path(post, path = "/api/v1/messages/{id}/edit", tag = "sending", params(("id" = Uuid, Path)),
    request_body = EditBody, responses(
    (status = 200, body = DecidedView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json", description = "Not done: the account cannot be opened now, or the database is away; ask again"),
))]
pub(crate) async fn edit(
    State(app): State<App>,
    access: Access,
    Id(id): Id<MessageId>,
    Json(body): Json<EditBody>,
) -> Result<Answer<DecidedView>, Problem> {
    let content = body.content.read()?;
    decide(&app, &access, id, Decision::Edit(content)).await
}

/// Says what became of a message of which nobody knows: a person has looked.
#[utoipa::path(post, path = "/api/v1/messages/{id}/resolve", tag = "sending", params(("id" = Uuid, Path)),
    request_body = ResolveBody, responses(
    (status = 200, body = DecidedView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn resolve(
    State(app): State<App>,
    access: Access,
    Id(id): Id<MessageId>,
    Json(body): Json<ResolveBody>,
) -> Result<Answer<DecidedView>, Problem> {
    let decision = match body.outcome.as_str() {
        "arrived" => Decision::Arrived,
        "send_again" => Decision::Retry,
        "give_up" => Decision::Discard,
        _ => return Err(Problem::invalid("outcome", "must be arrived, send_again or give_up")),
    };
    decide(&app, &access, id, decision).await
}

/// Discards a message that was given up: it is not listed any more.
#[utoipa::path(post, path = "/api/v1/messages/{id}/discard", tag = "sending", params(("id" = Uuid, Path)), responses(
    (status = 200, body = DecidedView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn discard(
    State(app): State<App>,
    access: Access,
    Id(id): Id<MessageId>,
) -> Result<Answer<DecidedView>, Problem> {
    decide(&app, &access, id, Decision::Discard).await
}
