//! A gateway that listens, an emulator of a provider that posts to it, and an organization that sends one way.

use chrono::TimeDelta;
use serde_json::{Value, json};
use switchboard::clock::Timestamp;
use switchboard::flow::send::recover;
use switchboard::sandbox::{
    Fault, FaultKind, Inbound, On, Sandbox, SandboxOptions, SandboxRoute, Strictness,
};

use super::{Kind, Org, TestGateway, recorded_account};

/// The person everybody writes to.
pub const PERSON: &str = "+5511987654321";

/// A provider and what is sent through it.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    pub provider: &'static str,
    pub channel: &'static str,
}

pub const META: Way = Way { provider: "meta", channel: "whatsapp" };
pub const TWILIO_SMS: Way = Way { provider: "twilio", channel: "sms" };
pub const TWILIO_WHATSAPP: Way = Way { provider: "twilio", channel: "whatsapp" };
pub const TELNYX: Way = Way { provider: "telnyx", channel: "sms" };
pub const WAHA: Way = Way { provider: "waha", channel: "whatsapp" };

/// A gateway that listens, an emulator that posts to it, and an organization that sends one way.
pub struct Rig {
    pub gateway: TestGateway,
    pub sandbox: Sandbox,
    pub org: Org,
    pub way: Way,
    pub line: SandboxRoute,
}

impl Rig {
    pub async fn start(kind: Kind, way: Way) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let gateway = TestGateway::start(
            kind,
            &[&format!("server.public_url={base}"), "sending.request_timeout_ms=2000"],
        )
        .await;
        let front = gateway.front();
        let receive =
            move |request: axum::extract::Request| async move { front.call(request, None).await };
        let router = axum::Router::new().fallback(receive);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let options = SandboxOptions {
            webhooks: Some(base),
            limits: Some(Strictness::NONE),
            status_delay_ms: (1, 5),
            clock: gateway.clock.clone(),
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(options).await.unwrap();
        let org = gateway.organization_in("Aurora", Some("BR")).await;
        let provider = providers::provider(way.provider).unwrap();
        let mut account = recorded_account(provider, "aurora");
        let mut set = |name: &str, value: String| account.settings.insert(name.to_owned(), value);
        set("base_url", sandbox.base_url(way.provider));
        match way.provider {
            "waha" => {
                set("pause_least_ms", "0".to_owned());
                set("pause_most_ms", "0".to_owned());
            }
            _ => {
                set("messages_per_second", "100".to_owned());
            }
        }
        let id = gateway.connect_only(&org, provider, &account).await;
        let route = account.routes.into_iter().find(|route| route.channel == way.channel).unwrap();
        let body = json!({ "account_id": id, "channel": way.channel, "address": route.address,
                           "handle": route.handle, "state": "active" });
        gateway.post(&org, "/api/v1/routes", body).await.expect(201);
        let line =
            SandboxRoute { channel: route.channel, address: route.address, handle: route.handle };
        let rig = Self { gateway, sandbox, org, way, line };
        if way.channel == "whatsapp" {
            rig.writes(PERSON, "Oi").await;
        }
        rig
    }

    /// Somebody writes to us.
    pub async fn writes(&self, from: &str, text: &str) {
        let inbound = Inbound {
            provider: self.way.provider.to_owned(),
            channel: Some(self.way.channel.to_owned()),
            to: Some(self.line.address.clone()),
            from: from.to_owned(),
            text: Some(text.to_owned()),
            ..Inbound::default()
        };
        let (_, answers) = self.sandbox.inbound(&inbound).await.unwrap();
        assert!(answers.iter().all(|answer| answer.is_some_and(|code| code < 300)), "{answers:?}");
    }

    pub fn text(&self, to: &str, body: &str) -> Value {
        json!({ "channel": self.way.channel, "to": to, "content": { "kind": "text", "body": body } })
    }

    pub async fn accepts(&self, to: &str, body: &str) -> String {
        let accepted = self.gateway.post(&self.org, "/api/v1/messages", self.text(to, body)).await;
        accepted.expect(202)["id"].as_str().unwrap().to_owned()
    }

    /// Accepts one text to the person, sends it and lets its webhooks come; returns its id.
    pub async fn send(&self, body: &str) -> String {
        let id = self.accepts(PERSON, body).await;
        self.gateway.drain().await;
        self.sandbox.settled().await;
        id
    }

    pub async fn status(&self, id: &str) -> String {
        self.gateway.message(&self.org, id).await["status"].as_str().unwrap().to_owned()
    }

    /// One request goes wrong like this, or all, until the faults are cleared.
    pub fn fault(&self, next: u32, kind: FaultKind) {
        let provider = self.way.provider.to_owned();
        let fault = Fault {
            provider,
            account: None,
            to: None,
            next,
            always: next == 0,
            on: On::Send,
            kind,
        };
        assert!(self.sandbox.fault(fault));
    }

    /// Lets time pass, asks the provider for what is unknown, and sends what is due then.
    pub async fn later(&self, by: TimeDelta, asked: Timestamp) -> Timestamp {
        self.gateway.advance(by);
        let asked = recover::ask(&self.gateway.gateway, asked).await.unwrap();
        self.gateway.drain().await;
        self.sandbox.settled().await;
        asked
    }

    /// The figures of the queue.
    pub async fn queue(&self) -> Value {
        self.gateway.get(&self.org, "/api/v1/queue").await.expect(200)["items"][0].clone()
    }

    /// The provider has taken so many messages, none of them twice.
    #[track_caller]
    pub fn took(&self, messages: u64) {
        let counts = self.sandbox.counts();
        assert_eq!((counts.accepted, counts.doubled), (messages, Vec::new()));
    }
}

/// Runs a test on both engines, for each way; and once more with every status webhook told twice, and with the statuses of each
/// message told in reverse, which must change nothing.
macro_rules! each_way {
    ($($test:ident: $($name:ident = $way:expr),+;)+) => {$(
        mod $test {
            $(mod $name {
                #[allow(clippy::wildcard_imports)]
                use super::super::*;

                async fn check(kind: Kind, told: Option<FaultKind>) {
                    let rig = Rig::start(kind, $way).await;
                    if let Some(told) = told {
                        rig.fault(0, told);
                    }
                    super::super::$test(&rig).await;
                    rig.gateway.end().await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn sqlite() {
                    check(Kind::Sqlite, None).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn postgres() {
                    check(Kind::Postgres, None).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn told_twice() {
                    check(Kind::Sqlite, Some(FaultKind::DuplicateWebhooks)).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn told_in_reverse() {
                    check(Kind::Sqlite, Some(FaultKind::ReorderWebhooks)).await;
                }
            })+
        }
    )+};
}

pub(crate) use each_way;
