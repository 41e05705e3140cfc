//! What went wrong, what to do about it, and whose fault it is: decided once, by the provider's error table.

use serde::Serialize;

/// A failure at the provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// What to do.
    pub class: FailureClass,
    /// The provider's code.
    pub code: Option<String>,
    /// The provider's explanation. Holds no secret.
    pub detail: String,
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// Try again, on our own schedule.
    Transient,
    /// Try again when the limit allows it; everything else in the scope waits too.
    RateLimited(LimitScope),
    /// It left us and no answer came: it may have been done. Never resend blindly.
    Indeterminate,
    /// Trying again would not help.
    Permanent(Cause),
}

/// What a rate limit holds back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitScope {
    /// Everything the account or number sends.
    Account,
    /// Only what goes from this number to this recipient.
    Pair,
}

/// Whose fault a permanent failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The account: credentials, billing, registration, policy. Nothing will get through until it is mended.
    Account,
    /// The recipient: not reachable on this channel, or unwilling.
    Recipient,
    /// The message: malformed, too long, refused content or template.
    Message,
    /// The customer-service window is closed; a template would get through.
    Window,
}

impl FailureClass {
    /// The cause, if it is permanent.
    pub fn cause(self) -> Option<Cause> {
        match self {
            FailureClass::Permanent(cause) => Some(cause),
            _ => None,
        }
    }
}
