//! `/api/v1/suppressions`: whom not to write to.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::flow::send::leave_alone;
use crate::model::{Scope, SuppressionScope};
use crate::store::sending::suppressions::{self, Suppression};
use crate::web::answer::Answer;
use crate::web::body::Json;
use crate::web::communications::channel;
use crate::web::extract::Access;
use crate::web::times::At;
use crate::web::{App, Problem};

/// Somebody who is not written to on a channel, or gets no marketing there.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SuppressionView {
    /// The channel.
    channel: String,
    /// Their address.
    address: String,
    /// What they are not sent: `all`, or `marketing`. One address may have one of each.
    scope: String,
    /// `opted_out` (they asked for it), `undeliverable` (the provider says that they cannot be reached, or get no more marketing
    /// for now) or `manual`. That somebody cannot be reached is over as soon as a message comes from them or reaches them.
    reason: String,
    /// More about it.
    detail: Option<String>,
    /// When it ends by itself; null: when somebody takes it back.
    until: Option<At>,
    /// Since when.
    created_at: At,
}

/// Everybody who is not written to now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SuppressionList {
    /// At most a thousand, newest first.
    items: Vec<SuppressionView>,
}

/// Whom, on which channel.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SuppressionBody {
    /// `whatsapp`, `sms` or `email`.
    channel: String,
    /// Their address.
    address: String,
    /// `all` or `marketing`. Not given, it is `all` in `POST`, and every scope in `DELETE`.
    scope: Option<String>,
}

impl SuppressionBody {
    fn scope(&self) -> Result<Option<SuppressionScope>, Problem> {
        let read = |word: &str| {
            SuppressionScope::from_word(word)
                .ok_or_else(|| Problem::invalid("scope", "must be all or marketing"))
        };
        self.scope.as_deref().map(read).transpose()
    }
}

impl From<Suppression> for SuppressionView {
    fn from(found: Suppression) -> Self {
        Self {
            channel: found.channel,
            address: found.value,
            scope: found.scope,
            reason: found.reason,
            detail: found.detail,
            until: found.until.map(At::from),
            created_at: found.created_at.into(),
        }
    }
}

/// Everybody who is not written to now.
#[utoipa::path(get, path = "/api/v1/suppressions", tag = "sending", responses((status = 200, body = SuppressionList)))]
pub(crate) async fn list(
    State(app): State<App>,
    access: Access,
) -> Result<Answer<SuppressionList>, Problem> {
    let organization = access.needs(Scope::CommunicationsRead)?;
    let mut session = app.gateway.store.read(organization).await?;
    let now = app.gateway.clock.now();
    let found = suppressions::list(&mut session, organization, now, 1_000).await?;
    Ok(Answer(SuppressionList { items: found.into_iter().map(SuppressionView::from).collect() }))
}

/// From now on this address is not written to, or gets no marketing.
#[utoipa::path(post, path = "/api/v1/suppressions", tag = "sending", request_body = SuppressionBody, responses(
    (status = 204, description = "It is not written to."),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn create(
    State(app): State<App>,
    access: Access,
    Json(body): Json<SuppressionBody>,
) -> Result<StatusCode, Problem> {
    access.needs(Scope::CommunicationsWrite)?;
    let channel = channel(&body.channel)?;
    let scope = body.scope()?.unwrap_or(SuppressionScope::All);
    leave_alone::begin(&app.gateway, &access.actor(), channel, &body.address, scope).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// This address may be written to again, or get marketing again.
#[utoipa::path(delete, path = "/api/v1/suppressions", tag = "sending", request_body = SuppressionBody, responses(
    (status = 204, description = "It may be written to again."),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn delete(
    State(app): State<App>,
    access: Access,
    Json(body): Json<SuppressionBody>,
) -> Result<StatusCode, Problem> {
    access.needs(Scope::CommunicationsWrite)?;
    let channel = channel(&body.channel)?;
    let scope = body.scope()?;
    leave_alone::end(&app.gateway, &access.actor(), channel, &body.address, scope).await?;
    Ok(StatusCode::NO_CONTENT)
}
