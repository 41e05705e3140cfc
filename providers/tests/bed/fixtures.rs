//! Reads `fixtures/<provider>`, and turns files into signed requests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use providers::{
    Account, Batch, Inbound, PROVIDERS, Provider, Rejection, Secret, Settings, Timestamp,
};
use serde::Deserialize;

/// Below this many webhooks a provider is not understood.
pub const ENOUGH: usize = 25;

/// One of `accounts.json`.
#[derive(Debug, Clone, Deserialize)]
pub struct AccountFixture {
    pub names: Vec<String>,
    pub settings: BTreeMap<String, String>,
    pub secrets: BTreeMap<String, String>,
    pub signing_secret: String,
}

impl AccountFixture {
    pub fn open(&self, provider: &Provider) -> Box<dyn Account> {
        let secret =
            |(name, value): (&String, &String)| (name.clone(), Secret::from(value.as_str()));
        let secrets = self.secrets.iter().map(secret).collect();
        (provider.open)(&Settings::new(self.settings.clone(), secrets)).expect("the account opens")
    }
}

/// One file of `webhooks/`.
#[derive(Debug, Clone)]
pub struct Fixture {
    pub provider: &'static Provider,
    pub name: String,
    pub account: AccountFixture,
    pub unsigned: http::Request<Bytes>,
}

/// When every fixture reaches us.
pub fn now() -> Timestamp {
    "2026-11-01T12:00:00Z".parse().unwrap()
}

pub fn folder(provider: &Provider) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(provider.name)
}

pub fn accounts(provider: &Provider) -> Vec<AccountFixture> {
    let text = std::fs::read_to_string(folder(provider).join("accounts.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// All webhooks of a provider, by name.
pub fn of(provider: &'static Provider) -> Vec<Fixture> {
    let accounts = accounts(provider);
    let files = std::fs::read_dir(folder(provider).join("webhooks")).unwrap();
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| read(provider, &accounts, path)).collect()
}

/// All webhooks of all providers.
pub fn all() -> Vec<Fixture> {
    PROVIDERS.iter().flat_map(|provider| of(provider)).collect()
}

fn read(provider: &'static Provider, accounts: &[AccountFixture], path: &Path) -> Fixture {
    let bytes = std::fs::read(path).unwrap();
    let ending = path.extension().unwrap().to_str().unwrap();
    let url = format!("https://gateway.example.com/hooks/{}", provider.name);
    let joined = || {
        let text = String::from_utf8(bytes.clone()).unwrap();
        text.lines().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("&")
    };
    let build = |method: &str, url: &str, kind: Option<&str>, body: Vec<u8>| {
        let mut builder = http::Request::builder().method(method).uri(url);
        if let Some(kind) = kind {
            builder = builder.header("content-type", kind);
        }
        builder.body(Bytes::from(body)).unwrap()
    };
    let form = Some("application/x-www-form-urlencoded; charset=UTF-8");
    let unsigned = match ending {
        "json" => build("POST", &url, Some("application/json"), bytes.clone()),
        "form" => build("POST", &url, form, joined().into_bytes()),
        "query" => build("GET", &format!("{url}?{}", joined()), None, Vec::new()),
        other => panic!("{}: fixtures end in .json, .form or .query, not .{other}", path.display()),
    };
    let text = String::from_utf8_lossy(&bytes);
    let named =
        |account: &&AccountFixture| account.names.iter().any(|name| text.contains(name.as_str()));
    let account = accounts.iter().find(named).unwrap_or(&accounts[0]).clone();
    let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
    Fixture { provider, name, account, unsigned }
}

impl Fixture {
    /// The request as the provider would send it.
    pub fn signed(&self) -> http::Request<Bytes> {
        self.sign(self.unsigned.clone())
    }

    pub fn sign(&self, request: http::Request<Bytes>) -> http::Request<Bytes> {
        (self.provider.sign)(&Secret::from(self.account.signing_secret.as_str()), now(), request)
    }

    pub fn receive(&self, request: http::Request<Bytes>) -> Result<Batch, Rejection> {
        self.receive_at(request, now())
    }

    pub fn receive_at(
        &self,
        request: http::Request<Bytes>,
        at: Timestamp,
    ) -> Result<Batch, Rejection> {
        let account = self.account.open(self.provider);
        account.webhooks().unwrap().receive(&Inbound::Webhook { at, request })
    }

    /// The same, to be signed with the account's shared key where it has one: by each algorithm that there is.
    pub fn with_shared_key(&self) -> Vec<Self> {
        let secrets = &self.account.secrets;
        let key = secrets.get("shared_key_id").zip(secrets.get("shared_key_secret"));
        let Some((id, secret)) = key else { return Vec::new() };
        let settings = [format!("key={id}"), format!("key={id},algorithm=HMAC_SHA256")];
        let signed = settings.map(|settings| {
            let mut fixture = self.clone();
            fixture.account.signing_secret.clone_from(secret);
            let headers = fixture.unsigned.headers_mut();
            headers.insert("x-twilio-webhooks-signature-settings", settings.parse().unwrap());
            fixture
        });
        signed.into()
    }

    /// What it says.
    pub fn batch(&self) -> Batch {
        self.receive(self.signed()).unwrap_or_else(|rejection| {
            panic!(
                "{}/{}: a signed fixture is rejected: {rejection}",
                self.provider.name, self.name
            )
        })
    }

    pub fn is_challenge(&self) -> bool {
        self.name.starts_with("challenge")
    }
}
