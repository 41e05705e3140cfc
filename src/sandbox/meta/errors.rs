//! Meta's error bodies.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>

use serde_json::json;

use crate::sandbox::exchange::{Answer, Request};

/// What Meta says a code is, and the HTTP status it comes with.
pub(super) fn title(code: u32) -> (&'static str, u16) {
    match code {
        0 => ("AuthException", 401),
        1 => ("API Unknown", 400),
        2 => ("API Service", 503),
        4 => ("API Too Many Calls", 400),
        100 => ("Invalid parameter", 400),
        104 => ("An access token is required to request this resource.", 400),
        190 => ("Access token has expired", 401),
        368 => ("Temporarily blocked for policies violations", 403),
        2500 => (
            "An active access token must be used to query information about the current user.",
            400,
        ),
        80_007 => ("Rate limit issues", 400),
        130_429 => ("Rate limit hit", 400),
        131_000 => ("Something went wrong", 500),
        131_005 => ("Access denied", 403),
        131_008 => ("Required parameter is missing", 400),
        131_009 => ("Parameter value is not valid", 400),
        131_016 => ("Service unavailable", 500),
        131_021 => ("Recipient cannot be sender", 400),
        131_026 => ("Message undeliverable", 400),
        131_031 => ("Account has been locked", 403),
        131_042 => ("Business eligibility payment issue", 400),
        131_047 => ("Re-engagement message", 400),
        131_048 => ("Spam rate limit hit", 400),
        131_049 => ("Meta chose not to deliver", 400),
        131_051 => ("Unsupported message type", 400),
        131_053 => ("Media upload error", 400),
        131_056 => ("(Business Account, Consumer Account) pair rate limit hit", 400),
        132_000 => ("Template Param Count Mismatch", 400),
        132_001 => ("Template does not exist", 404),
        132_012 => ("Template Parameter Format Mismatch", 400),
        132_015 => ("Template is Paused", 400),
        132_016 => ("Template is Disabled", 400),
        133_010 => ("Phone number not registered", 400),
        _ => ("Generic user error", 400),
    }
}

/// A refusal with this code; `details` say what is wrong with this request.
pub(super) fn fail(code: u32, details: &str) -> Answer {
    body(title(code).1, code, details)
}

fn body(status: u16, code: u32, details: &str) -> Answer {
    let (title, _) = title(code);
    // The Graph API's own errors put everything into the message; the ones of WhatsApp have details beside it.
    let whatsapp = code >= 130_000;
    let message = match (whatsapp, details.is_empty()) {
        (true, _) | (false, true) => format!("(#{code}) {title}"),
        (false, false) => format!("(#{code}) {details}"),
    };
    let mut error = json!({
        "message": message,
        "type": "OAuthException",
        "code": code,
        "fbtrace_id": "AsandboxTraceId0123456789",
    });
    if whatsapp {
        error["error_data"] = json!({ "messaging_product": "whatsapp", "details": details });
    }
    if matches!(code, 2 | 131_016) {
        error["is_transient"] = json!(true);
    }
    if code == 190 {
        error["message"] = json!(if details.is_empty() {
            "Error validating access token: Session has expired"
        } else {
            details
        });
        error["error_subcode"] = json!(463);
    }
    let answer = Answer::json(status, &json!({ "error": error }));
    match code {
        104 | 190 => {
            answer.with("www-authenticate", "OAuth \"Facebook Platform\" \"invalid_token\"")
        }
        _ => answer,
    }
}

/// The refusal of an HTTP status, for faults.
pub(super) fn refusal(status: u16, code: Option<u32>) -> Answer {
    let usual = match status {
        401 => 190,
        403 => 131_005,
        429 => 130_429,
        503 => 2,
        500.. => 131_000,
        _ => 100,
    };
    let code = code.unwrap_or(usual);
    if status == 404 && code == 100 {
        return missing("GET", "0");
    }
    body(status, code, "")
}

/// A refusal of a template, whose subcode says what is wrong with it; Meta tells it to people, too.
pub(super) fn fail_template(subcode: u32, details: &str) -> Answer {
    let error = json!({
        "message": "Invalid parameter",
        "type": "OAuthException",
        "code": 100,
        "error_subcode": subcode,
        "is_transient": false,
        "error_user_title": "The template cannot be used",
        "error_user_msg": details,
        "fbtrace_id": "AsandboxTraceId0123456789",
    });
    Answer::json(400, &json!({ "error": error }))
}

/// The object of the path does not exist for this token.
pub(super) fn unknown_object(request: &Request, id: &str) -> Answer {
    missing(request.method.as_str(), id)
}

fn missing(method: &str, id: &str) -> Answer {
    let message = format!(
        "Unsupported {} request. Object with ID '{id}' does not exist, cannot be loaded due to missing permissions, or \
         does not support this operation",
        method.to_lowercase()
    );
    let error = json!({
        "message": message,
        "type": "GraphMethodException",
        "code": 100,
        "error_subcode": 33,
        "fbtrace_id": "AsandboxTraceId0123456789",
    });
    Answer::json(400, &json!({ "error": error }))
}
