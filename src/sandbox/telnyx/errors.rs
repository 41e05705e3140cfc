//! Telnyx's error bodies.
//! <https://developers.telnyx.com/development/api-fundamentals/api-errors>

use serde_json::json;

use crate::sandbox::exchange::Answer;

/// What Telnyx calls a code, and the HTTP status it comes with.
pub(super) fn title(code: &str) -> (&'static str, u16) {
    match code {
        "10004" => ("Missing required parameter", 422),
        "10005" => ("Resource not found", 404),
        "10007" => ("Unexpected error", 500),
        "10009" => ("Authentication failed", 401),
        "10010" => ("Authorization failed", 403),
        "10011" => ("Too many requests", 429),
        "20100" => ("Insufficient Funds", 403),
        "40001" => ("Not routable", 400),
        "40002" => ("Blocked as spam - temporary", 400),
        "40003" => ("Blocked as spam - permanent", 400),
        "40008" => ("Undeliverable", 400),
        "40300" => ("Blocked due to STOP message", 400),
        "40302" => ("Message too large", 400),
        "40304" => ("Invalid combination of message content and features", 400),
        "40305" => ("Invalid 'from' address", 400),
        "40310" => ("Invalid 'to' address", 400),
        "40316" => ("No content provided", 400),
        "40317" => ("Invalid MMS content", 400),
        "40318" => ("Message queue full", 429),
        "40321" => ("No usable numbers on messaging profile", 400),
        "41000" => ("WhatsApp Error", 400),
        _ => ("Bad Request", 400),
    }
}

/// A refusal with this code, about the member that `pointer` names.
pub(super) fn fail(code: &str, pointer: Option<&str>, detail: &str) -> Answer {
    body(title(code).1, code, pointer, detail)
}

fn body(status: u16, code: &str, pointer: Option<&str>, detail: &str) -> Answer {
    let mut error = json!({
        "code": code,
        "title": title(code).0,
        "detail": detail,
        "meta": { "url": format!("https://developers.telnyx.com/docs/overview/errors/{code}") },
    });
    if let Some(pointer) = pointer {
        error["source"] = json!({ "pointer": pointer });
    }
    Answer::json(status, &json!({ "errors": [error] }))
}

/// The refusal of an HTTP status, for faults.
pub(super) fn refusal(status: u16, code: Option<u32>) -> Answer {
    let usual = match status {
        401 => 10_009,
        403 => 10_010,
        404 => 10_005,
        429 => 10_011,
        500.. => 10_007,
        _ => 10_015,
    };
    let code = code.unwrap_or(usual).to_string();
    body(status, &code, None, title(&code).0)
}
