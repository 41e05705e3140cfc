//! Twilio's error bodies.
//! <https://www.twilio.com/docs/api/errors>

use serde_json::json;

use crate::sandbox::exchange::Answer;

/// What Twilio says of a code, and the HTTP status it comes with.
fn message(code: u32) -> (&'static str, u16) {
    match code {
        20_001 => ("Invalid parameter", 400),
        20_003 => ("Authenticate", 401),
        20_009 => ("Cannot delete this resource before it is complete", 409),
        20_404 => ("The requested resource was not found", 404),
        20_429 => ("Too Many Requests", 429),
        20_500 => ("Internal Server Error", 500),
        20_503 => ("Service unavailable", 503),
        21_211 => ("Invalid 'To' Phone Number", 400),
        21_212 => ("Invalid 'From' Number", 400),
        21_266 => ("'To' and 'From' number cannot be the same", 400),
        21_408 => ("Permission to send an SMS has not been enabled for the region", 400),
        21_603 => ("A 'From' phone number is required.", 400),
        21_604 => ("A 'To' phone number is required.", 400),
        21_606 => (
            "The 'From' phone number provided is not a valid message-capable Twilio phone number for this destination",
            400,
        ),
        21_609 => ("The 'StatusCallback' URL is not a valid URL.", 400),
        21_610 => ("Attempt to send to unsubscribed recipient", 400),
        21_611 => ("This 'From' number has exceeded the maximum number of queued messages", 429),
        21_612 => (
            "Message cannot be sent with the current combination of 'To' and 'From' parameters",
            400,
        ),
        21_614 => ("'To' number is not a valid mobile number", 400),
        21_617 => ("The concatenated message body exceeds the 1600 character limit", 400),
        21_619 => ("A text message body or media urls must be specified.", 400),
        21_620 => ("Invalid media URL(s)", 400),
        21_623 => ("Number of media files exceeds allowed limit", 400),
        21_624 => ("Invalid validity period value", 400),
        21_655 => ("The ContentSid is Invalid", 400),
        21_656 => ("The Content Variables parameter is invalid", 400),
        21_701 => ("The Messaging Service does not exist", 400),
        21_711 => (
            "Phone Number, Shortcode, or AlphaSender is not associated to the specified Messaging Service",
            400,
        ),
        21_910 => {
            ("Invalid 'From' and 'To' pair. 'From' and 'To' should be of the same channel", 400)
        }
        30_400 => ("Parameters are not valid", 400),
        30_409 => ("This message cannot be canceled", 409),
        35_111 => ("SendAt timestamp is missing", 400),
        35_114 => (
            "SendAt time must be between 300 seconds and 35 days (3024000 seconds) in the future, inclusive",
            400,
        ),
        35_118 => ("MessagingServiceSid is required to schedule a message", 400),
        35_126 => ("The ScheduleType value provided is not supported for this channel", 400),
        63_007 => ("Twilio could not find a Channel with the specified From address", 400),
        _ => ("The request failed", 400),
    }
}

/// A refusal with this code.
pub(super) fn fail(code: u32) -> Answer {
    body(message(code).1, code)
}

fn body(status: u16, code: u32) -> Answer {
    let body = json!({
        "code": code,
        "message": message(code).0,
        "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
        "status": status,
    });
    let answer = Answer::json(status, &body).with("twilio-request-id", "RQsandbox");
    match status {
        401 => answer.with("www-authenticate", "Basic realm=\"Twilio API\""),
        _ => answer,
    }
}

/// The refusal of an HTTP status, for faults.
pub(super) fn refusal(status: u16, code: Option<u32>) -> Answer {
    let usual = match status {
        401 | 403 => 20_003,
        404 => 20_404,
        429 => 20_429,
        503 => 20_503,
        500.. => 20_500,
        _ => 20_001,
    };
    body(status, code.unwrap_or(usual))
}
