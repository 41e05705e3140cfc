//! The emulators, called by a plain client: they refuse what the providers refuse, and their webhooks are believed by the
//! code that reads the real ones.

mod agreed;
mod agreed_waha;
mod faults;
mod judges;
mod kinds;
mod meta;
mod meta_templates;
mod ours;
mod telnyx;
mod twilio;
mod waha;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::to_bytes;
use bytes::Bytes;
use providers::{Batch, Secret, Settings};
use serde_json::{Value, json};
use switchboard::clock::Clock;
use switchboard::sandbox::{Inbound, Sandbox, SandboxAccount, SandboxOptions};

/// A sandbox, a client, and a place for webhooks.
pub struct Rig {
    pub sandbox: Sandbox,
    pub http: reqwest::Client,
    pub hooks: String,
    got: Arc<Mutex<Vec<http::Request<Bytes>>>>,
}

impl Rig {
    pub async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hooks = format!("http://{}", listener.local_addr().unwrap());
        let got: Arc<Mutex<Vec<http::Request<Bytes>>>> = Arc::default();
        let (base, kept) = (hooks.clone(), Arc::clone(&got));
        let receive = move |request: axum::extract::Request| async move {
            let (mut parts, body) = request.into_parts();
            let body = to_bytes(body, 1 << 20).await.unwrap();
            parts.uri = format!("{base}{}", parts.uri).parse().unwrap();
            kept.lock().unwrap().push(http::Request::from_parts(parts, body));
        };
        let router = axum::Router::new().fallback(receive);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let options = SandboxOptions {
            webhooks: Some(hooks.clone()),
            status_delay_ms: (0, 2),
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(options).await.unwrap();
        Self { sandbox, http: reqwest::Client::new(), hooks, got }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sandbox.url())
    }

    /// The webhooks that came, once all have; they are handed out once.
    pub async fn webhooks(&self) -> Vec<http::Request<Bytes>> {
        self.sandbox.settled().await;
        std::mem::take(&mut self.got.lock().unwrap())
    }

    /// A person writes.
    pub async fn person_writes(&self, provider: &str, to: &str, from: &str) -> String {
        let inbound = Inbound {
            provider: provider.to_owned(),
            to: Some(to.to_owned()),
            from: from.to_owned(),
            text: Some("Olá 😊 a/b".to_owned()),
            ..Inbound::default()
        };
        let (id, answers) = self.sandbox.inbound(&inbound).await.unwrap();
        assert!(answers.iter().all(|answer| *answer == Some(200)), "{answers:?}");
        id
    }

    /// A fault, as the control API takes it.
    pub async fn fault(&self, fault: Value) {
        let sent = self.http.post(self.url("/control/faults")).json(&fault).send().await.unwrap();
        assert_eq!(sent.status(), 204, "{}", sent.text().await.unwrap());
    }

    /// An account of its own, with a credential that is not the usual one.
    pub fn add(&self, account: Value) {
        let account: SandboxAccount = serde_json::from_value(account).unwrap();
        self.sandbox.add_account(account).unwrap();
    }
}

/// What the gateway's own reader makes of a webhook.
pub fn read(
    provider: &str,
    settings: &[(&str, &str)],
    secrets: &[(&str, &str)],
    request: http::Request<Bytes>,
) -> Batch {
    let plain = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let secret = |(name, value): &(&str, &str)| ((*name).to_owned(), Secret::from(*value));
    let secrets: BTreeMap<String, Secret> = secrets.iter().map(secret).collect();
    let settings = Settings::new(plain.collect(), secrets);
    let account = (providers::provider(provider).unwrap().open)(&settings).unwrap();
    let at = Clock::System.now();
    let inbound = providers::Inbound::Webhook { at, request };
    let batch = account.webhooks().unwrap().receive(&inbound).unwrap();
    assert!(batch.unparsed.is_empty(), "{:?}", batch.unparsed);
    batch
}

/// The statuses in what was read, in our words.
pub fn statuses(batches: &[Batch]) -> Vec<String> {
    let events = batches.iter().flat_map(|batch| &batch.events);
    let status = |event: &providers::Event| match &event.kind {
        providers::EventKind::Status(change) => Some(format!("{:?}", change.status).to_lowercase()),
        _ => None,
    };
    events.filter_map(status).collect()
}

/// Status and body of an answer.
pub async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let bytes = answer.bytes().await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or(json!(String::from_utf8_lossy(&bytes))))
}

/// Forms, which the client's own features leave out.
pub trait SendForm {
    fn form<V: AsRef<str>>(self, fields: &[(&str, V)]) -> Self;
}

impl SendForm for reqwest::RequestBuilder {
    fn form<V: AsRef<str>>(self, fields: &[(&str, V)]) -> Self {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in fields {
            form.append_pair(name, value.as_ref());
        }
        let kind = "application/x-www-form-urlencoded";
        self.header("content-type", kind).body(form.finish())
    }
}
