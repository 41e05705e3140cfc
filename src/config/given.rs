//! Settings that are given as text, in the environment and on the command line: each is read as what it is.

use figment::value::{Dict, Map};
use figment::{Metadata, Profile, Provider, providers::Serialized};
use toml::Value;

use super::settings::Kind;
use super::{ConfigError, SETTINGS, Setting};

/// What begins the environment's names.
const PREFIX: &str = "SWITCHBOARD_";

/// One setting and who gave it.
#[derive(Debug)]
pub(super) struct Given {
    source: String,
    name: String,
    value: Value,
}

impl Provider for Given {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Serialized::default(&self.name, &self.value).data()
    }
}

/// What the environment says. `DATABASE_URL` comes first, since `SWITCHBOARD_DATABASE__URL` wins over it.
pub(super) fn in_environment(variables: impl Iterator<Item = (String, String)>) -> Vec<Given> {
    let mut given = Vec::new();
    for (variable, text) in variables {
        let name = match variable.to_uppercase().strip_prefix(PREFIX) {
            Some(rest) => rest.to_lowercase().replace("__", "."),
            None if variable == "DATABASE_URL" => {
                let value = read("database.url", &text);
                given.insert(0, Given { source: variable, name: "database.url".to_owned(), value });
                continue;
            }
            None => continue,
        };
        given.push(Given { value: read(&name, &text), source: variable, name });
    }
    given
}

/// Reads `name=value`. What is wrong with it is said without the value, which may be a secret.
pub(super) fn on_command_line(text: &str) -> Result<Given, ConfigError> {
    let of_a_name = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let (name, value) = match text.split_once('=') {
        Some((name, value)) if name.trim().chars().all(|c| of_a_name(&c)) => (name.trim(), value),
        _ => {
            let name: String = text.chars().take_while(of_a_name).collect();
            return Err(ConfigError(format!("--set {name}: must be name=value")));
        }
    };
    if !SETTINGS.iter().any(|setting| setting.name == name) {
        return Err(ConfigError(format!("--set {name}: there is no such setting")));
    }
    let source = "the command line".to_owned();
    Ok(Given { source, name: name.to_owned(), value: read(name, value) })
}

/// A text as it stands, in quotes or without, even if it looks like a number; a list as TOML has it, or its items with
/// commas between them; anything else as TOML has it.
fn read(name: &str, text: &str) -> Value {
    let text = text.trim();
    let kind = SETTINGS.iter().find(|setting| setting.name == name).map(Setting::kind);
    let toml = toml::from_str::<toml::Table>(&format!("value = {text}")).ok();
    let toml = toml.and_then(|mut table| table.remove("value"));
    let plain = || Value::String(text.to_owned());
    match (kind, toml) {
        (Some(Kind::Text), Some(quoted @ Value::String(_))) => quoted,
        (Some(Kind::Text) | None, _) => plain(),
        (Some(Kind::List), Some(list @ Value::Array(_))) => list,
        (Some(Kind::List), toml) => {
            let text = toml.as_ref().and_then(Value::as_str).unwrap_or(text);
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        }
        (Some(Kind::Other), toml) => toml.unwrap_or_else(plain),
    }
}
