//! What Twilio's APIs answer when they do not do what was asked.
//! <https://www.twilio.com/docs/usage/twilios-response#exceptions>

use serde::Deserialize;

use super::errors;
use crate::lenient::Maybe;
use crate::{Failure, ProviderResponse, api};

/// `code` may be null, and a gateway in between may answer with anything at all.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireError {
    code: Maybe,
    message: Maybe,
}

/// What a refusal means.
pub(super) fn refusal(response: &ProviderResponse) -> Failure {
    let error: WireError = response.json().unwrap_or_default();
    let code = error.code.get().filter(|code| *code != "0");
    api::refusal(response, code, error.message.get(), code.and_then(errors::known_class_of))
}
