//! What Twilio's APIs answer when they do not do what was asked.
//! <https://www.twilio.com/docs/usage/twilios-response#exceptions>

use serde::Deserialize;
use serde_json::Value;

use super::{errors, is_sid};
use crate::lenient::Maybe;
use crate::{Failure, ProviderResponse, api};

/// `code` may be null, and a gateway in between may answer with anything at all.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireError {
    code: Maybe,
    message: Maybe,
}

/// Whether an answer has a form of Twilio's: an exception, or a resource with its SID.
pub(super) fn speaks(response: &ProviderResponse) -> bool {
    let body: Value = response.json().unwrap_or_default();
    let kind = |sid: &str| sid.get(..2).is_some_and(|kind| is_sid(kind, sid));
    is_exception(&body) || body["sid"].as_str().is_some_and(kind)
}

/// A code, which may be null, beside words or what they are about.
fn is_exception(body: &Value) -> bool {
    let is_about = body["message"].is_string() || body["more_info"].is_string();
    body["code"].is_i64() || (body.get("code") == Some(&Value::Null) && is_about)
}

/// What a refusal means.
pub(super) fn refusal(response: &ProviderResponse) -> Failure {
    let body: Value = response.json().unwrap_or_default();
    if !is_exception(&body) {
        return api::refusal_of_nobody("Twilio", response);
    }
    let error: WireError = serde_json::from_value(body).unwrap_or_default();
    let code = error.code.get().filter(|code| *code != "0");
    api::refusal(response, code, error.message.get(), code.and_then(errors::known_class_of))
}
