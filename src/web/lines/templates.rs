//! `/api/v1/templates`: what the providers have approved.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::flow::lines::templates as flow;
use crate::model::{AccountId, Scope, Template};
use crate::web::answer::Answer;
use crate::web::communications::channel;
use crate::web::extract::{Access, Id, Query};
use crate::web::times::At;
use crate::web::{App, Problem};

/// A template.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TemplateView {
    /// The account whose template it is.
    account_id: Uuid,
    /// The provider's id of it.
    id: String,
    /// Its name.
    name: String,
    /// Its language.
    language: String,
    /// `approved`, `pending`, `rejected`, `paused`, `disabled` …; only approved ones can be sent.
    status: String,
    /// `marketing`, `utility`, `authentication`, where the provider has categories.
    category: Option<String>,
    /// `positional` or `named`, where the provider tells these apart: how messages name its variables.
    parameter_format: Option<String>,
    /// Its parts, as the provider gives them.
    components: Value,
    /// When the provider was last asked.
    synced_at: At,
}

/// Templates, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TemplateList {
    /// At most a thousand.
    items: Vec<TemplateView>,
}

/// What a synchronization brought.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SyncedView {
    /// How many templates the account has.
    templates: usize,
    /// Whether those are all; an account may have more than are read.
    complete: bool,
}

/// Which templates to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TemplateQuery {
    /// Those that can be sent on this channel: of the account of its active route.
    channel: Option<String>,
    /// Of this account.
    account_id: Option<Uuid>,
    /// Of this name.
    name: Option<String>,
}

impl From<Template> for TemplateView {
    fn from(template: Template) -> Self {
        let listed = template.listed;
        Self {
            account_id: template.account_id.0,
            id: listed.id,
            name: listed.name,
            language: listed.language,
            status: listed.status,
            category: listed.category,
            parameter_format: listed.parameter_format,
            components: listed.components,
            synced_at: template.synced_at.into(),
        }
    }
}

/// Templates, as they were when their providers were last asked: every hour, and when a synchronization is asked for.
#[utoipa::path(get, path = "/api/v1/templates", tag = "sending", params(TemplateQuery), responses(
    (status = 200, body = TemplateList),
))]
pub(crate) async fn list(
    State(app): State<App>,
    access: Access,
    Query(query): Query<TemplateQuery>,
) -> Result<Answer<TemplateList>, Problem> {
    let organization = access.needs(Scope::CommunicationsRead)?;
    let wanted = flow::Wanted {
        channel: query.channel.as_deref().map(channel).transpose()?,
        account_id: query.account_id.map(AccountId),
        name: query.name,
    };
    let found = flow::list(&app.gateway, organization, wanted).await?;
    Ok(Answer(TemplateList { items: found.into_iter().map(TemplateView::from).collect() }))
}

/// Lists an account's templates at its provider now.
#[utoipa::path(post, path = "/api/v1/accounts/{id}/templates/sync", tag = "accounts", params(("id" = Uuid, Path)),
    responses(
    (status = 200, body = SyncedView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
    (status = 502, body = Problem, content_type = "application/problem+json"),
    (status = 504, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn sync_templates(
    State(app): State<App>,
    access: Access,
    Id(id): Id<AccountId>,
) -> Result<Answer<SyncedView>, Problem> {
    access.needs(Scope::AccountsWrite)?;
    let synced = flow::sync(&app.gateway, &access.actor(), id).await?;
    Ok(Answer(SyncedView { templates: synced.templates, complete: synced.complete }))
}
