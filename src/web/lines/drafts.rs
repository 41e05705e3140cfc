//! `/api/v1/accounts/{id}/templates`: templates made, changed and deleted at the account's provider.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use providers::TemplateDraft;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::templates::TemplateView;
use crate::flow::FlowError;
use crate::flow::lines::drafts as flow;
use crate::model::{AccountId, Scope};
use crate::web::answer::Answer;
use crate::web::body::Json;
use crate::web::extract::{Access, Id, Within};
use crate::web::{App, Problem};

/// A template to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TemplateDraftBody {
    /// Its name: 1 to 512 lower-case letters, digits and `_`.
    name: String,
    /// Its language, for example `pt_BR`.
    language: String,
    /// `marketing`, `utility` or `authentication`. At Twilio it may be left out: then WhatsApp is not asked to approve it, and it
    /// can be sent inside the customer-service window only.
    category: Option<String>,
    /// `positional` ({{1}}) or `named` ({{name}}), as its texts have it if not given. Meta only.
    parameter_format: Option<String>,
    /// Its parts in the provider's own form, as they are listed. Meta: the list of `HEADER`, `BODY`, `FOOTER` and `BUTTONS` with
    /// an `example` for each variable. Twilio: `{types, variables}`, with an example for each variable.
    components: Value,
}

/// What shall be different about a template.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TemplateChangeBody {
    /// Its category. That of an approved template stays.
    category: Option<String>,
    /// All of its parts, in the place of those that it has.
    components: Option<Value>,
}

/// Words that providers write in capitals are taken in either case.
fn lower(word: Option<String>) -> Option<String> {
    word.map(|word| word.trim().to_ascii_lowercase())
}

/// Makes a template at the account's provider (Meta, Twilio), which looks at it before it can be sent: its `status` says how far that
/// is. A provider's refusal is 502 with its code.
#[utoipa::path(post, path = "/api/v1/accounts/{id}/templates", tag = "accounts", params(("id" = Uuid, Path)),
    request_body = TemplateDraftBody, responses(
    (status = 201, body = TemplateView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
    (status = 502, body = Problem, content_type = "application/problem+json"),
    (status = 504, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn create_template(
    State(app): State<App>,
    access: Access,
    Id(id): Id<AccountId>,
    Json(body): Json<TemplateDraftBody>,
) -> Result<Response, Problem> {
    access.needs(Scope::AccountsWrite)?;
    let draft = TemplateDraft {
        name: body.name.trim().to_owned(),
        language: body.language.trim().to_owned(),
        category: lower(body.category),
        parameter_format: lower(body.parameter_format),
        components: body.components,
    };
    let (gateway, actor) = (app.gateway, access.actor());
    let made = finished(async move { flow::create(&gateway, &actor, id, &draft).await }).await?;
    Ok((StatusCode::CREATED, Answer(TemplateView::from(made))).into_response())
}

/// Changes a template. It is named by its `id`, or by its name where that has one language. Meta looks at it anew; Twilio changes
/// none (422).
#[utoipa::path(patch, path = "/api/v1/accounts/{id}/templates/{template}", tag = "accounts", params(
    ("id" = Uuid, Path), ("template" = String, Path, description = "Its `id` in the list, or its name.")),
    request_body = TemplateChangeBody, responses(
    (status = 200, body = TemplateView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
    (status = 502, body = Problem, content_type = "application/problem+json"),
    (status = 504, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn change_template(
    State(app): State<App>,
    access: Access,
    Within(id, template): Within<AccountId>,
    Json(body): Json<TemplateChangeBody>,
) -> Result<Answer<TemplateView>, Problem> {
    access.needs(Scope::AccountsWrite)?;
    let change =
        flow::TemplateChange { category: lower(body.category), components: body.components };
    let (gateway, actor) = (app.gateway, access.actor());
    let changed =
        finished(async move { flow::change(&gateway, &actor, id, &template, change).await })
            .await?;
    Ok(Answer(TemplateView::from(changed)))
}

/// Deletes a template: by its `id` in its one language, by its name in all languages (Meta). Messages that wait for it are given
/// up.
#[utoipa::path(delete, path = "/api/v1/accounts/{id}/templates/{template}", tag = "accounts", params(
    ("id" = Uuid, Path), ("template" = String, Path, description = "Its `id` in the list, or its name.")),
    responses(
    (status = 204, description = "It is gone."),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
    (status = 502, body = Problem, content_type = "application/problem+json"),
    (status = 504, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn delete_template(
    State(app): State<App>,
    access: Access,
    Within(id, template): Within<AccountId>,
) -> Result<StatusCode, Problem> {
    access.needs(Scope::AccountsWrite)?;
    let (gateway, actor) = (app.gateway, access.actor());
    finished(async move { flow::delete(&gateway, &actor, id, &template).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What was begun is finished, though nobody may wait for the answer any more: the provider has done it, so it must be noted.
async fn finished<T: Send + 'static>(
    deed: impl Future<Output = Result<T, FlowError>> + Send + 'static,
) -> Result<T, Problem> {
    Ok(tokio::spawn(deed).await.map_err(|error| Problem::internal(&error))??)
}
