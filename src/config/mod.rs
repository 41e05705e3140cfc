//! Every setting: its name, default and meaning in one table, its type in one struct, parsed once at the start.

mod settings;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use ipnet::IpNet;
use secrecy::SecretString;
use serde::Deserialize;

pub use settings::{SETTINGS, Setting};

/// The file that is read if it exists and no other is named.
const FILE: &str = "switchboard.toml";

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
    /// How long things are kept.
    pub retention: Retention,
    /// Logging.
    pub log: Log,
    /// Metrics.
    pub metrics: Metrics,
}

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(missing_docs, reason = "SETTINGS documents every field")]
        pub struct $name { $(pub $field: $type),+ }
    };
}

section!(
    /// `[server]`
    Server {
        listen: SocketAddr,
        public_url: String,
        trusted_proxies: Vec<IpNet>,
        request_timeout_ms: u64,
        max_connections: usize,
        api_body_bytes: usize,
        webhook_body_bytes: usize,
        shutdown_ms: u64,
    }
);
section!(
    /// `[data]`
    Data { dir: PathBuf }
);
section!(
    /// `[database]`
    Database {
        url: SecretString,
        intake_url: SecretString,
        api_url: SecretString,
        connections: u32,
        statement_timeout_ms: u64,
        sqlite_synchronous: String,
    }
);
section!(
    /// `[keys]`
    Keys { master_key: SecretString, master_key_file: PathBuf }
);
section!(
    /// `[auth]`
    Auth {
        jwt_secret: SecretString,
        jwks_url: String,
        jwt_issuer: String,
        jwt_audience: String,
        jwt_user_claim: String,
        jwt_organization_claim: String,
    }
);
section!(
    /// `[intake]`
    Intake { queue_requests: usize, queue_bytes: usize, batch_requests: usize, writers: usize, share_public_keys: bool }
);
section!(
    /// `[retention]`
    Retention { inbox_days: i64, quarantine_days: i64, events_days: i64, waiting_days: i64 }
);
section!(
    /// `[log]`
    Log { level: String, format: String }
);
section!(
    /// `[metrics]`
    Metrics { token: SecretString }
);

/// Why the settings cannot be used: which one, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl Config {
    /// Reads the settings: defaults, then the file (`path`, or `switchboard.toml` if it exists), then the environment
    /// (`SWITCHBOARD_SERVER__LISTEN`; `DATABASE_URL` for `database.url`), then `overrides` (`name=value`).
    pub fn load(path: Option<&Path>, overrides: &[String]) -> Result<Self, ConfigError> {
        let mut figment = defaults();
        match path {
            Some(path) if !path.exists() => {
                return Err(ConfigError(format!("{}: the file does not exist", path.display())));
            }
            Some(path) => figment = figment.merge(Toml::file_exact(path)),
            None if Path::new(FILE).exists() => figment = figment.merge(Toml::file_exact(FILE)),
            None => {}
        }
        figment = figment
            .merge(Env::raw().only(&["DATABASE_URL"]).map(|_| "database.url".into()).split("."))
            .merge(Env::prefixed("SWITCHBOARD_").split("__"));
        for text in overrides {
            figment = figment.merge(read_override(text)?);
        }
        let config: Config = figment.extract().map_err(|error| ConfigError(explain(&error)))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let fail = |name: &str, reason: &str| Err(ConfigError(format!("{name}: {reason}")));
        let public_url = &self.server.public_url;
        if !public_url.is_empty() {
            let parsed = url::Url::parse(public_url).ok();
            let scheme = parsed.as_ref().map(url::Url::scheme);
            let plain =
                parsed.as_ref().is_some_and(|u| u.query().is_none() && u.fragment().is_none());
            if !plain || !matches!(scheme, Some("http" | "https")) {
                return fail(
                    "server.public_url",
                    "must be an http(s) URL without query and fragment",
                );
            }
        }
        if !["full", "normal"].contains(&self.database.sqlite_synchronous.as_str()) {
            return fail("database.sqlite_synchronous", "must be full or normal");
        }
        if !["readable", "json"].contains(&self.log.format.as_str()) {
            return fail("log.format", "must be readable or json");
        }
        if !(1..=4).contains(&self.intake.writers) {
            return fail("intake.writers", "must be 1 to 4");
        }
        if !(1..=4_096).contains(&self.intake.batch_requests) {
            return fail("intake.batch_requests", "must be 1 to 4096");
        }
        if self.intake.queue_requests == 0 || self.database.connections == 0 {
            return fail("intake.queue_requests, database.connections", "must be at least 1");
        }
        if self.intake.queue_bytes < self.server.webhook_body_bytes {
            return fail(
                "intake.queue_bytes",
                "must hold at least one webhook of server.webhook_body_bytes",
            );
        }
        let retention = &self.retention;
        let days = [
            ("retention.inbox_days", retention.inbox_days),
            ("retention.quarantine_days", retention.quarantine_days),
            ("retention.events_days", retention.events_days),
            ("retention.waiting_days", retention.waiting_days),
        ];
        for (name, value) in days {
            if !(1..=36_500).contains(&value) {
                return fail(name, "must be 1 to 36500 days");
            }
        }
        Ok(())
    }

    /// The database: what is configured, or SQLite in the data folder.
    pub fn database_url(&self) -> SecretString {
        use secrecy::ExposeSecret;
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

/// Reads `name=value`; the value as TOML where that works, else as a text.
fn read_override(text: &str) -> Result<Figment, ConfigError> {
    let unreadable = || ConfigError(format!("--set {text}: must be name=value"));
    let (name, value) = text.split_once('=').ok_or_else(unreadable)?;
    let known = SETTINGS.iter().any(|setting| setting.name == name.trim());
    if !known {
        return Err(ConfigError(format!("--set {name}: there is no such setting")));
    }
    let parsed = toml::from_str::<toml::Table>(&format!("value = {value}")).ok();
    let value = parsed.and_then(|mut table| table.remove("value"));
    let value = value.unwrap_or_else(|| toml::Value::String(text[name.len() + 1..].to_owned()));
    Ok(Figment::new().merge(Serialized::default(name.trim(), value)))
}

/// One line an error, each with the setting's name and where its value came from.
fn explain(error: &figment::Error) -> String {
    let one = |error: figment::Error| {
        let name = error.path.join(".");
        let source = error.metadata.as_ref().map(|metadata| metadata.name.to_string());
        let source = source.map(|source| format!(" (from {source})")).unwrap_or_default();
        if name.is_empty() {
            format!("{}{source}", error.kind)
        } else {
            format!("{name}: {}{source}", error.kind)
        }
    };
    error.clone().into_iter().map(one).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_a_valid_configuration() {
        let config: Config = defaults().extract().unwrap();
        config.check().unwrap();
    }

    #[test]
    fn an_override_is_typed_and_its_name_is_checked() {
        let load = |text: &str| Config::load(None, &[text.to_owned()]);
        assert_eq!(load("intake.writers=2").unwrap().intake.writers, 2);
        assert_eq!(load("log.level=debug").unwrap().log.level, "debug");
        assert!(load("log.levle=debug").unwrap_err().to_string().contains("no such setting"));
        let error = load("intake.writers=many").unwrap_err().to_string();
        assert!(error.starts_with("intake.writers: "), "{error}");
        assert_eq!(
            load("intake.writers=9").unwrap_err().to_string(),
            "intake.writers: must be 1 to 4"
        );
    }
}
