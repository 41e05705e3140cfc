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
    known_class_of(code).unwrap_or(FailureClass::Permanent(Cause::Message))
}

/// What to do about an error code that we know.
pub(super) fn known_class_of(code: &str) -> Option<FailureClass> {
    let code: u32 = code.trim().parse().ok()?;
    passing(code)
        .or_else(|| theirs(code))
        .or_else(|| ours(code).then_some(FailureClass::Permanent(Cause::Account)))
        .or_else(|| of_the_message(code).then_some(FailureClass::Permanent(Cause::Message)))
}

/// What passes, what is limited, and what is no failure.
fn passing(code: u32) -> Option<FailureClass> {
    use FailureClass::{Indeterminate, NoFailure, RateLimited, Transient};
    Some(match code {
        // Twilio's, the carrier's or the channel's own trouble; a prefix that is shut for half an hour.
        12_400 | 16_106 | 20_500 | 20_503 | 21_730 | 30_008 | 30_020 | 30_021 | 30_450
        | 63_009 | 63_010 | 63_012 | 63_023 | 63_037 => Transient,
        // The carrier's side did not answer in time: it may have been delivered.
        30_410 => Indeterminate,
        // Requests, calls and sessions at once, the queue of the account or of one number.
        10_004 | 16_020 | 16_021 | 16_108 | 20_429 | 21_611 | 30_001 | 60_728 | 64_109 | 86_008
        // What carriers accept in a second or in a day, and what the channel accepts in a second.
        | 30_017 | 30_022 | 30_023 | 30_027 | 63_017 => RateLimited(LimitScope::Account),
        // Replies between the same two numbers.
        14_107 => RateLimited(LimitScope::Pair),
        // What the channel and the account may send in a day.
        63_018 | 63_038 => RateLimited(LimitScope::Reputation),
        63_041 => RateLimited(LimitScope::Template),
        // Our own webhook or document did not please; nothing of a message's has failed.
        11_100 | 11_200..=11_242 | 11_750 | 11_770 | 12_100..=12_102 | 12_200 | 12_301
        // Over already, absent, or there already.
        | 16_022 | 16_101 | 16_102 | 21_220 | 30_409 | 63_025
        // Warnings, and parts of messages that came in.
        | 30_009 | 30_025 | 30_026 | 30_038 | 30_045 | 63_039 => NoFailure,
        _ => return None,
    })
}

/// What is the recipient's, or that of the country or carrier where they are.
fn theirs(code: u32) -> Option<FailureClass> {
    Some(FailureClass::Permanent(match code {
        // No such number or country, a land-line, unknown to the carrier, not on the channel.
        13_223 | 13_226 | 13_243 | 21_211 | 21_217 | 21_614 | 21_635 | 30_005 | 30_006 | 63_003
        | 63_024 => Cause::Recipient(Reach::Nobody),
        21_610 => Cause::Recipient(Reach::OptedOut),
        63_050 => Cause::Recipient(Reach::NoMarketing),
        63_032 | 63_049 => Cause::Recipient(Reach::NoMarketingNow),
        // Not called by this route, on a list of Twilio's, a premium number, a SIP host that does not resolve.
        13_224 | 13_225 | 13_254 | 14_101 | 21_202 | 21_214 | 21_216
        // No route between these two numbers; switched off; blocked, by whom is not told.
        | 21_612 | 30_003 | 30_004 | 63_014 | 63_033
        // Never joined the sandbox, no tester; the handset could not load it, or is not reached by RCS now.
        | 63_015 | 63_029 | 63_035 | 63_036 => Cause::Recipient(Reach::NotThisTime),
        // Countries that the account may not reach.
        13_227 | 21_203 | 21_215 | 21_408
        // A sender that does not fit, is not registered or is blocked in one country or with one carrier.
        | 21_657 | 30_018 | 30_024 | 30_040 | 30_042 => Cause::Destination,
        63_016 => Cause::Window,
        _ => return None,
    }))
}

/// What the account must mend before anything gets through.
fn ours(code: u32) -> bool {
    matches!(
        code,
        // Credentials, an account that is closed or on trial, something of ours that does not exist.
        10_001..=10_003 | 14_111 | 20_003 | 20_005 | 20_006 | 20_008 | 20_403 | 20_404 | 21_219
        | 21_607 | 21_608 | 90_010
        // Calls: who calls, what may be called, where they are answered, how they are recorded.
        | 13_214 | 13_244 | 13_246 | 13_247 | 16_104 | 16_105 | 16_111 | 16_112 | 21_205 | 21_218
        | 21_226 | 37_008
        // A sender that is not ours, not verified or not able, or a service without one.
        | 14_102 | 14_108 | 21_210 | 21_212 | 21_213 | 21_601 | 21_603 | 21_606 | 21_616 | 21_621
        | 21_622 | 21_659..=21_661 | 21_701..=21_705 | 21_708 | 21_709 | 21_711 | 21_712
        // Suspended, filtered, not registered with the carriers, registration refused.
        | 30_002 | 30_007 | 30_032..=30_035 | 30_037 | 30_440..=30_449 | 30_880..=30_898
        // The channel does not know the sender or its credentials, or does not want it; the number has moved.
        | 63_001 | 63_002 | 63_007 | 63_008 | 63_020 | 63_022 | 63_026 | 63_051 | 63_059 | 63_060
        | 63_062 | 63_124 | 63_128
    )
}

/// What is wrong with the message, the call or the request itself.
fn of_the_message(code: u32) -> bool {
    matches!(
        code,
        // Values of TwiML, of calls and of recordings.
        12_300 | 13_201 | 13_210 | 13_212 | 13_213 | 13_215..=13_222 | 13_230..=13_233 | 13_235
        | 13_237 | 13_245 | 13_248 | 13_250 | 13_251 | 13_256 | 14_103 | 14_109 | 16_113 | 21_201
        | 21_206..=21_209 | 21_221..=21_225 | 21_262 | 21_263
        // Parameters of any request.
        | 20_001 | 20_004 | 20_422 | 30_028..=30_031 | 30_400 | 30_404
        // Texts, files, templates, validity, price.
        | 11_751 | 21_266 | 21_602 | 21_604 | 21_605 | 21_609 | 21_617..=21_620 | 21_623 | 21_624
        | 21_653..=21_656 | 21_658 | 21_910 | 30_010..=30_016 | 30_019 | 30_036 | 90_007
        // What the channel does not take.
        | 63_005 | 63_006 | 63_011 | 63_013 | 63_019 | 63_021 | 63_027 | 63_028 | 63_030 | 63_031
        | 63_034 | 63_040 | 63_042
    )
}
