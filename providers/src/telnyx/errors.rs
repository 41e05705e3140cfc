//! What Telnyx's error codes mean for us.
//! <https://developers.telnyx.com/docs/messaging/messages/error-codes>
//! and <https://developers.telnyx.com/development/api-fundamentals/api-errors>

use crate::{Cause, FailureClass, LimitScope, Reach};

/// What to do about an error code. Codes we do not know, those of call commands among them, are final and the
/// message's (or command's) fault: repeating an unknown refusal helps nobody.
pub(super) fn class_of(code: &str) -> FailureClass {
    use FailureClass::{Indeterminate, Permanent, RateLimited, Transient};
    let Ok(code) = code.trim().parse::<i64>() else {
        return Permanent(Cause::Message);
    };
    match code {
        // Telnyx failed, or is still at the request before; the network or the handset was away for a while.
        10_007 | 10_036 | 40_004..=40_006 | 40_008 => Transient,
        // Telnyx itself ran out of time: what we asked for may have been done.
        10_008 => Indeterminate,
        // Request rate, queues, the carriers' own limits, and holds that end by themselves.
        10_011 | 40_011 | 40_014 | 40_016 | 40_018 | 40_020 | 40_318 | 40_320 => {
            RateLimited(LimitScope::Account)
        }
        // WhatsApp through Telnyx keeps Meta's codes.
        131_047 => Permanent(Cause::Window),
        // Not routable, not a number, not on WhatsApp.
        40_001 | 40_012 | 40_310 | 131_026 => Permanent(Cause::Recipient(Reach::Nobody)),
        40_300 => Permanent(Cause::Recipient(Reach::OptedOut)),
        // Credentials, verification and money.
        10_009 | 10_010 | 20_002 | 20_006 | 20_012..=20_017 | 20_100
        // The sending number: blocked by carriers, not registered, not verified, unhealthy, not enabled.
        | 40_003 | 40_010 | 40_013 | 40_015 | 40_019 | 40_100 | 40_150 | 40_151 | 40_155 | 40_315
        | 40_323 | 40_329 | 40_330
        // The messaging profile: senders, regions, secrets, spend limit, switched off.
        | 40_305..=40_309 | 40_311..=40_314 | 40_321 | 40_325 | 40_331 | 40_333 => {
            Permanent(Cause::Account)
        }
        _ => Permanent(Cause::Message),
    }
}
