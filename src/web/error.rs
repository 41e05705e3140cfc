//! Problem documents (RFC 9457): what is wrong, in one form, for every request.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::times::At;
use crate::clock::Clock;
use crate::flow::FlowError;
use crate::gateway::KeyringError;
use crate::model::Scope;
use crate::store::StoreError;

/// A problem document.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// `about:blank`: `error_code` says which kind of problem it is. Where requests are limited, what its standard says of a
    /// quota that is used up.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The HTTP status in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What is wrong, for people.
    detail: String,
    /// What kind of problem it is, for programs. It does not change between versions.
    error_code: &'static str,
    /// When it happened.
    timestamp: At,
    /// The fields that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// The code by which the provider refused, if it was a provider that refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_code: Option<String>,
    /// The quotas that are used up, by the names that `RateLimit-Policy` gives them.
    #[serde(rename = "violated-policies", skip_serializing_if = "Vec::is_empty")]
    violated_policies: Vec<&'static str>,
    #[serde(skip)]
    retry_after: Option<u32>,
    #[serde(skip)]
    challenge: Option<String>,
}

/// A field that is wrong.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct FieldError {
    /// The field, as a path.
    field: String,
    /// What is wrong with it.
    detail: String,
}

impl Problem {
    fn new(status: StatusCode, error_code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            error_code,
            timestamp: Clock::System.now().into(),
            errors: Vec::new(),
            provider_code: None,
            violated_policies: Vec::new(),
            retry_after: None,
            challenge: None,
        }
    }

    /// A field of the request is wrong.
    pub fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let (field, detail) = (field.into(), detail.into());
        let mut problem = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_request",
            format!("{field}: {detail}"),
        );
        problem.errors.push(FieldError { field, detail });
        problem
    }

    /// The request cannot be read at all.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed_request", detail)
    }

    /// Nobody proves who they are. `reason` is `None` when they did not even try.
    pub fn unauthorized(reason: Option<&str>) -> Self {
        let detail = reason.unwrap_or("send an API key or a token as `Authorization: Bearer …`");
        let mut problem = Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail);
        problem.challenge = Some(match reason {
            None => "Bearer realm=\"switchboard\"".to_owned(),
            Some(_) => "Bearer realm=\"switchboard\", error=\"invalid_token\"".to_owned(),
        });
        problem
    }

    /// They are known, and belong to another organization.
    pub fn organization_mismatch(detail: &str) -> Self {
        let detail = format!("organization mismatch: {detail}");
        Self::new(StatusCode::FORBIDDEN, "organization_mismatch", detail)
    }

    /// They are known, and may not do this.
    pub fn lacks_scope(scope: Scope) -> Self {
        let word = scope.word();
        let detail = format!("this needs the scope `{word}`");
        let mut problem = Self::new(StatusCode::FORBIDDEN, "insufficient_scope", detail);
        let challenge =
            format!("Bearer realm=\"switchboard\", error=\"insufficient_scope\", scope=\"{word}\"");
        problem.challenge = Some(challenge);
        problem
    }

    /// They may not do this, whatever their scopes.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// There is no such thing here.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
    }

    /// It cannot be done as things stand.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    /// It is not done, for a reason that `error_code` names.
    pub fn refused(error_code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, error_code, detail)
    }

    /// What was asked for was there once.
    pub fn gone(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "cursor_expired", detail)
    }

    /// The path exists, the method does not.
    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "this method is not used here",
        )
    }

    /// The body is larger than it may be.
    pub fn too_large(limit: usize) -> Self {
        let detail = format!("the body is larger than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", detail)
    }

    /// The part that was asked for lies beyond the end.
    pub fn range_beyond(size: u64) -> Self {
        let detail = format!("the file has {size} bytes");
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", detail)
    }

    /// The body is of another type.
    pub fn unsupported_media_type() -> Self {
        let detail = "send `Content-Type: application/json`";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    }

    /// It took too long.
    pub fn timed_out() -> Self {
        let detail = "the request was not answered in time; it may have been carried out";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", detail).retry_after(2)
    }

    /// The body came too slowly, and was not waited for.
    pub fn too_slow() -> Self {
        let detail = "the body came too slowly: 32 KiB a second are the least, 4 KiB for files";
        Self::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", detail)
    }

    /// It cannot be done now; try again.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).retry_after(2)
    }

    /// There were more requests within a minute than `policy` allows; in `seconds` there may be more.
    pub(super) fn quota_exceeded(policy: &'static str, seconds: u32) -> Self {
        let detail = format!("too many requests of this {policy} within a minute");
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded", detail);
        problem.kind = "https://iana.org/assignments/http-problem-types#quota-exceeded";
        problem.violated_policies.push(policy);
        problem.retry_after(seconds)
    }

    /// The organization has as many searches under way, and waiting, as it may.
    pub(super) fn too_many_searches() -> Self {
        let detail = "this organization has too many searches and counts under way; send fewer at once, or narrower ones";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_searches", detail).retry_after(2)
    }

    /// A search or count did not end within the time that it may take.
    pub(super) fn search_too_broad() -> Self {
        let detail = "this takes too long; narrow it: give `from` and `to` closer to each other, name a lead or contact, or page \
                      by `cursor`, which counts nothing";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "search_too_broad", detail)
    }

    /// The provider was asked, and refused.
    pub fn provider_refused(code: Option<&str>, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::BAD_GATEWAY, "provider_refused", detail);
        problem.provider_code = code.map(ToOwned::to_owned);
        problem
    }

    /// The provider was asked, and no answer came: it may have done what it was asked for.
    pub fn provider_unanswered(detail: &str) -> Self {
        let detail = format!("the provider did not answer: {detail}");
        Self::new(StatusCode::GATEWAY_TIMEOUT, "provider_unanswered", detail)
    }

    /// It is our fault. What happened is in the log, and not in the answer.
    pub fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "a request failed");
        let detail = "the gateway failed; the log has more, by the request's id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// What a flow refused.
    pub(super) fn of(error: &FlowError) -> Self {
        match error {
            FlowError::NotFound(what) => Self::not_found(what),
            FlowError::Invalid { field, reason } => Self::invalid(field.as_str(), reason.as_str()),
            FlowError::Conflict(detail) => Self::conflict(detail.as_str()),
            FlowError::Refused { code, detail } => Self::refused(code, detail.as_str()),
            FlowError::Busy { code, detail, after } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail.as_str()).retry_after(*after)
            }
            FlowError::Later { code, detail } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail.as_str()).retry_after(2)
            }
            FlowError::LacksScope(scope) => Self::lacks_scope(*scope),
            FlowError::ProviderRefused { code, detail } => {
                Self::provider_refused(code.as_deref(), detail.as_str())
            }
            FlowError::ProviderUnanswered(detail) => Self::provider_unanswered(detail),
            FlowError::Locked(_) => Self::unavailable(error.to_string()).retry_after(30),
            FlowError::Store(_)
            | FlowError::Keyring(_)
            | FlowError::DamagedFile(_)
            | FlowError::FileStore(_) => Self::internal(error),
        }
    }

    fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.challenge.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl From<FlowError> for Problem {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::Store(error) | FlowError::Keyring(KeyringError::Store(error)) => {
                error.into()
            }
            FlowError::Keyring(ref error) => Self::internal(error),
            FlowError::DamagedFile(_) => Self::internal(&error),
            FlowError::FileStore(_) => {
                tracing::warn!(%error, "the file store is not available");
                Self::unavailable("the file store is not available now")
            }
            other => Self::of(&other),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Conflict(_) => {
                tracing::warn!(%error, "the database is not available");
                Self::unavailable("the database is not available now")
            }
            StoreError::TookTooLong(_) => {
                tracing::warn!(%error, "a statement was broken off");
                Self::unavailable("the database took too long; ask for less at once, or try again")
            }
            StoreError::Duplicate(_) => Self::conflict("it exists already"),
            StoreError::Refused(_) | StoreError::Damaged(_) => Self::internal(&error),
        }
    }
}
