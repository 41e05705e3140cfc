//! What Meta's error codes mean for us, and how its errors are read.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>

use serde_json::value::RawValue;

use super::wire::WireError;
use crate::outside;
use crate::{Cause, FailureClass, LimitScope, Reach};

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
pub(crate) fn known_class_of(code: &str) -> Option<FailureClass> {
    let code: i64 = code.trim().parse().ok()?;
    passing(code)
        .or_else(|| theirs(code))
        .or_else(|| ours(code).then_some(FailureClass::Permanent(Cause::Account)))
        .or_else(|| of_the_message(code).then_some(FailureClass::Permanent(Cause::Message)))
}

/// What passes, what is limited, and what is no failure.
fn passing(code: i64) -> Option<FailureClass> {
    use FailureClass::{NoFailure, RateLimited, Transient};
    Some(match code {
        // Meta's own trouble, maintenance, a number that was just deleted, a flow that is slowed for an hour.
        1 | 2 | 131_000 | 131_016 | 131_057 | 132_069 | 133_004 | 133_015 | 134_101 | 200_005
        | 2_494_100 => Transient,
        // Throughput, application limits, registering and synchronizing too often.
        4 | 17 | 32 | 613 | 80_007 | 80_008 | 130_429 | 133_008 | 133_009 | 133_016 | 2_593_107 => {
            RateLimited(LimitScope::Account)
        }
        // Too many messages from this number to this recipient.
        131_056 => RateLimited(LimitScope::Pair),
        // Complaints, and templates in the wrong category: every message is refused for hours or days, Meta does not
        // say until when.
        131_048 | 131_064 => RateLimited(LimitScope::Reputation),
        132_015 => RateLimited(LimitScope::Template),
        // There already, or declined by the person who was asked.
        1_752_041 | 2_388_012 | 2_593_109 => NoFailure,
        _ => return None,
    })
}

/// What is the recipient's, or that of the country where they are.
fn theirs(code: i64) -> Option<FailureClass> {
    Some(FailureClass::Permanent(match code {
        131_026 => Cause::Recipient(Reach::Nobody),
        131_050 => Cause::Recipient(Reach::NoMarketing),
        130_472 | 131_049 => Cause::Recipient(Reach::NoMarketingNow),
        // Blocked by ourselves, our own number, another identity key than we know, not to be called.
        130_403 | 131_021 | 137_000 | 138_006 => Cause::Recipient(Reach::NotThisTime),
        130_497 => Cause::Destination,
        131_047 => Cause::Window,
        _ => return None,
    }))
}

/// What the account must mend before anything gets through: credentials, permissions, billing, registration, policy, the
/// list of those whom a test number may write to.
fn ours(code: i64) -> bool {
    matches!(
        code,
        0 | 3 | 10 | 33 | 102 | 104 | 190 | 200
            ..=299
                | 368
                | 131_005
                | 131_030
                | 131_031
                | 131_037
                | 131_042
                | 131_044
                | 131_045
                | 133_000
                | 133_005
                | 133_006
                | 133_010
                | 134_011
                | 134_102
                | 200_007
                | 2_388_001
                | 2_388_019
                | 2_388_091
                | 2_388_093
                | 2_388_103
    )
}

/// What is wrong with the message or the request itself: parameters, types, files, groups, templates, calls, flows, block
/// lists, creation of templates, user names.
fn of_the_message(code: i64) -> bool {
    matches!(
        code,
        100 | 131_008
            | 131_009
            | 131_014
            | 131_020
            | 131_041
            | 131_051..=131_053
            | 131_055
            | 131_062
            | 131_063
            | 131_200..=131_299
            | 132_000..=132_999
            | 134_100
            | 135_000
            | 138_000..=138_999
            | 139_000..=139_103
            | 147_001..=147_005
            | 200_006
            | 2_388_000..=2_388_999
            | 2_494_000..=2_494_999
            | 2_593_108
    )
}
