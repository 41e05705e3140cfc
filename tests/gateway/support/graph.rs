//! A stand-in for Meta's Graph API, and an organization that sends through it.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::meta::{self, AURORA};
use super::peer::{Asked, Peer, PeerAnswer};
use super::{Org, TestGateway, recorded_account};

/// The person everybody writes to.
pub const PERSON: &str = "+5511987654321";

/// An organization with a Meta account at a stand-in.
pub struct Graph {
    pub peer: Peer,
    pub org: Org,
    pub account: String,
}

/// What Meta answers to a message that it takes.
pub fn taken(count: usize) -> PeerAnswer {
    let body = json!({
        "messaging_product": "whatsapp",
        "contacts": [{ "input": "5511987654321", "wa_id": "5511987654321" }],
        "messages": [{ "id": format!("wamid.SENT{count}") }],
    });
    PeerAnswer::new(200).header("content-type", "application/json").body(body.to_string())
}

/// What Meta answers to a message that it does not take.
pub fn refused(status: u16, code: i64) -> PeerAnswer {
    let body = json!({ "error": { "message": "refused", "type": "OAuthException", "code": code, "fbtrace_id": "A1" } });
    PeerAnswer::new(status).header("content-type", "application/json").body(body.to_string())
}

impl Graph {
    /// An organization that sends on WhatsApp through a stand-in with these answers; what is not scripted is taken. The
    /// person has just written, so that the window is open.
    pub async fn connect(gateway: &TestGateway, answers: Vec<PeerAnswer>) -> Self {
        let peer = Peer::start_usually(answers, taken).await;
        let org = gateway.organization_in("Aurora", Some("BR")).await;
        let mut account = recorded_account(providers::provider("meta").unwrap(), "aurora");
        account.settings.insert("base_url".to_owned(), peer.url(""));
        let id = gateway.connect_only(&org, providers::provider("meta").unwrap(), &account).await;
        let route = json!({ "account_id": id, "channel": "whatsapp", "address": "+551140028922",
                            "handle": AURORA, "state": "active" });
        gateway.post(&org, "/api/v1/routes", route).await.expect(201);
        let graph = Self { peer, org, account: id };
        graph.writes(gateway, "wamid.FIRST", "5511987654321").await;
        graph
    }

    /// Somebody writes to us, now.
    pub async fn writes(&self, gateway: &TestGateway, id: &str, from: &str) {
        let mut text = meta::text(id, from, "Oi");
        text["timestamp"] = json!(gateway.clock.now().timestamp().to_string());
        gateway.meta(&[meta::change(AURORA, &[text], &[])]).await.expect(200);
    }

    /// Meta reports how far a message came.
    pub async fn reports(&self, gateway: &TestGateway, id: &str, status: &str, ours: Option<&str>) {
        let mut status = meta::status(id, status, gateway.clock.now().timestamp());
        if let Some(ours) = ours {
            status["biz_opaque_callback_data"] = json!(ours);
        }
        gateway.meta(&[meta::change(AURORA, &[], &[status])]).await.expect(200);
    }

    /// Meta reports that a message failed.
    pub async fn fails(&self, gateway: &TestGateway, id: &str, code: i64) {
        let mut status = meta::status(id, "failed", gateway.clock.now().timestamp());
        status["errors"] = json!([{ "code": code, "title": "failed" }]);
        gateway.meta(&[meta::change(AURORA, &[], &[status])]).await.expect(200);
    }

    /// Meta reports that a message failed, and hands back our id of it.
    pub async fn fails_ours(&self, gateway: &TestGateway, id: &str, code: i64, ours: &str) {
        let mut status = meta::status(id, "failed", gateway.clock.now().timestamp());
        status["errors"] = json!([{ "code": code, "title": "failed" }]);
        status["biz_opaque_callback_data"] = json!(ours);
        gateway.meta(&[meta::change(AURORA, &[], &[status])]).await.expect(200);
    }

    /// The number goes: another organization may have it.
    pub async fn leave(&self, gateway: &TestGateway) {
        let routes = gateway.get(&self.org, "/api/v1/routes").await.expect(200);
        for route in routes["items"].as_array().unwrap() {
            let path = format!("/api/v1/routes/{}", route["id"].as_str().unwrap());
            let retired = Some(json!({ "state": "retired" }));
            gateway.call(&self.org, http::Method::PATCH, &path, retired).await.expect(200);
        }
        let path = format!("/api/v1/accounts/{}", self.account);
        gateway.call(&self.org, http::Method::DELETE, &path, None).await.expect(204);
    }

    /// Accepts a text to the person; returns its id.
    pub async fn send(&self, gateway: &TestGateway, body: &str) -> String {
        self.send_to(gateway, PERSON, body).await
    }

    /// Accepts a text to somebody; returns its id.
    pub async fn send_to(&self, gateway: &TestGateway, to: &str, body: &str) -> String {
        let accepted =
            gateway.post(&self.org, "/api/v1/messages", text(to, body)).await.expect(202);
        accepted["id"].as_str().unwrap().to_owned()
    }

    /// The bodies of the messages that reached the stand-in.
    pub fn received(&self) -> Vec<Value> {
        let sent = |asked: &Asked| asked.path.ends_with("/messages");
        let read = |asked: &Asked| serde_json::from_slice(&asked.body).unwrap();
        self.peer.requests().iter().filter(|asked| sent(asked)).map(read).collect()
    }

    /// A message's status.
    pub async fn status(&self, gateway: &TestGateway, id: &str) -> String {
        gateway.message(&self.org, id).await["status"].as_str().unwrap().to_owned()
    }

    /// Lets time pass and sends what is due then.
    pub async fn later(&self, gateway: &TestGateway, by: TimeDelta) {
        gateway.advance(by);
        gateway.drain().await;
    }

    /// The kinds of all events.
    pub async fn events(&self, gateway: &TestGateway) -> Vec<Value> {
        let page = gateway.get(&self.org, "/api/v1/events?limit=200").await.expect(200);
        page["items"].as_array().unwrap().clone()
    }
}

/// A text to somebody, as the API takes it.
pub fn text(to: &str, body: &str) -> Value {
    json!({ "channel": "whatsapp", "to": to, "content": { "kind": "text", "body": body } })
}
