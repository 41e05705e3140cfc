//! Every setting: its name, default and meaning in one table, its type in one struct, parsed once at the start.

mod given;
mod sections;
mod settings;
mod targets;

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::error::Kind;
use figment::providers::{Format, Toml};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

pub use sections::{
    Auth, Calls, Data, Database, Intake, Keys, Limits, Log, Media, Metrics, Outgoing, Retention,
    Sending, Server,
};
pub use settings::{SETTINGS, Setting};
pub use targets::{Place, Target};

/// The file that is read if it exists and no other is named.
const FILE: &str = "switchboard.toml";

/// How long the secret of tokens must be: as long as what HS256 makes of it (RFC 7518, 3.2).
const JWT_SECRET_BYTES: usize = 32;

/// All settings, parsed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The listener.
    pub server: Server,
    /// Where the embedded database and the master key file live.
    pub data: Data,
    /// The database.
    pub database: Database,
    /// The master key.
    pub keys: Keys,
    /// Tokens of the CRM's identity provider.
    pub auth: Auth,
    /// The commit batcher.
    pub intake: Intake,
    /// Telephone calls.
    pub calls: Calls,
    /// Sending.
    pub sending: Sending,
    /// Requests to others.
    pub outgoing: Outgoing,
    /// Files.
    pub media: Media,
    /// How long things are kept.
    pub retention: Retention,
    /// How many requests the API answers.
    pub limits: Limits,
    /// Logging.
    pub log: Log,
    /// Metrics.
    pub metrics: Metrics,
}

/// Why the settings cannot be used: which one, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl Config {
    /// Reads the settings: defaults, then the file (`path`, or `switchboard.toml` if it exists), then the environment
    /// (`SWITCHBOARD_SERVER__LISTEN`; `DATABASE_URL` for `database.url`), then `overrides` (`name=value`).
    pub fn load(path: Option<&Path>, overrides: &[String]) -> Result<Self, ConfigError> {
        Self::of(&gather(path, environment(), overrides)?)
    }

    /// Every setting with its value as a file would have it, if all can be used. Of a secret only whether it is set.
    pub fn show(
        path: Option<&Path>,
        overrides: &[String],
    ) -> Result<Vec<(Setting, String)>, ConfigError> {
        let figment = gather(path, environment(), overrides)?;
        Self::of(&figment)?;
        let value = |setting: &Setting| {
            let value = figment.extract_inner::<toml::Value>(setting.name);
            let value = value.map_err(|error| ConfigError(explain(&error)))?;
            let shown = match (setting.secret, value.as_str().map(str::trim)) {
                (false, _) => value.to_string(),
                (true, Some("")) => "(not set)".to_owned(),
                (true, _) => "[REDACTED]".to_owned(),
            };
            Ok((*setting, shown))
        };
        SETTINGS.iter().map(value).collect()
    }

    fn of(figment: &Figment) -> Result<Self, ConfigError> {
        let mut config: Config = figment.extract().map_err(|error| ConfigError(explain(&error)))?;
        config.server.public_url = public_url(&config.server.public_url)?;
        config.check_server()?;
        config.check()?;
        config.check_outside()?;
        Ok(config)
    }

    fn check_server(&self) -> Result<(), ConfigError> {
        let fail = |name: &str, reason: &str| Err(ConfigError(format!("{name}: {reason}")));
        if !(100..=60_000).contains(&self.server.head_timeout_ms) {
            return fail("server.head_timeout_ms", "must be 100 to 60000");
        }
        if !(1_000..=3_600_000).contains(&self.server.idle_timeout_ms) {
            return fail("server.idle_timeout_ms", "must be 1000 to 3600000");
        }
        if self.server.max_connections == 0 {
            return fail("server.max_connections", "must be at least 1");
        }
        Ok(())
    }

    fn check_sending(&self) -> Result<(), ConfigError> {
        let fail = |name: &str, reason: &str| Err(ConfigError(format!("{name}: {reason}")));
        let sending = &self.sending;
        if !(1..=720).contains(&sending.max_age_hours) {
            return fail("sending.max_age_hours", "must be 1 to 720 hours");
        }
        if !(1_000..=120_000).contains(&sending.request_timeout_ms) {
            return fail("sending.request_timeout_ms", "must be 1000 to 120000");
        }
        if sending.conversation_wait_ms > 86_400_000 {
            return fail("sending.conversation_wait_ms", "must be at most 86400000 (a day)");
        }
        if !(0..=5).contains(&sending.resends) {
            return fail("sending.resends", "must be 0 to 5");
        }
        if !(3_000..=600_000).contains(&sending.worker_timeout_ms) {
            return fail("sending.worker_timeout_ms", "must be 3000 to 600000");
        }
        if sending.bulk_wait_ms > 60_000 {
            return fail("sending.bulk_wait_ms", "must be at most 60000");
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ConfigError> {
        let fail = |name: &str, reason: &str| Err(ConfigError(format!("{name}: {reason}")));
        let url = self.database.url.expose_secret().trim();
        let is_postgres =
            |url: &str| url.starts_with("postgres://") || url.starts_with("postgresql://");
        if !(url.is_empty() || url.starts_with("sqlite:") || is_postgres(url)) {
            return fail("database.url", "must be sqlite: or postgres:");
        }
        let logins = [
            ("database.intake_url", &self.database.intake_url),
            ("database.api_url", &self.database.api_url),
        ];
        for (name, url) in logins {
            let url = url.expose_secret().trim();
            if !(url.is_empty() || is_postgres(url)) {
                return fail(name, "must be postgres:");
            }
        }
        if !["full", "normal"].contains(&self.database.sqlite_synchronous.as_str()) {
            return fail("database.sqlite_synchronous", "must be full or normal");
        }
        if !(1..=4).contains(&self.intake.writers) {
            return fail("intake.writers", "must be 1 to 4");
        }
        if !(1..=4_096).contains(&self.intake.batch_requests) {
            return fail("intake.batch_requests", "must be 1 to 4096");
        }
        if self.intake.queue_requests == 0 {
            return fail("intake.queue_requests", "must be at least 1");
        }
        if self.intake.queue_bytes < self.server.webhook_body_bytes {
            return fail(
                "intake.queue_bytes",
                "must hold at least one webhook of server.webhook_body_bytes",
            );
        }
        self.check_sending()?;
        let retention = &self.retention;
        let days = [
            ("retention.inbox_days", retention.inbox_days),
            ("retention.quarantine_days", retention.quarantine_days),
            ("retention.events_days", retention.events_days),
            ("retention.waiting_days", retention.waiting_days),
            ("retention.queue_days", retention.queue_days),
            ("retention.audit_days", retention.audit_days),
        ];
        for (name, value) in days {
            if !(1..=36_500).contains(&value) {
                return fail(name, "must be 1 to 36500 days");
            }
        }
        if !(0..=86_400).contains(&self.calls.silence_seconds) {
            return fail("calls.silence_seconds", "must be 0 (never) to 86400 seconds");
        }
        self.check_limits()?;
        self.check_media()
    }

    fn check_limits(&self) -> Result<(), ConfigError> {
        let limits = [
            ("limits.key_per_minute", self.limits.key_per_minute),
            ("limits.organization_per_minute", self.limits.organization_per_minute),
        ];
        for (name, value) in limits {
            if value > 10_000_000 {
                let reason = "must be 0 (no limit) to 10000000 requests";
                return Err(ConfigError(format!("{name}: {reason}")));
            }
        }
        Ok(())
    }

    fn check_media(&self) -> Result<(), ConfigError> {
        let fail = |name: &str, reason: &str| Err(ConfigError(format!("{name}: {reason}")));
        let media = &self.media;
        if !(0..=36_500).contains(&self.retention.media_days) {
            return fail("retention.media_days", "must be 0 to 36500 days");
        }
        if !(1..=168).contains(&media.link_hours) {
            return fail("media.link_hours", "must be 1 to 168 hours");
        }
        if media.upload_bytes == 0 || media.fetch_bytes == 0 {
            return fail("media.upload_bytes, media.fetch_bytes", "must be at least 1");
        }
        let endpoint = media.s3_endpoint.trim();
        if !endpoint.is_empty() && url::Url::parse(endpoint).is_err() {
            return fail("media.s3_endpoint", "must be an http(s) URL");
        }
        let given = |text: &SecretString| !text.expose_secret().trim().is_empty();
        if given(&media.s3_access_key) != given(&media.s3_secret_key) {
            return fail("media.s3_access_key, media.s3_secret_key", "belong together");
        }
        Ok(())
    }

    /// What has to do with others: URLs, and the log.
    fn check_outside(&self) -> Result<(), ConfigError> {
        let fail = |name: &str, reason: &str| Err(ConfigError(format!("{name}: {reason}")));
        let web = |text: &str| {
            url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
        };
        let jwks_url = self.auth.jwks_url.trim();
        if !jwks_url.is_empty() && web(jwks_url).is_none() {
            return fail("auth.jwks_url", "must be an http(s) URL");
        }
        // Whoever has one token can try secrets as fast as they can hash.
        let secret = self.auth.jwt_secret.expose_secret().trim().len();
        if (1..JWT_SECRET_BYTES).contains(&secret) {
            let reason = format!(
                "has {secret} bytes and must have at least {JWT_SECRET_BYTES}, such as `openssl rand -base64 32` makes; \
                 give the identity provider the same"
            );
            return fail("auth.jwt_secret", &reason);
        }
        let listen = self.metrics.listen.trim();
        if !listen.is_empty() && self.metrics.address().is_none_or(|at| at == self.server.listen) {
            let reason = "must be an address and port of its own, such as 127.0.0.1:9464";
            return fail("metrics.listen", reason);
        }
        if !["readable", "json"].contains(&self.log.format.as_str()) {
            return fail("log.format", "must be readable or json");
        }
        // A single word that is no level would be read as a part of the program whose every line is wanted.
        let is_level = |word: &str| word.parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
        let level = self.log.level.as_str();
        let known = level.split(',').all(|part| part.contains('=') || is_level(part.trim()));
        if !known || tracing_subscriber::EnvFilter::try_new(level).is_err() {
            return fail(
                "log.level",
                "must be off, error, warn, info, debug or trace, or several such as info,sqlx=warn",
            );
        }
        Ok(())
    }

    /// The database: what is configured, or SQLite in the data folder.
    pub fn database_url(&self) -> SecretString {
        if self.database.url.expose_secret().trim().is_empty() {
            let path = self.data.dir.join("switchboard.db");
            return SecretString::from(format!("sqlite:{}", path.display()));
        }
        self.database.url.clone()
    }

    /// The master key file: what is configured, or `master.key` in the data folder.
    pub fn master_key_file(&self) -> PathBuf {
        if self.keys.master_key_file.as_os_str().is_empty() {
            return self.data.dir.join("master.key");
        }
        self.keys.master_key_file.clone()
    }
}

/// The public URL in the form in which it stands in requests and signatures: scheme and host in lower case, a host name that is
/// not ASCII as its punycode, no slash at the end.
fn public_url(text: &str) -> Result<String, ConfigError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(String::new());
    }
    let plain = |url: &url::Url| {
        matches!(url.scheme(), "http" | "https")
            && url.query().is_none()
            && url.fragment().is_none()
    };
    match url::Url::parse(text).ok().filter(plain) {
        Some(url) => Ok(url.as_str().trim_end_matches('/').to_owned()),
        None => {
            let reason = "must be an http(s) URL without query and fragment, such as https://gateway.example.com";
            Err(ConfigError(format!("server.public_url: {reason}")))
        }
    }
}

/// The environment variable of a setting.
pub fn environment_name(name: &str) -> String {
    format!("SWITCHBOARD_{}", name.replace('.', "__").to_uppercase())
}

fn defaults() -> Figment {
    let mut text = String::new();
    for Setting { name, default, .. } in SETTINGS {
        text.push_str(name);
        text.push_str(" = ");
        text.push_str(default);
        text.push('\n');
    }
    Figment::new().merge(Toml::string(&text))
}

/// The environment, as text.
fn environment() -> impl Iterator<Item = (String, String)> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(move |(name, value)| (text(name), text(value)))
}

/// All sources, the later ones winning.
fn gather(
    path: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
    overrides: &[String],
) -> Result<Figment, ConfigError> {
    let mut figment = defaults();
    match path {
        Some(path) if !path.exists() => {
            return Err(ConfigError(format!("{}: the file does not exist", path.display())));
        }
        Some(path) => figment = figment.merge(Toml::file_exact(path)),
        None if Path::new(FILE).exists() => figment = figment.merge(Toml::file_exact(FILE)),
        None => {}
    }
    for given in given::in_environment(environment) {
        figment = figment.merge(given);
    }
    for text in overrides {
        figment = figment.merge(given::on_command_line(text)?);
    }
    Ok(figment)
}

/// One line an error, each with the setting's name and where its value came from. Never a secret's value.
fn explain(error: &figment::Error) -> String {
    let one = |error: figment::Error| {
        let name = error.path.join(".");
        let source = error.metadata.as_ref().map(|metadata| metadata.name.to_string());
        let source = source.map(|source| format!(" (from {source})")).unwrap_or_default();
        let holds_secrets = SETTINGS.iter().any(|setting| {
            let below = setting.name.strip_prefix(name.as_str());
            setting.secret && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        let reason = match &error.kind {
            Kind::InvalidType(_, _) | Kind::InvalidValue(_, _) if holds_secrets => {
                let is_section = !name.contains('.');
                format!("must be {}", if is_section { "a section" } else { "a text, in quotes" })
            }
            Kind::Message(_) if holds_secrets => "cannot be read".to_owned(),
            // A file that is no TOML: the parser shows the line, and a secret may stand in it.
            Kind::Message(text) if text.contains('|') => {
                let lines = text.lines().filter(|line| !line.contains('|'));
                lines.collect::<Vec<_>>().join(": ")
            }
            kind => kind.to_string(),
        };
        if name.is_empty() {
            format!("{reason}{source}")
        } else {
            format!("{name}: {reason}{source}")
        }
    };
    error.clone().into_iter().map(one).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
