//! What Evolution's answers and WhatsApp's own codes mean for us.
//!
//! Evolution answers `{status, error, response: {message}}`, where the message is a text, a list of texts, or a list of the
//! numbers that were looked for. What the library below it threw comes as 500 or 400, with its words.
//! <https://doc.evolution-api.com/v2/api-reference/message-controller/send-text>

use serde_json::Value;

use crate::bridge::jids;
use crate::destination::foreign;
use crate::{Cause, Failure, FailureClass, LimitScope, ProviderResponse, Reach};

/// How much of an explanation is kept, in characters.
const DETAIL_CHARS: usize = 300;

/// The code for somebody who is not on WhatsApp.
const NOT_ON_WHATSAPP: &str = "NOT_ON_WHATSAPP";

/// The code for a device that was unlinked.
pub(super) const LOGGED_OUT: &str = "LOGGED_OUT";

/// The code for a device whose connection is down: nothing was sent.
const CONNECTION_CLOSED: &str = "CONNECTION_CLOSED";

/// What to do about a code: an HTTP status, a connection's state, a word of ours for Evolution's, or WhatsApp's own number.
/// Codes we do not know are final and the message's fault: repeating an unknown refusal helps nobody.
pub(super) fn class_of(code: &str) -> FailureClass {
    known_class_of(code).unwrap_or(FailureClass::Permanent(Cause::Message))
}

/// What to do about a code that we know.
fn known_class_of(code: &str) -> Option<FailureClass> {
    use FailureClass::{Indeterminate, Permanent, RateLimited, Transient};
    Some(match code.trim() {
        // Keys, an instance that does not exist, a device that is not linked.
        "401" | "403" | "404" | LOGGED_OUT
        // Temporary bans, and the restriction of numbers that wrote to too many strangers: going on makes it worse.
        | "101" | "102" | "103" | "104" | "106" | "402" | "406" | "463" => Permanent(Cause::Account),
        // The device is on its way back.
        "close" | "connecting" | CONNECTION_CLOSED | "408" | "425" | "428" | "503" => Transient,
        "429" => RateLimited(LimitScope::Account),
        // The library threw, or a proxy lost the answer; it may have sent the message before.
        "500" | "502" | "504" => Indeterminate,
        NOT_ON_WHATSAPP => Permanent(Cause::Recipient(Reach::Nobody)),
        // A server that cannot do it never will.
        "501" => Permanent(Cause::Message),
        _ => return None,
    })
}

/// Whether an answer has a form of Evolution's: an error, or a message with its key.
pub(super) fn speaks(response: &ProviderResponse) -> bool {
    let body: Value = response.json().unwrap_or_default();
    let has_key = body["key"]["id"].as_str().is_some_and(jids::is_bare_id);
    is_error(response, &body) || (has_key && body["key"]["remoteJid"].is_string())
}

/// An error repeats the HTTP status.
fn is_error(response: &ProviderResponse, body: &Value) -> bool {
    body["status"] == response.http.status().as_u16()
}

/// What an answer says is wrong.
pub(super) fn of_answer(response: &ProviderResponse) -> Failure {
    let body: Value = response.json().unwrap_or_default();
    let status = response.http.status();
    let message = &body["response"]["message"];
    let words =
        words(message).or_else(|| words(&body["message"])).or_else(|| words(&body["error"]));
    let code = match status.as_u16() {
        400 | 500 if is_missing(message) => Some(NOT_ON_WHATSAPP),
        400 | 500 => spoken(words.as_deref()),
        _ => None,
    };
    let code = code.map_or_else(|| status.as_u16().to_string(), ToOwned::to_owned);
    let by_status = Failure::of_status(status);
    let class = known_class_of(&code).unwrap_or(by_status.class);
    let detail = match words.filter(|_| is_error(response, &body)) {
        Some(words) => words,
        None if response.http.body().is_empty() || is_error(response, &body) => by_status.detail,
        None => foreign("Evolution", response),
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

/// Whether it is the list of numbers that were looked for, and one is not on WhatsApp.
fn is_missing(message: &Value) -> bool {
    message.as_array().is_some_and(|all| all.iter().any(|one| one["exists"] == false))
}

/// Evolution's explanation.
fn words(message: &Value) -> Option<String> {
    let told = match message {
        Value::String(text) => text.clone(),
        Value::Array(all) => {
            // Numbers are the recipient's, and are no explanation.
            let texts = all.iter().filter_map(Value::as_str);
            let joined = texts.collect::<Vec<_>>().join("; ");
            match is_missing(message) {
                true => "the number is not on WhatsApp".to_owned(),
                false => joined,
            }
        }
        _ => return None,
    };
    let plain = told.chars().filter(|c| !c.is_control()).take(DETAIL_CHARS).collect::<String>();
    Some(plain).filter(|text| !text.trim().is_empty())
}

/// The code that the library's words stand for. It has no others.
fn spoken(words: Option<&str>) -> Option<&'static str> {
    let words = words?.to_lowercase();
    let says = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    if says(&["error 463"]) {
        Some("463")
    } else if says(&["logged out", "loggedout", "device_removed", "unpaired"]) {
        Some(LOGGED_OUT)
    } else if says(&["connection closed", "not connected"]) {
        Some(CONNECTION_CLOSED)
    } else if says(&["not on whatsapp", "not-acceptable", "not a whatsapp"]) {
        Some(NOT_ON_WHATSAPP)
    } else {
        None
    }
}
