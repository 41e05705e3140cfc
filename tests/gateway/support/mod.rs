//! A gateway for one test: a database of its own, a clock that stands still, and HTTP without a socket.

pub mod client;
mod database;
pub mod dirty;
pub mod files;
pub mod graph;
pub mod listening;
pub mod meta;
pub mod peer;
pub mod program;
pub mod restarted;
pub mod rig;
pub mod site;

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use chrono::TimeDelta;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use providers::Provider;
use serde_json::{Value, json};
use switchboard::clock::{Clock, Timestamp};
use switchboard::config::Config;
use switchboard::flow::send::lane;
use switchboard::flow::{Actor, access, organizations};
use switchboard::gateway::Gateway;
use switchboard::model::{NewOrganization, OrganizationId, Scope};
use switchboard::sandbox::{self, Recorded, RecordedAccount};
use switchboard::store::sending::lanes;
use switchboard::web::{App, Front};

pub use database::{Database, Kind};

/// Where the world sees the gateway.
pub const PUBLIC_URL: &str = "https://gateway.example.com";

/// Runs a test on SQLite and on PostgreSQL.
macro_rules! on_both_engines {
    ($($name:ident($gateway:ident) $body:block)+) => {$(
        mod $name {
            #[allow(clippy::wildcard_imports, unused_imports)]
            use super::*;

            async fn check($gateway: crate::support::TestGateway) {
                $body
                $gateway.end().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                check(crate::support::TestGateway::start(crate::support::Kind::Sqlite, &[]).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                check(crate::support::TestGateway::start(crate::support::Kind::Postgres, &[]).await).await;
            }
        }
    )+};
}

pub(crate) use on_both_engines;

/// A gateway under test.
pub struct TestGateway {
    pub app: App,
    pub gateway: Arc<Gateway>,
    pub clock: Clock,
    pub database: Database,
    front: Front,
}

/// An organization with a key that may do everything.
#[derive(Debug, Clone)]
pub struct Org {
    pub id: OrganizationId,
    pub key: String,
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body, if the answer was this one.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self.json()
    }
}

/// When every test begins.
pub fn beginning() -> Timestamp {
    "2026-11-01T12:00:00Z".parse().unwrap()
}

impl TestGateway {
    pub async fn start(kind: Kind, settings: &[&str]) -> Self {
        let database = Database::create(kind).await;
        Self::start_on(database, settings).await
    }

    /// A gateway on a database that is there already, such as another gateway's.
    pub async fn start_on(database: Database, settings: &[&str]) -> Self {
        Self::start_at(database, settings, Clock::frozen(beginning())).await
    }

    /// The same by another clock.
    pub async fn start_at(database: Database, settings: &[&str], clock: Clock) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut overrides = vec![
            format!("server.public_url={PUBLIC_URL}"),
            format!("data.dir={}", database.folder.display()),
            format!("database.url={}", database.url),
            "outgoing.allow=127.0.0.1".to_owned(),
            "log.level=off".to_owned(),
            "database.sqlite_synchronous=normal".to_owned(),
        ];
        overrides.extend(settings.iter().map(|setting| (*setting).to_owned()));
        let config = Config::load(None, &overrides).unwrap();
        let store = switchboard::gateway::open_store(&config).await.unwrap();
        store.migrate().await.unwrap();
        store.close().await;
        let gateway = Gateway::start(config, clock.clone()).await.unwrap();
        let app = App::new(Arc::clone(&gateway), None);
        let front = Front::new(app.clone());
        Self { app, gateway, clock, database, front }
    }

    /// Nothing may be left in the queue.
    pub async fn end(self) {
        assert_eq!(self.gateway.batcher.depth(), 0, "webhooks are left in the queue");
        self.gateway.stop().await;
    }

    pub fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
    }

    pub async fn organization(&self, name: &str) -> Org {
        self.organization_in(name, None).await
    }

    pub async fn organization_in(&self, name: &str, country: Option<&str>) -> Org {
        let new = NewOrganization {
            name: name.to_owned(),
            plan_tier: "test".to_owned(),
            default_country: country.map(ToOwned::to_owned),
        };
        let organization = organizations::create(&self.gateway, new).await.unwrap();
        let key = self.key(organization.id, Scope::ALL.to_vec()).await;
        Org { id: organization.id, key }
    }

    pub async fn key(&self, organization: OrganizationId, scopes: Vec<Scope>) -> String {
        let actor = Actor::operator(organization);
        access::create_key(&self.gateway, &actor, "test", scopes, None).await.unwrap().secret
    }

    /// Connects the fixture account of a provider that belongs to `aurora` or `borealis`, with its routes; returns its id.
    pub async fn connect(&self, org: &Org, provider: &Provider, whose: &str) -> String {
        let account = recorded_account(provider, whose);
        let id = self.connect_only(org, provider, &account).await;
        for route in &account.routes {
            let body = json!({
                "account_id": id, "channel": route.channel, "address": route.address, "handle": route.handle,
            });
            self.post(org, "/api/v1/routes", body).await.expect(201);
        }
        id
    }

    /// Connects an account without routes.
    pub async fn connect_only(
        &self,
        org: &Org,
        provider: &Provider,
        account: &RecordedAccount,
    ) -> String {
        let body = json!({
            "provider": provider.name, "name": provider.title, "settings": account.settings,
            "credentials": account.secrets,
        });
        let created = self.post(org, "/api/v1/accounts", body).await.expect(201);
        created["id"].as_str().unwrap().to_owned()
    }

    /// Two organizations with all their accounts, as in the fixtures.
    pub async fn two_organizations(&self) -> (Org, Org) {
        let aurora = self.organization_in("Aurora", Some("BR")).await;
        let borealis = self.organization_in("Borealis", Some("AR")).await;
        for provider in providers::PROVIDERS {
            self.connect(&aurora, provider, "aurora").await;
            self.connect(&borealis, provider, "borealis").await;
        }
        (aurora, borealis)
    }

    /// The front door, for requests that are more than bytes.
    pub fn front(&self) -> Front {
        self.front.clone()
    }

    pub async fn send(&self, request: Request<Bytes>) -> Answer {
        self.send_from(request, None).await
    }

    /// A request that came from this address.
    pub async fn send_from(&self, mut request: Request<Bytes>, peer: Option<&str>) -> Answer {
        let peer = peer.map(|peer| peer.parse().unwrap());
        // As every client on a socket does.
        let length = request.body().len();
        request.headers_mut().entry(header::CONTENT_LENGTH).or_insert(length.into());
        let request = request.map(Body::from);
        let response = self.front.call(request, peer).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Delivers a webhook: the path is what the gateway sees, the URL it was signed for is the public one.
    pub async fn deliver(&self, request: Request<Bytes>) -> Answer {
        self.send(request).await
    }

    /// Delivers a recorded webhook to the URL that all accounts of its provider share.
    pub async fn deliver_recorded(&self, provider: &'static Provider, name: &str) -> Answer {
        let request = self.recorded(provider, name);
        self.deliver(request).await
    }

    /// A recorded webhook, signed now.
    pub fn recorded(&self, provider: &'static Provider, name: &str) -> Request<Bytes> {
        let url = format!("{PUBLIC_URL}/hooks/{}", provider.name);
        recording(provider, name).signed(&url, self.clock.now()).unwrap()
    }

    pub async fn get(&self, org: &Org, path: &str) -> Answer {
        self.call(org, Method::GET, path, None).await
    }

    pub async fn post(&self, org: &Org, path: &str, body: Value) -> Answer {
        self.call(org, Method::POST, path, Some(body)).await
    }

    pub async fn call(&self, org: &Org, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", org.key))
            .header("x-org-id", org.id.to_string());
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map_or(Bytes::new(), |body| serde_json::to_vec(&body).unwrap().into());
        self.send(request.body(body).unwrap()).await
    }

    /// Sends what is due, until nothing is.
    pub async fn drain(&self) {
        loop {
            let mut session = self.gateway.store.read_all().await.unwrap();
            let now = self.clock.now();
            let due = lanes::asleep(&mut session, now, now, 100).await.unwrap();
            drop(session);
            if due.is_empty() {
                return;
            }
            for asleep in due {
                let alone = tokio::sync::Notify::new();
                let run = lane::run(&self.gateway, asleep.lane, &alone, &|| false);
                let until = run.await.unwrap();
                assert!(until.is_none_or(|until| until > now), "a lane stopped with something due");
            }
        }
    }

    /// A message, with everything the API shows of it.
    pub async fn message(&self, org: &Org, id: &str) -> Value {
        self.get(org, &format!("/api/v1/messages/{id}")).await.expect(200)
    }

    /// Everything on an organization's timeline, newest first.
    pub async fn communications(&self, org: &Org) -> Vec<Value> {
        let page = self.get(org, "/api/v1/crm/communications?limit=200").await.expect(200);
        page["items"].as_array().unwrap().clone()
    }

    /// How many rows a table has, over all organizations.
    pub async fn count(&self, table: &str) -> i64 {
        self.database.scalar(&format!("select count(*) from {table}")).await
    }

    pub async fn lead(&self, org: &Org, name: &str, phone: &str) -> String {
        let lead = self.post(org, "/api/v1/leads", json!({ "name": name, "phone": phone })).await;
        lead.expect(201)["id"].as_str().unwrap().to_owned()
    }

    /// A lead's timeline, newest first.
    pub async fn timeline(&self, org: &Org, lead: &str) -> Vec<Value> {
        let path = format!("/api/v1/crm/communications?lead_id={lead}&limit=200");
        self.get(org, &path).await.expect(200)["items"].as_array().unwrap().clone()
    }
}

/// The fixture account of a provider that belongs to `aurora` or `borealis`.
pub fn recorded_account(provider: &Provider, whose: &str) -> RecordedAccount {
    let accounts = sandbox::accounts(provider);
    accounts.into_iter().find(|account| account.organization == whose).unwrap()
}

/// A recorded webhook by name.
pub fn recording(provider: &'static Provider, name: &str) -> Recorded {
    let found = sandbox::webhooks(provider).into_iter().find(|recorded| recorded.name == name);
    found.unwrap_or_else(|| panic!("{}: there is no recording `{name}`", provider.name))
}
