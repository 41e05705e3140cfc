//! `POST /api/v1/messages/{id}/read`: telling a person that their message was read.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::flow::lines::receipts as flow;
use crate::model::{MessageId, Scope};
use crate::web::body::Json;
use crate::web::extract::{Access, Id};
use crate::web::{App, Problem};

/// What the person shall see.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadBody {
    /// That we are typing, too, for the time the provider shows it. A bridge that can do one at a time shows only this.
    #[serde(default)]
    typing: bool,
}

/// Tells the author of a message that came in that it was read, and that we are typing. May be repeated.
#[utoipa::path(post, path = "/api/v1/messages/{id}/read", tag = "sending", params(("id" = Uuid, Path)),
    request_body = ReadBody, responses(
    (status = 204, description = "The provider was told."),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
    (status = 502, body = Problem, content_type = "application/problem+json"),
    (status = 504, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn mark_read(
    State(app): State<App>,
    access: Access,
    Id(id): Id<MessageId>,
    Json(body): Json<ReadBody>,
) -> Result<StatusCode, Problem> {
    access.needs(Scope::CommunicationsWrite)?;
    flow::read(&app.gateway, &access.actor(), id, body.typing).await?;
    Ok(StatusCode::NO_CONTENT)
}
