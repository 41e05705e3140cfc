//! `POST /api/v1/accounts/{id}/probe`: whether an account's credentials work.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::flow::lines::probe as flow;
use crate::model::{AccountId, Scope};
use crate::web::answer::Answer;
use crate::web::extract::{Access, Id};
use crate::web::{App, Problem};

/// What the provider says about an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DiagnosisView {
    /// Whether its credentials work.
    ok: bool,
    /// The provider's code of what is wrong; `no_answer` where it did not answer.
    code: Option<String>,
    /// What is wrong.
    detail: Option<String>,
}

/// Asks the provider whether the account's credentials work. An account that is unwell is answered 200, too.
#[utoipa::path(post, path = "/api/v1/accounts/{id}/probe", tag = "accounts", params(("id" = Uuid, Path)), responses(
    (status = 200, body = DiagnosisView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn probe(
    State(app): State<App>,
    access: Access,
    Id(id): Id<AccountId>,
) -> Result<Answer<DiagnosisView>, Problem> {
    access.needs(Scope::AccountsWrite)?;
    let found = flow::run(&app.gateway, &access.actor(), id).await?;
    Ok(Answer(DiagnosisView { ok: found.ok, code: found.code, detail: found.detail }))
}
