//! What Meta's error codes mean for us, and how its errors are read.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>

use serde_json::value::RawValue;

use super::wire::WireError;
use crate::outside;
use crate::{Cause, FailureClass, LimitScope};

/// The first of `errors[]` that can be read.
pub(super) fn first<'a>(errors: &[&'a RawValue]) -> Option<WireError<'a>> {
    let mut readable = errors.iter().filter_map(|raw| outside::part(raw).ok());
    readable.next()
}

/// Meta's explanation: the most telling one it gives, since `details` repeat what `message` and `title` say.
pub(super) fn explain(error: &WireError<'_>) -> Option<String> {
    let data = error.error_data.as_ref();
    let details = data.and_then(|data| data.details.get());
    details.or(error.message.get()).or(error.title.get()).map(ToOwned::to_owned)
}

/// What to do about an error code. Codes we do not know are final and the message's fault: repeating an unknown
/// refusal helps nobody.
pub(super) fn class_of(code: &str) -> FailureClass {
    known_class_of(code).unwrap_or(FailureClass::Permanent(Cause::Message))
}

/// What to do about an error code that we know.
pub(super) fn known_class_of(code: &str) -> Option<FailureClass> {
    use FailureClass::{Permanent, RateLimited, Transient};
    let code: i64 = code.trim().parse().ok()?;
    Some(match code {
        // Throughput, application and portfolio limits.
        4 | 613 | 80_007 | 130_429 | 131_048 | 131_064 | 133_016 => {
            RateLimited(LimitScope::Account)
        }
        // Too many messages from this number to this recipient.
        131_056 => RateLimited(LimitScope::Pair),
        1 | 2 | 131_000 | 131_016 | 131_057 | 133_004 | 133_015 | 132_015 | 132_069 => Transient,
        131_047 => Permanent(Cause::Window),
        // Not reachable, not willing, or not to be written to for now.
        131_021 | 131_026 | 131_030 | 131_049 | 131_050 | 131_062 | 130_472 | 137_000 => {
            Permanent(Cause::Recipient)
        }
        // Credentials, permissions, billing, registration, policy.
        0
        | 3
        | 10
        | 190
        | 200..=299
        | 368
        | 130_497
        | 131_005
        | 131_031
        | 131_037
        | 131_042
        | 131_044
        | 131_045
        | 133_000
        | 133_005
        | 133_006
        | 133_008..=133_010 => Permanent(Cause::Account),
        // Parameters, types, files, groups, templates, calls, flows, block lists, creation of templates, user names.
        100
        | 131_008
        | 131_009
        | 131_014
        | 131_020
        | 131_041
        | 131_051..=131_053
        | 131_063
        | 131_200..=131_299
        | 132_000..=132_014
        | 132_016..=132_068
        | 132_070..=132_999
        | 135_000
        | 138_000..=138_999
        | 139_000..=139_004
        | 139_100..=139_103
        | 147_001..=147_005
        | 2_388_000..=2_388_999
        | 2_494_000..=2_494_999 => Permanent(Cause::Message),
        _ => return None,
    })
}
