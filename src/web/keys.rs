//! `/api/v1/api-keys`: who may call the API.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer::Answer;
use super::body::Json;
use super::extract::{Access, Id};
use super::times::At;
use super::{App, Problem};
use crate::flow::access;
use crate::model::{ApiKey, ApiKeyId, Scope};
use crate::store::api_keys;

/// A key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyView {
    /// Its id.
    id: Uuid,
    /// What it is for.
    name: String,
    /// The first characters of its secret.
    prefix: String,
    /// What it may do.
    scopes: Vec<&'static str>,
    /// When it was made.
    created_at: At,
    /// When it stops working.
    expires_at: Option<At>,
    /// When it was last used, to about a minute.
    last_used_at: Option<At>,
    /// When it was taken back.
    revoked_at: Option<At>,
}

/// A new key.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct IssuedView {
    /// The key.
    #[serde(flatten)]
    key: KeyView,
    /// Its secret. It is shown this once.
    secret: String,
}

/// All keys.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyList {
    /// The keys, newest first.
    items: Vec<KeyView>,
}

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKeyBody {
    /// What it is for.
    name: String,
    /// What it may do, such as `communications:read`. Not more than you may.
    scopes: Vec<String>,
    /// When it stops working; never, if not given.
    expires_at: Option<At>,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id.0,
            name: key.name,
            prefix: key.prefix,
            scopes: key.scopes.into_iter().map(Scope::word).collect(),
            created_at: key.created_at.into(),
            expires_at: key.expires_at.map(At),
            last_used_at: key.last_used_at.map(At),
            revoked_at: key.revoked_at.map(At),
        }
    }
}

/// The organization's keys, revoked ones too.
#[utoipa::path(get, path = "/api/v1/api-keys", tag = "access", responses((status = 200, body = KeyList)))]
pub(super) async fn list(
    State(app): State<App>,
    access: Access,
) -> Result<Answer<KeyList>, Problem> {
    let organization = access.needs(Scope::KeysWrite)?;
    let mut session = app.gateway.store.read(organization).await?;
    let found = api_keys::list(&mut session, organization).await?;
    Ok(Answer(KeyList { items: found.into_iter().map(KeyView::from).collect() }))
}

/// Makes a key. Its secret is in the answer, this once.
#[utoipa::path(post, path = "/api/v1/api-keys", tag = "access", request_body = NewKeyBody, responses(
    (status = 201, body = IssuedView),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn create(
    State(app): State<App>,
    access: Access,
    Json(body): Json<NewKeyBody>,
) -> Result<(StatusCode, Answer<IssuedView>), Problem> {
    access.needs(Scope::KeysWrite)?;
    let mut scopes = Vec::with_capacity(body.scopes.len());
    for word in &body.scopes {
        let scope = Scope::from_word(word).ok_or_else(|| {
            let known: Vec<&str> = Scope::ALL.iter().map(|scope| scope.word()).collect();
            Problem::invalid("scopes", format!("`{word}` is none of {}", known.join(", ")))
        })?;
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    let (gateway, actor) = (&app.gateway, access.actor());
    let expires_at = body.expires_at.map(|At(at)| at);
    let issued = access::create_key(gateway, &actor, &body.name, scopes, expires_at).await?;
    let view = IssuedView { key: issued.key.into(), secret: issued.secret };
    Ok((StatusCode::CREATED, Answer(view)))
}

/// Takes a key back, at once. Whoever takes it back must have each of its scopes.
#[utoipa::path(delete, path = "/api/v1/api-keys/{id}", tag = "access", params(("id" = Uuid, Path)), responses(
    (status = 204),
    (status = 403, body = Problem, content_type = "application/problem+json", description = "It may do what you may not"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn revoke(
    State(app): State<App>,
    access: Access,
    Id(id): Id<ApiKeyId>,
) -> Result<StatusCode, Problem> {
    access.needs(Scope::KeysWrite)?;
    access::revoke_key(&app.gateway, &app.keys, &access.actor(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
