//! What went wrong, what to do about it, and whose fault it is: decided once, by the provider's error table.

use std::time::Duration;

use serde::{Serialize, Serializer};

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

/// What to do about a failure. Its [name](FailureClass::name) is how it is kept and shown: `permanent:account`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// Try again, on our own schedule.
    Transient,
    /// Try again when the limit allows it; everything else in the scope waits too.
    RateLimited(LimitScope),
    /// It left us and no answer came: it may have been done. Never resend blindly.
    Indeterminate,
    /// Trying again would not help.
    Permanent(Cause),
    /// Not a failure of what was asked: a warning, the end of something that was over already, or a complaint about
    /// our own webhook. Nothing is tried again for it, and nobody is to blame.
    NoFailure,
}

/// What a rate limit holds back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitScope {
    /// Everything the account or number sends: it goes on more slowly.
    Account,
    /// Only what goes from this number to this recipient.
    Pair,
    /// Everything the account or number sends, for hours or days: people complained about it, or a day's allowance is used
    /// up.
    Reputation,
    /// Only messages that use this template: it is paused, and may come back.
    Template,
}

/// Whose fault a permanent failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The account: credentials, billing, registration, policy. Nothing will get through until it is mended.
    Account,
    /// The recipient: not reachable on this channel, or unwilling.
    Recipient(Reach),
    /// The account may not write to the recipient's country or carrier; others are not concerned.
    Destination,
    /// The message: malformed, too long, refused content or template.
    Message,
    /// The customer-service window is closed; a template would get through.
    Window,
}

/// What a failure says of the recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// There is nobody at this address: no such number, not on the channel.
    Nobody,
    /// They asked for no more messages of any kind.
    OptedOut,
    /// They asked for no more marketing. Everything else reaches them.
    NoMarketing,
    /// They get no more marketing for now: the channel limits how much of it one person gets.
    NoMarketingNow,
    /// This message did not reach them, which says nothing of the next: the handset is off, this pair of numbers or this
    /// kind of message does not fit.
    NotThisTime,
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

impl Cause {
    /// The cause's word: what the API shows.
    pub fn word(self) -> &'static str {
        match self {
            Cause::Account => "account",
            Cause::Recipient(_) => "recipient",
            Cause::Destination => "destination",
            Cause::Message => "message",
            Cause::Window => "window",
        }
    }
}

impl FailureClass {
    /// All classes with their names.
    pub const ALL: [(FailureClass, &'static str); 16] = [
        (FailureClass::Transient, "transient"),
        (FailureClass::RateLimited(LimitScope::Account), "rate_limited:account"),
        (FailureClass::RateLimited(LimitScope::Pair), "rate_limited:pair"),
        (FailureClass::RateLimited(LimitScope::Reputation), "rate_limited:reputation"),
        (FailureClass::RateLimited(LimitScope::Template), "rate_limited:template"),
        (FailureClass::Indeterminate, "indeterminate"),
        (FailureClass::Permanent(Cause::Account), "permanent:account"),
        (FailureClass::Permanent(Cause::Recipient(Reach::Nobody)), "permanent:recipient:nobody"),
        (
            FailureClass::Permanent(Cause::Recipient(Reach::OptedOut)),
            "permanent:recipient:opted_out",
        ),
        (
            FailureClass::Permanent(Cause::Recipient(Reach::NoMarketing)),
            "permanent:recipient:no_marketing",
        ),
        (
            FailureClass::Permanent(Cause::Recipient(Reach::NoMarketingNow)),
            "permanent:recipient:no_marketing_now",
        ),
        (
            FailureClass::Permanent(Cause::Recipient(Reach::NotThisTime)),
            "permanent:recipient:not_this_time",
        ),
        (FailureClass::Permanent(Cause::Destination), "permanent:destination"),
        (FailureClass::Permanent(Cause::Message), "permanent:message"),
        (FailureClass::Permanent(Cause::Window), "permanent:window"),
        (FailureClass::NoFailure, "no_failure"),
    ];

    /// The cause, if it is permanent.
    pub fn cause(self) -> Option<Cause> {
        match self {
            FailureClass::Permanent(cause) => Some(cause),
            _ => None,
        }
    }

    /// The word of what to do, without whose fault it is: what the API shows.
    pub fn word(self) -> &'static str {
        match self {
            FailureClass::Transient => "transient",
            FailureClass::RateLimited(_) => "rate_limited",
            FailureClass::Indeterminate => "indeterminate",
            FailureClass::Permanent(_) => "permanent",
            FailureClass::NoFailure => "no_failure",
        }
    }

    /// The class in full, as it is kept: `permanent:recipient:nobody`.
    pub fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(class, _)| *class == self);
        found.map_or("permanent:message", |(_, name)| name)
    }

    /// The class of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(class, _)| *class)
    }
}

impl Serialize for FailureClass {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_found_by_its_name() {
        for (class, name) in FailureClass::ALL {
            assert_eq!((class.name(), FailureClass::from_name(name)), (name, Some(class)));
            assert!(name.starts_with(class.word()), "{name}");
        }
        assert_eq!(FailureClass::from_name("permanent"), None);
    }
}
