//! The recorded webhooks of `fixtures/`, embedded in the program, as signed requests.

use std::collections::BTreeMap;

use bytes::Bytes;
use providers::{Provider, Secret, Timestamp};
use rust_embed::RustEmbed;
use serde::Deserialize;

#[derive(RustEmbed)]
#[folder = "fixtures"]
#[include = "*/accounts.json"]
#[include = "*/webhooks/*"]
struct Files;

/// An account as a fixture has it.
#[derive(Debug, Clone, Deserialize)]
pub struct RecordedAccount {
    /// Whose it is: `aurora` or `borealis`.
    pub organization: String,
    /// Texts by which a webhook is known to be for it.
    pub names: Vec<String>,
    /// Its plain settings.
    pub settings: BTreeMap<String, String>,
    /// Its credentials.
    pub secrets: BTreeMap<String, String>,
    /// What the provider signs with.
    pub signing_secret: String,
    /// Its lines.
    pub routes: Vec<RecordedRoute>,
}

/// A line of a recorded account.
#[derive(Debug, Clone, Deserialize)]
pub struct RecordedRoute {
    /// What it carries.
    pub channel: String,
    /// Our number.
    pub address: String,
    /// The provider's handle of it.
    pub handle: Option<String>,
}

/// A recorded webhook.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its name, which says what it shows.
    pub name: String,
    /// Who sends it.
    pub provider: &'static Provider,
    /// Which account it is for.
    pub account: RecordedAccount,
    method: &'static str,
    content_type: Option<&'static str>,
    query: String,
    body: Bytes,
}

impl Recorded {
    /// The request to `url`, signed as by the provider at `at`.
    pub fn signed(&self, url: &str, at: Timestamp) -> Option<http::Request<Bytes>> {
        let url =
            if self.query.is_empty() { url.to_owned() } else { format!("{url}?{}", self.query) };
        let mut request = http::Request::builder().method(self.method).uri(url);
        if let Some(kind) = self.content_type {
            request = request.header("content-type", kind);
        }
        let request = request.body(self.body.clone()).ok()?;
        let secret = Secret::from(self.account.signing_secret.as_str());
        Some((self.provider.sign)(&secret, at, request))
    }

    /// Whether it is the check that a provider makes when a URL is registered, and no webhook.
    pub fn is_challenge(&self) -> bool {
        self.name.starts_with("challenge")
    }
}

/// The accounts of a provider.
pub fn accounts(provider: &Provider) -> Vec<RecordedAccount> {
    named(provider.name)
}

/// The accounts of the provider of that name.
pub(super) fn named(provider: &str) -> Vec<RecordedAccount> {
    let file = Files::get(&format!("{provider}/accounts.json"));
    file.and_then(|file| serde_json::from_slice(&file.data).ok()).unwrap_or_default()
}

/// The webhooks of a provider, by name.
pub fn webhooks(provider: &'static Provider) -> Vec<Recorded> {
    let accounts = accounts(provider);
    let folder = format!("{}/webhooks/", provider.name);
    let mut found: Vec<Recorded> = Files::iter()
        .filter_map(|path| {
            let file = path.strip_prefix(folder.as_str())?.to_owned();
            read(provider, &accounts, &file, &Files::get(&path)?.data)
        })
        .collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

fn read(
    provider: &'static Provider,
    accounts: &[RecordedAccount],
    file: &str,
    data: &[u8],
) -> Option<Recorded> {
    let (name, ending) = file.rsplit_once('.')?;
    let text = String::from_utf8_lossy(data);
    let named =
        |account: &&RecordedAccount| account.names.iter().any(|name| text.contains(name.as_str()));
    let account = accounts.iter().find(named).or(accounts.first())?.clone();
    let lines =
        || text.lines().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("&");
    let form = "application/x-www-form-urlencoded; charset=UTF-8";
    let (method, content_type, query, body) = match ending {
        "json" => ("POST", Some("application/json"), String::new(), Bytes::copy_from_slice(data)),
        "form" => ("POST", Some(form), String::new(), Bytes::from(lines())),
        "query" => ("GET", None, lines(), Bytes::new()),
        _ => return None,
    };
    Some(Recorded { name: name.to_owned(), provider, account, method, content_type, query, body })
}
