//! WAHA's error bodies, which are `NestJS`'s.

use serde_json::json;

use crate::sandbox::exchange::Answer;

fn phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

pub(super) fn fail(status: u16, message: &str) -> Answer {
    let mut body = json!({ "statusCode": status, "message": message });
    if message != phrase(status) {
        body["error"] = json!(phrase(status));
    }
    Answer::json(status, &body)
}

/// A body that cannot be used.
pub(super) fn invalid(why: &str) -> Answer {
    Answer::json(400, &json!({ "statusCode": 400, "message": [why], "error": phrase(400) }))
}

pub(super) fn no_session(session: &str) -> Answer {
    fail(404, &format!("We didn't find a session with name '{session}'."))
}

/// The session does not send and receive now.
pub(super) fn not_working(session: &str, status: &str) -> Answer {
    let body = json!({
        "error": "Session status is not as expected. Try again later or restart the session",
        "session": session,
        "status": status,
        "expected": ["WORKING"],
    });
    Answer::json(422, &body)
}

/// The refusal of an HTTP status, for faults.
pub(super) fn refusal(status: u16, _code: Option<u32>) -> Answer {
    fail(status, phrase(status))
}
