//! What WAHA's answers and WhatsApp's own codes mean for us.
//!
//! WAHA answers in the form of its web framework, `{statusCode, message, error}`; 422 names the session's status; what the
//! engine threw comes as 500, with its words in `exception.message`.
//! <https://waha.devlike.pro/docs/how-to/sessions/>

use serde_json::Value;

use crate::destination::foreign;
use crate::{Cause, Failure, FailureClass, LimitScope, ProviderResponse, Reach};

/// How much of an explanation is kept, in characters.
const DETAIL_CHARS: usize = 300;

/// The code for somebody who is not on WhatsApp; the engines have words for it and no number.
const NOT_ON_WHATSAPP: &str = "NOT_ON_WHATSAPP";

/// The code for somebody whose LID the engine does not know, so that it cannot address them. It also happens to people who
/// are on WhatsApp: engines learn LIDs late, and mistake one for a number.
const NO_LID: &str = "NO_LID";

/// The code for a device that was unlinked while we were sending.
const LOGGED_OUT: &str = "LOGGED_OUT";

/// WAHA's words for how a session is doing.
const STATES: [&str; 7] = [
    "STOPPED",
    "STARTING",
    "SCAN_QR_CODE",
    "WORKING",
    "FAILED",
    "PASSKEY_REQUIRED",
    "PASSKEY_CONFIRMATION_REQUIRED",
];

/// What to do about a code: an HTTP status, a session's status, or WhatsApp's own number. Codes we do not know are final and
/// the message's fault: repeating an unknown refusal helps nobody.
pub(super) fn class_of(code: &str) -> FailureClass {
    known_class_of(code).unwrap_or(FailureClass::Permanent(Cause::Message))
}

/// What to do about a code that we know.
fn known_class_of(code: &str) -> Option<FailureClass> {
    use FailureClass::{Indeterminate, Permanent, RateLimited, Transient};
    Some(match code.trim() {
        // Keys, a session that does not exist or is not linked.
        "401" | "403" | "404" | "SCAN_QR_CODE" | "PASSKEY_REQUIRED" | "LOGGED_OUT"
        | "PASSKEY_CONFIRMATION_REQUIRED"
        // Temporary bans, and the restriction of numbers that wrote to too many strangers: going on makes it worse.
        | "101" | "102" | "103" | "104" | "106" | "402" | "406" | "463" => Permanent(Cause::Account),
        // The session is on its way back, or somebody stopped it and may start it again.
        "STARTING" | "STOPPED" | "FAILED" | "408" | "422" | "425" | "503" => Transient,
        "429" => RateLimited(LimitScope::Account),
        // The engine threw, or a proxy lost the answer; it may have sent the message before.
        "500" | "502" | "504" => Indeterminate,
        NOT_ON_WHATSAPP => Permanent(Cause::Recipient(Reach::Nobody)),
        NO_LID => Permanent(Cause::Recipient(Reach::NotThisTime)),
        // An engine that cannot do it never will.
        "501" => Permanent(Cause::Message),
        _ => return None,
    })
}

/// Whether an answer has a form of WAHA's: an error, a session, or a message with its id.
pub(super) fn speaks(response: &ProviderResponse) -> bool {
    let body: Value = response.json().unwrap_or_default();
    let is_session = body["name"].is_string() && known_state(&body["status"]).is_some();
    is_session || is_error(response, &body) || super::send::named(&body).is_some()
}

/// An error repeats the HTTP status; one about the session's state tells that in its place.
fn is_error(response: &ProviderResponse, body: &Value) -> bool {
    let status = response.http.status().as_u16();
    body["statusCode"] == status || (status == 422 && known_state(&body["status"]).is_some())
}

/// The state of a session, if it is one that WAHA has a word for.
pub(super) fn known_state(word: &Value) -> Option<&str> {
    word.as_str().filter(|word| STATES.contains(word))
}

/// What an answer says is wrong.
pub(super) fn of_answer(response: &ProviderResponse) -> Failure {
    let body: Value = response.json().unwrap_or_default();
    let status = response.http.status();
    let words = words(&body);
    let state = known_state(&body["status"]);
    let code = match status.as_u16() {
        422 => state.map(ToOwned::to_owned),
        400 | 500 => spoken(words.as_deref()).map(ToOwned::to_owned),
        _ => None,
    };
    let code = code.unwrap_or_else(|| status.as_u16().to_string());
    let by_status = Failure::of_status(status);
    let class = known_class_of(&code).unwrap_or(by_status.class);
    let session = state.map(|state| format!(" (the session is {state})"));
    let detail = match words.filter(|_| is_error(response, &body)) {
        Some(words) => format!("{words}{}", session.unwrap_or_default()),
        None if response.http.body().is_empty() || is_error(response, &body) => by_status.detail,
        None => foreign("WAHA", response),
    };
    Failure { class, code: Some(code), detail, retry_after: response.retry_after() }
}

/// What an answer to a question, or to something that may be repeated, says is wrong.
pub(super) fn of_asking(response: &ProviderResponse) -> Failure {
    let failure = of_answer(response);
    match failure.class {
        FailureClass::Indeterminate => Failure { class: FailureClass::Transient, ..failure },
        _ => failure,
    }
}

/// WAHA's explanation.
fn words(body: &Value) -> Option<String> {
    let message = match &body["message"] {
        Value::Array(all) => all.first().and_then(Value::as_str),
        other => other.as_str(),
    };
    let told = body["exception"]["message"].as_str().or(message).or(body["error"].as_str())?;
    Some(told.chars().filter(|c| !c.is_control()).take(DETAIL_CHARS).collect())
}

/// The code that an engine's words stand for. The engines have no others.
fn spoken(words: Option<&str>) -> Option<&'static str> {
    let words = words?.to_lowercase();
    let says = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    if says(&["error 463"]) {
        Some("463")
    } else if says(&["logged out", "not logged in", "device_removed", "unpaired"]) {
        Some(LOGGED_OUT)
    } else if says(&["no lid for user"]) {
        Some(NO_LID)
    } else if says(&["not on whatsapp", "invalid wid", "not a whatsapp"]) {
        Some(NOT_ON_WHATSAPP)
    } else {
        None
    }
}
