//! What Telnyx's error codes mean for us.
//! <https://developers.telnyx.com/docs/messaging/messages/error-codes>
//! and <https://developers.telnyx.com/development/api-fundamentals/api-errors>

use super::wire::WireError;
use crate::meta::errors as meta;
use crate::{Cause, FailureClass, LimitScope, Reach};

/// Statuses of a message that has failed. Where no error is told, the status stands for it, as a code of its own.
pub(super) const EXPIRED: &str = "expired";
pub(super) const DELIVERY_FAILED: &str = "delivery_failed";
pub(super) const SENDING_FAILED: &str = "sending_failed";

/// What WhatsApp refused, and what nobody took: Meta's own code stands among the words, if it is told at all.
const WITH_METAS_CODE: [&str; 2] = ["40008", "41000"];

/// What to do about an error code. Codes we do not know, those of call commands among them, are final and the
/// message's (or command's) fault: repeating an unknown refusal helps nobody.
pub(super) fn class_of(code: &str) -> FailureClass {
    known_class_of(code).unwrap_or(FailureClass::Permanent(Cause::Message))
}

/// What to do about an error that we know, by its code, or by Meta's code among its words.
pub(super) fn known_class(error: &WireError) -> Option<FailureClass> {
    let code = error.code.get()?.trim();
    let words = [error.detail.get(), error.title.get()];
    let words = words.into_iter().flatten().filter(|_| WITH_METAS_CODE.contains(&code));
    words.flat_map(digits).find_map(metas_class).or_else(|| known_class_of(code))
}

/// What to do about an error code that we know.
pub(super) fn known_class_of(code: &str) -> Option<FailureClass> {
    let code = code.trim();
    let Ok(number) = code.parse::<i64>() else {
        return match code {
            // Taken, and lost on its way.
            EXPIRED | DELIVERY_FAILED => {
                Some(FailureClass::Permanent(Cause::Recipient(Reach::NotThisTime)))
            }
            // D24: the call costs more than the profile allows.
            SENDING_FAILED | "D24" => Some(FailureClass::Permanent(Cause::Message)),
            _ => None,
        };
    };
    passing(number)
        .or_else(|| theirs(number))
        .or_else(|| ours(number).then_some(FailureClass::Permanent(Cause::Account)))
        .or_else(|| of_the_message(number).then_some(FailureClass::Permanent(Cause::Message)))
        // WhatsApp through Telnyx keeps Meta's codes.
        .or_else(|| metas_class(code))
}

/// What Meta's table says of a code of WhatsApp's. Meta's short codes are Telnyx's words for other things.
fn metas_class(code: &str) -> Option<FailureClass> {
    let number: u32 = code.parse().ok()?;
    if (130_000..140_000).contains(&number) { meta::known_class_of(code) } else { None }
}

/// The numbers in a text, longest runs of digits.
fn digits(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty())
}

/// What passes, what is limited, and what is no failure.
fn passing(code: i64) -> Option<FailureClass> {
    use FailureClass::{Indeterminate, NoFailure, RateLimited, Transient};
    Some(match code {
        // Telnyx failed, or is still at the request before; the other side was away for a while.
        10_007 | 10_036 | 10_037 | 40_004 | 40_006 | 40_157 => Transient,
        // Telnyx itself ran out of time: what we asked for may have been done.
        10_008 => Indeterminate,
        // Request rate, queues, the carriers' own limits and filters, holds that end by themselves; calls at once.
        10_011
        | 40_002
        | 40_011
        | 40_016
        | 40_018
        | 40_318
        | 40_320
        | 90_032
        | 90_036
        | 90_041..=90_043 => RateLimited(LimitScope::Account),
        // Shut for a day, because codes were sent to numbers that only cash in.
        40_020 => RateLimited(LimitScope::Reputation),
        // There already, over already, empty; complaints about our own webhook.
        10_012 | 75_000..=75_999 | 90_018 | 90_019 | 90_031 | 90_033 => NoFailure,
        _ => return None,
    })
}

/// What is the recipient's, or that of the country where they are.
fn theirs(code: i64) -> Option<FailureClass> {
    Some(FailureClass::Permanent(match code {
        // A land-line, not routable, not a number.
        40_001 | 40_012 | 40_310 => Cause::Recipient(Reach::Nobody),
        // They sent STOP.
        40_300 => Cause::Recipient(Reach::OptedOut),
        // A number that does not work, which is not always theirs; expired; not taken by the carrier. Telnyx had taken
        // what expired or was not taken, so that it is never sent again.
        10_001 | 10_002 | 10_016 | 40_005 | 40_008 => Cause::Recipient(Reach::NotThisTime),
        // The profile does not have this country.
        40_309 => Cause::Destination,
        _ => return None,
    }))
}

/// What the account must mend before anything gets through.
fn ours(code: i64) -> bool {
    matches!(
        code,
        // Credentials, verification, level and money.
        10_009 | 10_010 | 10_017 | 10_035 | 10_038 | 10_039 | 20_001..=20_003 | 20_005 | 20_006
        | 20_008 | 20_009 | 20_012..=20_017 | 20_100 | 55_001
        // The sending number: blocked by carriers, not registered, not verified, unhealthy, not enabled.
        | 40_003 | 40_010 | 40_013 | 40_015 | 40_019 | 40_100 | 40_150..=40_156 | 40_158 | 40_159
        | 40_315 | 40_323 | 40_324 | 40_329 | 40_330 | 40_332
        // The messaging profile: senders, secrets, spend limit, no country at all, switched off.
        | 40_305..=40_308 | 40_311..=40_314 | 40_321 | 40_325..=40_327 | 40_331 | 40_333
    )
}

/// What is wrong with the message, the command or the request itself.
fn of_the_message(code: i64) -> bool {
    matches!(
        code,
        // Members of any request.
        10_003..=10_006 | 10_015 | 10_027 | 10_032 | 10_033
        // Texts, files, the two numbers; a loop; what expired before it left; what WhatsApp refused without a reason.
        | 40_007 | 40_009 | 40_014 | 40_017 | 40_301..=40_304 | 40_316 | 40_317 | 40_319 | 40_322
        | 40_328 | 41_000 | 42_204
        // Commands of calls and faxes.
        | 90_000..=90_017 | 90_020..=90_030 | 90_034 | 90_035 | 90_037 | 90_038 | 90_040
        | 90_044..=90_046 | 90_048 | 90_049 | 90_053..=90_059 | 90_080 | 90_081 | 90_100..=90_102
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metas_code_is_found_among_the_words() {
        let class = |code: &str, detail: &str| {
            let error = serde_json::json!({ "code": code, "detail": detail });
            let error: WireError = serde_json::from_value(error).unwrap();
            known_class(&error).unwrap().name()
        };
        assert_eq!(class("41000", "(#131047) Re-engagement message"), "permanent:window");
        assert_eq!(class("40008", "Meta: 131026, undeliverable"), "permanent:recipient:nobody");
        assert_eq!(class("41000", "132015: paused"), "rate_limited:template");
        // A number of theirs, a code that nobody knows, no code.
        assert_eq!(class("41000", "+55131047 is not reached"), "permanent:message");
        assert_eq!(class("41000", "131999"), "permanent:message");
        assert_eq!(class("40008", "No"), "permanent:recipient:not_this_time");
        // Other codes speak for themselves.
        assert_eq!(class("40300", "131047"), "permanent:recipient:opted_out");
    }
}
