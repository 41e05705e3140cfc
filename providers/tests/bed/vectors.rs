//! Known answers for signatures: `fixtures/<provider>/signatures.json`.

use std::collections::BTreeMap;

use bytes::Bytes;
use providers::{Inbound, PROVIDERS};
use serde::Deserialize;

use crate::fixtures::{AccountFixture, accounts, folder};

/// A request with its signature, and whether it is genuine.
#[derive(Debug, Deserialize)]
struct Vector {
    name: String,
    /// Replaces the first fixture account's secrets.
    secrets: BTreeMap<String, String>,
    /// Added to its settings.
    #[serde(default)]
    settings: BTreeMap<String, String>,
    #[serde(default = "post")]
    method: String,
    #[serde(default = "url")]
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
    /// When it reaches us, in Unix seconds.
    #[serde(default)]
    now: i64,
    genuine: bool,
}

fn post() -> String {
    "POST".to_owned()
}

fn url() -> String {
    "https://gateway.example.com/hooks".to_owned()
}

#[test]
fn known_signatures_are_judged_as_the_vendor_does() {
    for provider in PROVIDERS {
        let text = std::fs::read_to_string(folder(provider).join("signatures.json")).unwrap();
        let vectors: Vec<Vector> = serde_json::from_str(&text).unwrap();
        assert!(vectors.len() >= 8, "{}: too few signature vectors", provider.name);
        assert!(vectors.iter().any(|vector| vector.genuine));
        assert!(vectors.iter().any(|vector| !vector.genuine));
        for vector in vectors {
            let mut first = accounts(provider).remove(0);
            first.settings.extend(vector.settings);
            let mut secrets = first.secrets.clone();
            secrets.extend(vector.secrets);
            let account = AccountFixture { secrets, ..first }.open(provider);
            let mut request =
                http::Request::builder().method(vector.method.as_str()).uri(&vector.url);
            for (name, value) in &vector.headers {
                request = request.header(name, value);
            }
            let request = request.body(Bytes::from(vector.body)).unwrap();
            let at = providers::Timestamp::from_timestamp(vector.now, 0).unwrap();
            let verdict = account.webhooks().unwrap().receive(&Inbound::Webhook { at, request });
            assert_eq!(
                verdict.is_ok(),
                vector.genuine,
                "{}: {}: {verdict:?}",
                provider.name,
                vector.name
            );
        }
    }
}
