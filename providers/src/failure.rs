//! What went wrong, what to do about it, and whose fault it is: decided once, by the provider's error table.

use std::time::Duration;

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
    /// How long the provider asks us to wait before anything else is tried.
    pub retry_after: Option<Duration>,
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

impl Failure {
    /// A failure without a provider's code.
    pub fn new(class: FailureClass, detail: impl Into<String>) -> Self {
        Self { class, code: None, detail: detail.into(), retry_after: None }
    }

    /// The same with the provider's code.
    #[must_use]
    pub fn with_code(self, code: impl Into<String>) -> Self {
        Self { code: Some(code.into()), ..self }
    }

    /// What an HTTP status means where the body says nothing: 429 is a rate limit, 408 and 5xx pass, except that behind
    /// 502 and 504 the provider may have done what it was asked to. 401 and 403 are the account's fault.
    pub fn of_status(status: http::StatusCode) -> Self {
        use FailureClass::{Indeterminate, Permanent, RateLimited, Transient};
        let class = match status.as_u16() {
            429 => RateLimited(LimitScope::Account),
            502 | 504 => Indeterminate,
            408 | 425 | 500..=599 => Transient,
            401 | 403 => Permanent(Cause::Account),
            _ => Permanent(Cause::Message),
        };
        Self::new(class, format!("the provider answered {status}"))
    }
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
