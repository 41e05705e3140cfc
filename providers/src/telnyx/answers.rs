//! What Telnyx's API answers when it does not do what was asked.
//! <https://developers.telnyx.com/development/api-fundamentals/api-errors>

use std::time::Duration;

use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

use super::errors;
use super::wire::WireError;
use crate::{Cause, Failure, FailureClass, LimitScope, ProviderResponse, api};

/// In how many seconds the limit that was met ends.
/// <https://developers.telnyx.com/development/api-fundamentals/reliability/rate-limiting>
const RESET_HEADER: &str = "x-ratelimit-reset";

/// How long a code is at most; statuses that stand for one are the longest.
const CODE: usize = 20;

/// Longer than this no limit of Telnyx's lasts; a larger number is no duration.
const LONGEST_RESET: u64 = 24 * 60 * 60;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireErrors {
    errors: Option<Vec<WireError>>,
}

/// Whether an answer has a form of Telnyx's: errors with codes, or a resource that names its kind.
pub(super) fn speaks(response: &ProviderResponse) -> bool {
    let body: Value = response.json().unwrap_or_default();
    body["data"]["record_type"].is_string() || !errors_of(response).is_empty()
}

/// The errors of an answer that have a code of Telnyx's form.
fn errors_of(response: &ProviderResponse) -> Vec<WireError> {
    let body: WireErrors = response.json().unwrap_or_default();
    let is_code = |code: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        (1..=CODE).contains(&code.len()) && code.bytes().all(is_plain)
    };
    let mut errors = body.errors.unwrap_or_default();
    errors.retain(|error| error.code.get().is_some_and(|code| is_code(code.trim())));
    errors
}

/// What a refusal means.
pub(super) fn refusal(response: &ProviderResponse) -> Failure {
    let errors = errors_of(response);
    if errors.is_empty() {
        return api::refusal_of_nobody("Telnyx", response);
    }
    let told = most_telling(errors.iter());
    let code = told.and_then(|error| error.code.get());
    let detail = told.and_then(explanation);
    let known = told.and_then(errors::known_class);
    let mut failure = api::refusal(response, code, detail.as_deref(), known);
    // The reset is that of the rate of requests, and says nothing of limits that last for hours.
    if failure.class == FailureClass::RateLimited(LimitScope::Account) {
        failure.retry_after = failure.retry_after.or_else(|| reset(response.http.headers()));
    }
    failure
}

/// Of several errors the one that says more than that the request is wrong.
pub(super) fn most_telling<'a>(
    errors: impl Iterator<Item = &'a WireError>,
) -> Option<&'a WireError> {
    let mut first = None;
    for error in errors {
        let class = errors::known_class(error);
        if class.is_some_and(|class| class != FailureClass::Permanent(Cause::Message)) {
            return Some(error);
        }
        first = first.or(Some(error));
    }
    first
}

/// The error's title, its detail, and what it points at.
pub(super) fn explanation(error: &WireError) -> Option<String> {
    let pointer = error.source.as_ref().and_then(|source| source.pointer.get());
    let words = [error.title.get(), error.detail.get(), pointer];
    let words: Vec<&str> = words.into_iter().flatten().collect();
    (!words.is_empty()).then(|| words.join(": "))
}

fn reset(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RESET_HEADER)?.to_str().ok()?.trim().parse().ok()?;
    (seconds <= LONGEST_RESET).then(|| Duration::from_secs(seconds))
}
