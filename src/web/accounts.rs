//! `/api/v1/accounts`: accounts at providers. Credentials go in and never come out.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use providers::{PROVIDERS, Secret};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer::Answer;
use super::body::Json;
use super::extract::{Access, Id};
use super::public_url::Base;
use super::times::At;
use super::{App, Problem};
use crate::flow::{accounts as flow, destinations};
use crate::model::{Account, AccountId, Scope};
use crate::store::{accounts, notices};

/// An account at a provider.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AccountView {
    /// Its id.
    id: Uuid,
    /// `meta`, `twilio`, `telnyx`, `waha` or `evolution`.
    provider: String,
    /// What people call it.
    name: String,
    /// Its plain settings.
    settings: BTreeMap<String, String>,
    /// The names of the credentials that are set.
    credentials: Vec<String>,
    /// Until when the credentials before the last rotation stay valid.
    previous_expires_at: Option<At>,
    /// What must be mended before the account sends, or works at all; null where nothing is known to be wrong.
    attention: Option<String>,
    /// The URL to register with the provider: this account's own.
    webhook_url: String,
    /// The URL that all accounts of the provider share; the body says which account is meant.
    shared_webhook_url: String,
    /// When it was created.
    created_at: At,
    /// When it was last changed.
    updated_at: At,
}

/// All accounts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AccountList {
    /// The accounts, oldest first.
    items: Vec<AccountView>,
}

/// A provider, and what an account of it is made of.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProviderView {
    /// Its word.
    name: &'static str,
    /// Its name.
    title: &'static str,
    /// What it can carry.
    channels: Vec<&'static str>,
    /// What proves a webhook of its: `request` where all of it is signed; `sender` where only a secret goes along, so that it
    /// must come over TLS, and better only from known addresses.
    proof: &'static str,
    /// What an account is made of.
    fields: Vec<FieldView>,
}

/// One setting or credential.
#[derive(Debug, Serialize, ToSchema)]
struct FieldView {
    /// Its name.
    name: &'static str,
    /// It is a credential, and belongs in `credentials`.
    secret: bool,
    /// An account needs it.
    required: bool,
    /// It can be rotated.
    rotates: bool,
    /// What it is.
    about: &'static str,
}

/// An account to connect.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAccountBody {
    /// `meta`, `twilio`, `telnyx`, `waha` or `evolution`.
    provider: String,
    /// What people call it.
    name: String,
    /// Its plain settings, by name.
    #[serde(default)]
    settings: BTreeMap<String, String>,
    /// Its credentials, by name.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    credentials: BTreeMap<String, SecretString>,
}

/// What to change about an account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountChangeBody {
    /// Another name.
    name: Option<String>,
    /// Other settings; an empty text takes one away. Where `base_url` leads elsewhere than before, and not to the provider
    /// itself, the credentials that are sent there must be given again.
    #[serde(default)]
    settings: BTreeMap<String, String>,
    /// Other credentials, valid at once; the old ones are invalid at once. To let both be valid for a while, rotate.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    credentials: BTreeMap<String, SecretString>,
}

/// New credentials.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RotateBody {
    /// The new credentials, by name.
    #[schema(value_type = BTreeMap<String, String>)]
    credentials: BTreeMap<String, SecretString>,
    /// How long the old ones stay valid beside them, in hours, 0 to 720; 24 if not given. While others from an earlier rotation
    /// are still valid, all of them end at the earlier of the two times: `previous_expires_at` of the answer.
    previous_valid_hours: Option<i64>,
}

/// What a provider says about an account, a number or a template.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NoticeView {
    /// What it is about.
    topic: String,
    /// One line for a person.
    title: String,
    /// `info`, `warning` or `critical`.
    severity: String,
    /// Everything the provider said.
    data: Value,
    /// When it happened.
    at: At,
}

/// Notices, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NoticeList {
    /// The notices.
    items: Vec<NoticeView>,
}

fn view(app: &App, account: Account, base: &str) -> AccountView {
    AccountView {
        attention: destinations::attention(&app.gateway, account.id),
        id: account.id.0,
        webhook_url: format!("{base}/hooks/{}/{}", account.provider, account.id),
        shared_webhook_url: format!("{base}/hooks/{}", account.provider),
        provider: account.provider,
        name: account.name,
        settings: account.settings,
        credentials: account.credentials,
        previous_expires_at: account.previous_expires_at.map(At),
        created_at: account.created_at.into(),
        updated_at: account.updated_at.into(),
    }
}

/// The providers, and what an account of each is made of.
#[utoipa::path(get, path = "/api/v1/providers", tag = "accounts", responses(
    (status = 200, body = Vec<ProviderView>),
))]
pub(super) async fn providers(access: Access) -> Result<Answer<Vec<ProviderView>>, Problem> {
    access.needs(Scope::AccountsRead)?;
    let field = |field: &providers::Field| FieldView {
        name: field.name,
        secret: field.secret,
        required: field.required,
        rotates: field.rotates,
        about: field.about,
    };
    let provider = |provider: &&'static providers::Provider| ProviderView {
        name: provider.name,
        title: provider.title,
        channels: provider.channels.iter().map(|channel| channel.word()).collect(),
        proof: provider.proof.word(),
        fields: provider.fields.iter().map(field).collect(),
    };
    Ok(Answer(PROVIDERS.iter().map(provider).collect()))
}

/// The organization's accounts.
#[utoipa::path(get, path = "/api/v1/accounts", tag = "accounts", responses((status = 200, body = AccountList)))]
pub(super) async fn list(
    State(app): State<App>,
    access: Access,
    Base(base): Base,
) -> Result<Answer<AccountList>, Problem> {
    let organization = access.needs(Scope::AccountsRead)?;
    let mut session = app.gateway.store.read(organization).await?;
    let found = accounts::list(&mut session, organization).await?;
    let items = found.into_iter().map(|sealed| view(&app, sealed.account, &base)).collect();
    Ok(Answer(AccountList { items }))
}

/// Connects an account.
#[utoipa::path(post, path = "/api/v1/accounts", tag = "accounts", request_body = NewAccountBody, responses(
    (status = 201, body = AccountView),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn create(
    State(app): State<App>,
    access: Access,
    Base(base): Base,
    Json(body): Json<NewAccountBody>,
) -> Result<(StatusCode, Answer<AccountView>), Problem> {
    access.needs(Scope::AccountsWrite)?;
    let new = flow::NewAccount {
        provider: body.provider,
        name: body.name,
        settings: body.settings,
        credentials: secrets(body.credentials),
    };
    let account = flow::create(&app.gateway, &access.actor(), new).await?;
    Ok((StatusCode::CREATED, Answer(view(&app, account, &base))))
}

fn secrets(credentials: BTreeMap<String, SecretString>) -> BTreeMap<String, Secret> {
    credentials
}

/// One account.
#[utoipa::path(get, path = "/api/v1/accounts/{id}", tag = "accounts", params(("id" = Uuid, Path)), responses(
    (status = 200, body = AccountView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn get(
    State(app): State<App>,
    access: Access,
    Base(base): Base,
    Id(id): Id<AccountId>,
) -> Result<Answer<AccountView>, Problem> {
    let organization = access.needs(Scope::AccountsRead)?;
    let mut session = app.gateway.store.read(organization).await?;
    let found = accounts::get(&mut session, organization, id).await?;
    let found = found.ok_or_else(|| Problem::not_found("account"))?;
    Ok(Answer(view(&app, found.account, &base)))
}

/// Changes an account.
#[utoipa::path(patch, path = "/api/v1/accounts/{id}", tag = "accounts", params(("id" = Uuid, Path)),
    request_body = AccountChangeBody, responses(
    (status = 200, body = AccountView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn update(
    State(app): State<App>,
    access: Access,
    Base(base): Base,
    Id(id): Id<AccountId>,
    Json(body): Json<AccountChangeBody>,
) -> Result<Answer<AccountView>, Problem> {
    access.needs(Scope::AccountsWrite)?;
    let change = flow::AccountChange {
        name: body.name,
        settings: body.settings,
        credentials: secrets(body.credentials),
    };
    let account = flow::update(&app.gateway, &access.actor(), id, change).await?;
    Ok(Answer(view(&app, account, &base)))
}

/// Replaces credentials while the old ones stay valid for a while: for the time in which the provider already signs with
/// the new ones, or still with the old.
#[utoipa::path(post, path = "/api/v1/accounts/{id}/rotate", tag = "accounts", params(("id" = Uuid, Path)),
    request_body = RotateBody, responses(
    (status = 200, body = AccountView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn rotate(
    State(app): State<App>,
    access: Access,
    Base(base): Base,
    Id(id): Id<AccountId>,
    Json(body): Json<RotateBody>,
) -> Result<Answer<AccountView>, Problem> {
    access.needs(Scope::AccountsWrite)?;
    let rotation = flow::Rotation {
        credentials: secrets(body.credentials),
        previous_valid_hours: body.previous_valid_hours,
    };
    let account = flow::rotate(&app.gateway, &access.actor(), id, rotation).await?;
    Ok(Answer(view(&app, account, &base)))
}

/// Takes an account away, with its routes and credentials. Its history stays.
#[utoipa::path(delete, path = "/api/v1/accounts/{id}", tag = "accounts", params(("id" = Uuid, Path)), responses(
    (status = 204),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn delete(
    State(app): State<App>,
    access: Access,
    Id(id): Id<AccountId>,
) -> Result<StatusCode, Problem> {
    access.needs(Scope::AccountsWrite)?;
    flow::delete(&app.gateway, &access.actor(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What the provider says about the account, its numbers and templates: the newest hundred.
#[utoipa::path(get, path = "/api/v1/accounts/{id}/notices", tag = "accounts", params(("id" = Uuid, Path)), responses(
    (status = 200, body = NoticeList),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn notices(
    State(app): State<App>,
    access: Access,
    Id(id): Id<AccountId>,
) -> Result<Answer<NoticeList>, Problem> {
    let organization = access.needs(Scope::AccountsRead)?;
    let mut session = app.gateway.store.read(organization).await?;
    let account = accounts::get(&mut session, organization, id).await?;
    account.ok_or_else(|| Problem::not_found("account"))?;
    let notice = |notice: notices::StoredNotice| NoticeView {
        topic: notice.topic,
        title: notice.title,
        severity: notice.severity,
        data: notice.data,
        at: notice.at.into(),
    };
    let found = notices::list(&mut session, organization, id, 100).await?;
    Ok(Answer(NoticeList { items: found.into_iter().map(notice).collect() }))
}
