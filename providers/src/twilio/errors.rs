//! What Twilio's error codes mean for us.
//! <https://www.twilio.com/docs/api/errors>

use crate::form::Form;
use crate::{Cause, FailureClass, LimitScope, Reach};

/// The error a webhook reports. Twilio writes `0` for none.
pub(super) fn code(form: &Form<'_>) -> Option<String> {
    let code = form.get("ErrorCode")?.trim();
    (code != "0").then(|| code.to_owned())
}

/// What to do about an error code. Codes we do not know are final and the message's fault: repeating an unknown
/// refusal helps nobody.
pub(super) fn class_of(code: &str) -> FailureClass {
    use FailureClass::{Permanent, RateLimited, Transient};
    let Ok(code) = code.trim().parse::<u32>() else {
        return Permanent(Cause::Message);
    };
    match code {
        // Requests and calls at once, the queue of the account or of one number.
        10_004 | 14_107 | 20_429 | 21_611 | 30_001
        // What carriers accept in a second or in a day.
        | 30_017 | 30_022 | 30_023 | 30_027
        // What Twilio and the channel accept, in a second or in a day.
        | 63_017 | 63_018 | 63_038 => RateLimited(LimitScope::Account),
        // Twilio's, the carrier's or the channel's own trouble; a price above the limit set for one message.
        20_500 | 20_503 | 30_008 | 30_010 | 63_010 | 63_012 => Transient,
        63_016 => Permanent(Cause::Window),
        // No such number, or none that takes calls or messages.
        13_223 | 13_224 | 21_211 | 21_214 | 21_217 | 21_612 | 21_614 | 21_635
        // They blocked us.
        | 30_004 | 63_014
        // Unknown, a land-line.
        | 30_005 | 30_006
        // Not on the channel, not to be written to for now, never joined the sandbox.
        | 63_003 | 63_015 | 63_024 | 63_032 => Permanent(Cause::Recipient(Reach::Nobody)),
        // They asked for no more messages.
        21_610 => Permanent(Cause::Recipient(Reach::OptedOut)),
        63_049 => Permanent(Cause::Recipient(Reach::NoMarketingNow)),
        // Switched off, or out of reach for now.
        30_003 => Permanent(Cause::Recipient(Reach::NotThisTime)),
        // Credentials, an account that is closed or on trial, something of ours that does not exist.
        10_001 | 10_002 | 20_003 | 20_005 | 20_006 | 20_404 | 21_219 | 21_608
        // Countries and numbers that the account may not reach.
        | 13_227 | 21_215 | 21_216 | 21_408
        // A sender that is not ours, not verified, or a service without one.
        | 21_210 | 21_212 | 21_603 | 21_606 | 21_607 | 21_659 | 21_660 | 21_661 | 21_701 | 21_703
        | 21_704
        // Suspended, filtered, not registered with the carriers.
        | 30_002 | 30_007 | 30_018 | 30_024 | 30_032..=30_035 | 30_037 | 30_040
        // The channel does not know the sender or its credentials.
        | 63_001 | 63_007 | 63_008 | 63_020 | 63_022 => Permanent(Cause::Account),
        _ => Permanent(Cause::Message),
    }
}
