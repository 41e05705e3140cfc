//! What an account is made of, and how it is read.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use secrecy::ExposeSecret;
use url::Url;

use super::api::Api;
use crate::{Field, HumanPace, Misconfigured, Pace, Settings};

/// How long a session's name may be, in bytes. WAHA itself allows 54.
const SESSION_BYTES: usize = 100;

/// What a messages-per-second setting may be. Numbers that send more than three are banned soon.
const RATES: RangeInclusive<f64> = 0.01..=10.0;

/// The longest pause before a message, in milliseconds.
const PAUSE_MS: u64 = 600_000;

/// How many strangers may be written to in a day at most.
const FIRST_CONTACTS: u32 = 10_000;

pub(super) const FIELDS: &[Field] = &[
    plain("base_url", true, "Where the WAHA server answers, for example http://waha:3000."),
    plain(
        "session",
        true,
        "The name of the WAHA session; webhooks and routes name it as the handle.",
    ),
    Field {
        name: "api_key",
        secret: true,
        required: true,
        rotates: false,
        about: "The WAHA server's API key, or one that is made for this session.",
    },
    Field {
        name: "webhook_secret",
        secret: true,
        required: true,
        rotates: true,
        about: "The key by which WAHA signs its webhooks (HMAC-SHA512): a long random text of your choice.",
    },
    plain(
        "messages_per_second",
        false,
        "How many messages go out in a second at most; 1 by default, 0.01 to 10.",
    ),
    plain(
        "pause_least_ms",
        false,
        "The shortest pause before a message, in milliseconds; 1000 by default.",
    ),
    plain(
        "pause_most_ms",
        false,
        "The longest pause before a message, in milliseconds; 6000 by default.",
    ),
    plain(
        "first_contacts_per_day",
        false,
        "How many people who never wrote to us may be written to in a day; 20 by default, 0 for none.",
    ),
];

const fn plain(name: &'static str, required: bool, about: &'static str) -> Field {
    Field { name, secret: false, required, rotates: false, about }
}

/// How the server is reached.
pub(super) fn api(settings: &Settings) -> Result<Api, Misconfigured> {
    let base = base_url(settings.required_text("base_url")?)
        .map_err(|reason| Misconfigured::new("base_url", reason))?;
    let session = settings.required_text("session")?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if session.len() > SESSION_BYTES || !session.chars().all(is_plain) || session.starts_with('.') {
        let reason = "must be letters, digits, `-`, `_` and `.`, at most 100";
        return Err(Misconfigured::new("session", reason));
    }
    let key =
        settings.secret("api_key").ok_or_else(|| Misconfigured::new("api_key", "is missing"))?;
    if !key.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Misconfigured::new("api_key", "must be visible ASCII characters"));
    }
    Ok(Api::new(base, session.to_owned(), key.clone()))
}

/// An address without anything that does not belong into it. It may have a path, where a proxy gives WAHA one.
fn base_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is no URL")?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("must begin with http:// or https:// and name a host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must hold no credentials");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must have no query and no fragment");
    }
    Ok(url)
}

/// How fast this account sends.
pub(super) fn pace(settings: &Settings) -> Result<Pace, Misconfigured> {
    let per_second = number(settings, "messages_per_second", 1.0, RATES)?;
    let least = number(settings, "pause_least_ms", 1_000, 0..=PAUSE_MS)?;
    let most = number(settings, "pause_most_ms", 6_000.max(least), 0..=PAUSE_MS)?;
    if least > most {
        return Err(Misconfigured::new("pause_least_ms", "must not be above pause_most_ms"));
    }
    let human = HumanPace {
        least: Duration::from_millis(least),
        most: Duration::from_millis(most),
        first_contacts_per_day: number(settings, "first_contacts_per_day", 20, 0..=FIRST_CONTACTS)?,
    };
    Ok(Pace { per_second, burst: 1.0, pair: None, human: Some(human) })
}

fn number<T: FromStr + PartialOrd + std::fmt::Display>(
    settings: &Settings,
    name: &str,
    default: T,
    range: RangeInclusive<T>,
) -> Result<T, Misconfigured> {
    let Some(text) = settings.text(name) else {
        return Ok(default);
    };
    let value = text.parse().ok().filter(|value| range.contains(value));
    let reason = || format!("must be a number from {} to {}", range.start(), range.end());
    value.ok_or_else(|| Misconfigured::new(name, reason()))
}
