//! Settings that every bridge to WhatsApp Web has: where it answers, what its device is called, and how people write.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use secrecy::ExposeSecret;
use url::Url;

use crate::{Field, HumanPace, Misconfigured, Pace, Secret, Settings};

/// How long the name of a session or instance may be, in bytes.
const NAME_BYTES: usize = 100;

/// What a messages-per-second setting may be. Numbers that send more than three are banned soon.
const RATES: RangeInclusive<f64> = 0.01..=10.0;

/// The longest pause before a message, in milliseconds.
const PAUSE_MS: u64 = 600_000;

/// How many strangers may be written to in a day at most.
const FIRST_CONTACTS: u32 = 10_000;

/// How often messages go out. Meta bans numbers that behave like machines, so every bridge is paced like a person.
pub(crate) const MESSAGES_PER_SECOND: Field = plain(
    "messages_per_second",
    false,
    "How many messages go out in a second at most; 1 by default, 0.01 to 10.",
);
/// See [`HumanPace::least`].
pub(crate) const PAUSE_LEAST: Field = plain(
    "pause_least_ms",
    false,
    "The shortest pause before a message, in milliseconds; 1000 by default.",
);
/// See [`HumanPace::most`].
pub(crate) const PAUSE_MOST: Field = plain(
    "pause_most_ms",
    false,
    "The longest pause before a message, in milliseconds; 6000 by default.",
);
/// See [`HumanPace::first_contacts_per_day`].
pub(crate) const FIRST_CONTACTS_PER_DAY: Field = plain(
    "first_contacts_per_day",
    false,
    "How many people who never wrote to us may be written to in a day; 20 by default, 0 for none.",
);

/// A setting that is no secret.
pub(crate) const fn plain(name: &'static str, required: bool, about: &'static str) -> Field {
    Field { name, secret: false, required, rotates: false, rotates_with: None, about }
}

/// The setting `base_url`.
pub(crate) fn base(settings: &Settings) -> Result<Url, Misconfigured> {
    base_url(settings.required_text("base_url")?)
        .map_err(|reason| Misconfigured::new("base_url", reason))
}

/// An address without anything that does not belong into it. It may have a path, where a proxy gives the bridge one.
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

/// The name of a session or instance, which stands in paths and webhooks.
pub(crate) fn name(settings: &Settings, field: &str) -> Result<String, Misconfigured> {
    let name = settings.required_text(field)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.len() > NAME_BYTES || !name.chars().all(is_plain) || name.starts_with('.') {
        let reason = "must be letters, digits, `-`, `_` and `.`, at most 100";
        return Err(Misconfigured::new(field, reason));
    }
    Ok(name.to_owned())
}

/// The key to the bridge's API, which goes into a header.
pub(crate) fn api_key(settings: &Settings) -> Result<Secret, Misconfigured> {
    let key =
        settings.secret("api_key").ok_or_else(|| Misconfigured::new("api_key", "is missing"))?;
    if !key.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Misconfigured::new("api_key", "must be visible ASCII characters"));
    }
    Ok(key.clone())
}

/// How fast this account sends.
pub(crate) fn pace(settings: &Settings) -> Result<Pace, Misconfigured> {
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
