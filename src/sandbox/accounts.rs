//! The accounts that the emulators know: those of the fixtures, and those that a test adds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::recordings::{self, RecordedAccount, RecordedRoute};

/// The names of the emulated providers.
pub(super) const PROVIDERS: [&str; 4] = ["meta", "twilio", "telnyx", "waha"];

/// An account at an emulated provider.
#[derive(Clone, Deserialize)]
pub struct SandboxAccount {
    /// `meta`, `twilio`, `telnyx` or `waha`.
    pub provider: String,
    /// Its plain settings, as an account of the gateway has them.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Its credentials, as an account of the gateway has them.
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
    /// What the provider signs webhooks with.
    #[serde(default)]
    pub signing_secret: String,
    /// Its lines.
    #[serde(default)]
    pub routes: Vec<SandboxRoute>,
    /// Where its webhooks go that no request names a URL for.
    #[serde(default)]
    pub webhook_url: Option<String>,
    /// How strict the provider is with it; without it, as strict as the provider is with everybody.
    #[serde(default)]
    pub limits: Option<Strictness>,
}

/// A line of an account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SandboxRoute {
    /// `whatsapp`, `sms` or `voip`.
    pub channel: String,
    /// Our number.
    pub address: String,
    /// The provider's handle of it.
    #[serde(default)]
    pub handle: Option<String>,
}

/// How strict a provider is with an account.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Strictness {
    /// Messages a second of one line; `None` is without limit.
    pub per_second: Option<f64>,
    /// Whether one recipient gets at most 45 messages at once and then one in six seconds (Meta).
    pub pair: bool,
    /// Whether the 24-hour window of WhatsApp is watched.
    pub window: bool,
    /// Whether a closed window is told by a failed status instead of the answer (always so at Twilio).
    pub window_in_status: bool,
}

impl Default for Strictness {
    fn default() -> Self {
        Self { per_second: None, pair: false, window: true, window_in_status: false }
    }
}

impl Strictness {
    /// No limit at all: for benchmarks.
    pub const NONE: Self =
        Self { per_second: None, pair: false, window: false, window_in_status: false };

    fn of(provider: &str) -> Self {
        match provider {
            "meta" => Self { per_second: Some(80.0), pair: true, ..Self::default() },
            _ => Self::default(),
        }
    }
}

impl std::fmt::Debug for SandboxAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SandboxAccount")
            .field("provider", &self.provider)
            .field("settings", &self.settings)
            .field("routes", &self.routes)
            .finish_non_exhaustive()
    }
}

impl SandboxAccount {
    /// How strict the provider is with it.
    pub(super) fn strictness(&self) -> Strictness {
        self.limits.unwrap_or_else(|| Strictness::of(&self.provider))
    }

    /// A credential. One that the account does not name is `sandbox-<provider>-token`, so that accounts whose fixture
    /// only receives can send too.
    pub(super) fn secret(&self, name: &str) -> String {
        let named = self.secrets.get(name).filter(|value| !value.is_empty());
        named.cloned().unwrap_or_else(|| format!("sandbox-{}-token", self.provider))
    }

    /// A plain setting.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// What the provider calls the account as a whole.
    pub(super) fn name(&self) -> &str {
        let setting = match self.provider.as_str() {
            "meta" => "waba_id",
            "twilio" => "account_sid",
            "telnyx" => "messaging_profile_ids",
            _ => "session",
        };
        let route = || self.routes.first().map(|route| route.address.as_str());
        let fallback = if self.provider == "waha" { Some("default") } else { route() };
        let named = self.setting(setting).or(fallback).unwrap_or_default();
        named.split([',', ' ']).next().unwrap_or_default()
    }

    /// Whether `text` names this account: by any of its settings, or a line or handle of it.
    pub(super) fn is_named(&self, text: &str) -> bool {
        self.name() == text
            || self.settings.values().any(|value| value.split([',', ' ']).any(|id| id == text))
            || self.route(text).is_some()
    }

    /// The line with that number or handle.
    pub(super) fn route(&self, text: &str) -> Option<&SandboxRoute> {
        let named = |route: &&SandboxRoute| {
            same_number(&route.address, text) || route.handle.as_deref() == Some(text)
        };
        self.routes.iter().find(named)
    }

    /// The line with that number that carries `channel`.
    pub(super) fn line(&self, channel: &str, number: &str) -> Option<&SandboxRoute> {
        let fits =
            |route: &&SandboxRoute| route.channel == channel && same_number(&route.address, number);
        self.routes.iter().find(fits)
    }
}

/// The digits of a number: how numbers are compared and how Meta writes them.
pub(super) fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}

fn same_number(one: &str, other: &str) -> bool {
    one == other || (one.starts_with('+') && one[1..] == *other.trim_start_matches('+'))
}

/// A person as limits and windows know them: the digits of a number, or a user id as it is.
pub(super) fn person(address: &str) -> String {
    let bare = address.trim_start_matches("whatsapp:");
    let bare = bare.split('@').next().unwrap_or_default();
    match bare.trim_start_matches('+').bytes().all(|byte| byte.is_ascii_digit()) {
        true => digits(bare),
        false => bare.to_owned(),
    }
}

/// Whether `text` is a number in E.164: a plus sign and 7 to 15 digits, the first not zero.
pub(super) fn is_e164(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    (7..=15).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0')
}

/// Whether `text` is a WhatsApp user id of somebody who hides their number: a country, a dot, letters and digits.
pub(super) fn is_user_id(text: &str) -> bool {
    let (country, id) = text.split_once('.').unwrap_or_default();
    country.len() == 2 && !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether `text` is a name that an SMS may come from: 1 to 11 letters, digits and a few signs, at least one a letter.
pub(super) fn is_sender_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b" &-_+".contains(&byte);
    (1..=11).contains(&text.len())
        && text.bytes().all(fits)
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// The accounts of the fixtures. Their webhooks go to the shared URLs below `webhooks`.
pub(super) fn recorded(webhooks: Option<&str>) -> Vec<SandboxAccount> {
    let mut accounts = Vec::new();
    for provider in PROVIDERS {
        for account in recordings::named(provider) {
            let url =
                webhooks.map(|base| format!("{}/hooks/{provider}", base.trim_end_matches('/')));
            accounts.push(from_recording(provider, account, url));
        }
    }
    accounts
}

fn from_recording(provider: &str, account: RecordedAccount, url: Option<String>) -> SandboxAccount {
    let route = |route: RecordedRoute| SandboxRoute {
        channel: route.channel,
        address: route.address,
        handle: route.handle,
    };
    SandboxAccount {
        provider: provider.to_owned(),
        settings: account.settings,
        secrets: account.secrets,
        signing_secret: account.signing_secret,
        routes: account.routes.into_iter().map(route).collect(),
        webhook_url: url,
        limits: None,
    }
}
