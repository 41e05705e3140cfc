//! Genuine requests, which forgers begin with: every recording of every provider, in every way in which it may be signed.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderValue, Request};
use providers::{Account, Batch, Inbound, PROVIDERS, Provider, Rejection, Secret, Settings};
use sha2::Sha256;
use switchboard::clock::Timestamp;
use switchboard::sandbox::{self, RecordedAccount};

/// A genuine request.
#[derive(Debug, Clone)]
pub struct Origin {
    pub provider: &'static Provider,
    pub name: String,
    pub account: RecordedAccount,
    pub genuine: Request<Bytes>,
}

/// All genuine requests of a provider to these URLs, and its accounts.
pub struct Origins {
    pub provider: &'static Provider,
    pub all: Vec<Origin>,
    accounts: HashMap<String, Box<dyn Account>>,
}

impl Origins {
    /// What a provider sends at `at` to the URL that `url` gives for each of its accounts.
    pub fn of(
        provider: &'static Provider,
        at: Timestamp,
        url: impl Fn(&RecordedAccount) -> String,
    ) -> Self {
        let recordings = sandbox::webhooks(provider);
        let all = recordings.iter().flat_map(|recorded| {
            let mut signed = recorded.signed(&url(&recorded.account), at).unwrap();
            if recorded.is_challenge() {
                // It is proven by its token.
                signed.headers_mut().remove("x-hub-signature-256");
            }
            let origin = Origin {
                provider,
                name: recorded.name.clone(),
                account: recorded.account.clone(),
                genuine: signed,
            };
            let others = origin.otherwise_signed(at);
            std::iter::once(origin).chain(others)
        });
        let accounts = sandbox::accounts(provider).into_iter();
        let accounts =
            accounts.map(|account| (account.organization.clone(), open(provider, &account)));
        Self { provider, all: all.collect(), accounts: accounts.collect() }
    }

    /// Those of all providers.
    pub fn everything(
        at: Timestamp,
        url: impl Fn(&'static Provider, &RecordedAccount) -> String,
    ) -> Vec<Self> {
        PROVIDERS.iter().map(|one| Self::of(one, at, |account| url(one, account))).collect()
    }

    /// What the account of a request makes of it.
    pub fn receive(
        &self,
        origin: &Origin,
        request: Request<Bytes>,
        at: Timestamp,
    ) -> Result<Batch, Rejection> {
        let account = &self.accounts[&origin.account.organization];
        account.webhooks().unwrap().receive(&Inbound::Webhook { at, request })
    }
}

fn open(provider: &Provider, account: &RecordedAccount) -> Box<dyn Account> {
    let secrets = account.secrets.iter();
    let secrets = secrets.map(|(name, value)| (name.clone(), Secret::from(value.as_str())));
    (provider.open)(&Settings::new(account.settings.clone(), secrets.collect())).unwrap()
}

impl Origin {
    /// The same request in the other ways in which its provider may prove it.
    fn otherwise_signed(&self, at: Timestamp) -> Vec<Self> {
        let secrets = &self.account.secrets;
        let with = |request: Request<Bytes>, how: &str| Self {
            name: format!("{} ({how})", self.name),
            genuine: request,
            ..self.clone()
        };
        match (
            self.provider.name,
            secrets.get("shared_key_id").zip(secrets.get("shared_key_secret")),
        ) {
            ("twilio", Some((id, secret))) => ["", ",algorithm=HMAC_SHA256"]
                .map(|algorithm| {
                    let mut request = self.genuine.clone();
                    let settings = format!("key={id}{algorithm}").parse().unwrap();
                    request.headers_mut().insert("x-twilio-webhooks-signature-settings", settings);
                    let secret = Secret::from(secret.as_str());
                    with((self.provider.sign)(&secret, at, request), "a shared key")
                })
                .into(),
            ("evolution", _) => {
                let claims = token_claims(at);
                let token = token(
                    "{\"alg\":\"HS256\",\"typ\":\"JWT\"}",
                    &claims,
                    &self.account.signing_secret,
                );
                let mut request = self.genuine.clone();
                request.headers_mut().insert("authorization", bearer(&token));
                vec![with(request, "a token")]
            }
            _ => Vec::new(),
        }
    }
}

/// What a token of Evolution's says that was made at `at`.
pub fn token_claims(at: Timestamp) -> String {
    let (made, ends) = (at.timestamp(), at.timestamp() + 600);
    format!("{{\"iat\":{made},\"exp\":{ends},\"app\":\"evolution\",\"action\":\"webhook\"}}")
}

/// A JWT under HMAC-SHA256, whatever its head says.
pub fn token(head: &str, claims: &str, secret: &str) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

pub fn bearer(token: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("Bearer {token}")).unwrap()
}
