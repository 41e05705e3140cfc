//! What accounts can do besides carrying messages, asked of a provider on a real socket: templates, receipts, probes.

use chrono::TimeDelta;
use http::Method;
use providers::{Channel, meta as meta_provider, twilio};
use serde_json::{Value, json};
use switchboard::flow::lines::templates;
use switchboard::flow::send::lane;
use switchboard::model::Lane;

use crate::support::meta::{self, AURORA};
use crate::support::peer::{Peer, PeerAnswer};
use crate::support::{Kind, Org, TestGateway, recorded_account};

/// Runs a test on both engines, with requests to this machine allowed.
macro_rules! with_a_peer {
    ($($name:ident($gateway:ident) $body:block)+) => {$(
        mod $name {
            #[allow(clippy::wildcard_imports, unused_imports)]
            use super::*;

            async fn check(kind: Kind) {
                let $gateway = TestGateway::start(kind, &["outgoing.allow=[\"127.0.0.1/32\"]"]).await;
                $body
                $gateway.end().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                check(Kind::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                check(Kind::Postgres).await;
            }
        }
    )+};
}

pub(crate) use with_a_peer;

/// Connects aurora's account at Meta, which is the peer, with its route; returns its path.
async fn connect(gateway: &TestGateway, org: &Org, base_url: &str) -> String {
    let mut account = recorded_account(&meta_provider::PROVIDER, "aurora");
    account.settings.insert("base_url".to_owned(), base_url.to_owned());
    let id = gateway.connect_only(org, &meta_provider::PROVIDER, &account).await;
    let route = json!({ "account_id": id, "channel": "whatsapp", "address": "+551140028922", "handle": AURORA });
    gateway.post(org, "/api/v1/routes", route).await.expect(201);
    format!("/api/v1/accounts/{id}")
}

/// From now on the account's provider is where nobody listens.
pub(crate) async fn unplug(gateway: &TestGateway, org: &Org, account: &str) {
    let known = gateway.get(org, account).await.expect(200);
    let provider = providers::provider(known["provider"].as_str().unwrap()).unwrap();
    // What goes elsewhere than before must be given again.
    let credentials = recorded_account(provider, "aurora").secrets;
    let nowhere =
        json!({ "settings": { "base_url": "http://127.0.0.1:1" }, "credentials": credentials });
    gateway.call(org, Method::PATCH, account, Some(nowhere)).await.expect(200);
}

fn template(id: &str, name: &str, status: &str) -> Value {
    json!({
        "id": id, "name": name, "language": "pt_BR", "status": status, "category": "UTILITY",
        "components": [{ "type": "BODY", "text": "Olá\u{0}, {{1}}" }],
    })
}

fn page(templates: &[Value], next: Option<&str>) -> PeerAnswer {
    let mut body =
        json!({ "data": templates, "paging": { "cursors": { "after": next.unwrap_or("end") } } });
    if next.is_some() {
        body["paging"]["next"] = json!("https://graph.facebook.com/next");
    }
    PeerAnswer::new(200).header("content-type", "application/json").body(body.to_string())
}

fn refusal(status: u16, code: i64, message: &str) -> PeerAnswer {
    let body = json!({ "error": { "message": message, "type": "OAuthException", "code": code } });
    PeerAnswer::new(status).header("content-type", "application/json").body(body.to_string())
}

/// A message from a person that came in through aurora's number; returns its path.
async fn received(gateway: &TestGateway, org: &Org) -> String {
    let message = meta::text("wamid.in", "5511987654321", "Oi");
    gateway.meta(&[meta::change(AURORA, &[message], &[])]).await.expect(200);
    let list = gateway.get(org, "/api/v1/messages").await.expect(200);
    format!("/api/v1/messages/{}", list["items"][0]["id"].as_str().unwrap())
}

async fn names(gateway: &TestGateway, org: &Org, query: &str) -> Vec<String> {
    let list = gateway.get(org, &format!("/api/v1/templates{query}")).await.expect(200);
    let name = |item: &Value| {
        format!("{} {}", item["name"].as_str().unwrap(), item["status"].as_str().unwrap())
    };
    list["items"].as_array().unwrap().iter().map(name).collect()
}

async fn events(gateway: &TestGateway, org: &Org, kind: &str) -> Vec<Value> {
    let page = gateway.get(org, "/api/v1/events?limit=200").await.expect(200);
    let items = page["items"].as_array().unwrap().clone();
    items.into_iter().filter(|event| event.to_string().contains(kind)).collect()
}

with_a_peer! {
    templates_are_read_page_by_page_and_replaced_as_a_whole(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let borealis = gateway.organization("Borealis").await;
        let peer = Peer::start(vec![
            page(&[template("1", "welcome", "APPROVED"), template("2", "goodbye", "PENDING")], Some("c2")),
            page(&[template("3", "reminder", "APPROVED"), template("1", "welcome", "PAUSED")], None),
        ]).await;
        let path = connect(&gateway, &aurora, &peer.url("")).await;
        let sync = format!("{path}/templates/sync");
        let synced = gateway.post(&aurora, &sync, json!({})).await.expect(200);
        assert_eq!(synced, json!({ "templates": 3, "complete": true }));
        assert!(peer.requests()[1].path.contains("after=c2"), "{:?}", peer.requests());
        assert_eq!(names(&gateway, &aurora, "").await, ["goodbye pending", "reminder approved", "welcome paused"]);
        assert_eq!(names(&gateway, &aurora, "?name=welcome&channel=whatsapp").await, ["welcome paused"]);
        assert!(names(&gateway, &aurora, "?channel=sms").await.is_empty());
        assert!(names(&gateway, &borealis, "").await.is_empty());
        gateway.post(&borealis, &sync, json!({})).await.expect(404);
        let list = gateway.get(&aurora, "/api/v1/templates?name=welcome").await.expect(200);
        assert_eq!(list["items"][0]["components"][0]["text"], "Olá\u{fffd}, {{1}}");
        assert_eq!(list["items"][0]["category"], "utility");

        // The same again is no news; something else takes the place of all of it.
        peer.will(page(&[template("2", "goodbye", "PENDING"), template("3", "reminder", "APPROVED"), template("1", "welcome", "PAUSED")], None));
        gateway.post(&aurora, &sync, json!({})).await.expect(200);
        assert_eq!(events(&gateway, &aurora, "templates.changed").await.len(), 1);
        peer.will(page(&[template("9", "only", "APPROVED")], None));
        gateway.post(&aurora, &sync, json!({})).await.expect(200);
        assert_eq!(names(&gateway, &aurora, "").await, ["only approved"]);
        assert_eq!(events(&gateway, &aurora, "templates.changed").await.len(), 2);
    }

    a_list_that_never_ends_is_read_for_fifty_pages(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let pages = (0..60).map(|n| page(&[template(&n.to_string(), &format!("t{n}"), "APPROVED")], Some("on"))).collect();
        let peer = Peer::start(pages).await;
        let path = connect(&gateway, &aurora, &peer.url("")).await;
        let synced = gateway.post(&aurora, &format!("{path}/templates/sync"), json!({})).await.expect(200);
        assert_eq!(synced, json!({ "templates": 50, "complete": false }));
        assert_eq!(peer.requests().len(), 50);
    }

    a_list_that_cannot_be_had_changes_nothing(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let peer = Peer::start(vec![
            page(&[template("1", "welcome", "APPROVED")], None),
            page(&[template("2", "other", "APPROVED")], Some("c2")),
            refusal(400, 190, "The access token has expired"),
        ]).await;
        let path = connect(&gateway, &aurora, &peer.url("")).await;
        let sync = format!("{path}/templates/sync");
        gateway.post(&aurora, &sync, json!({})).await.expect(200);
        let problem = gateway.post(&aurora, &sync, json!({})).await.expect(502);
        assert_eq!(problem["error_code"], "provider_refused");
        assert_eq!(problem["provider_code"], "190");
        assert!(problem["detail"].as_str().unwrap().contains("expired"), "{problem}");
        assert_eq!(names(&gateway, &aurora, "").await, ["welcome approved"]);
        let id = gateway.connect(&aurora, &providers::telnyx::PROVIDER, "aurora").await;
        let refused = gateway.post(&aurora, &format!("/api/v1/accounts/{id}/templates/sync"), json!({})).await;
        assert_eq!(refused.expect(422)["error_code"], "not_supported");
        gateway.call(&aurora, Method::PATCH, &path, Some(json!({ "credentials": { "access_token": "" } }))).await.expect(200);
        let refused = gateway.post(&aurora, &sync, json!({})).await;
        assert_eq!(refused.expect(422)["error_code"], "not_supported", "without a token it only receives");
    }

    templates_are_listed_again_every_hour_and_sooner_after_a_failure(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let peer = Peer::start(vec![page(&[template("1", "welcome", "APPROVED")], None)]).await;
        let path = connect(&gateway, &aurora, &peer.url("")).await;
        templates::look(&gateway.gateway).await.unwrap();
        templates::look(&gateway.gateway).await.unwrap();
        assert_eq!(names(&gateway, &aurora, "").await, ["welcome approved"]);
        assert_eq!(peer.requests().len(), 1, "it is good for an hour");
        gateway.advance(TimeDelta::minutes(64));
        peer.will(refusal(500, 2, "Service temporarily unavailable"));
        templates::look(&gateway.gateway).await.unwrap();
        gateway.advance(TimeDelta::minutes(14));
        templates::look(&gateway.gateway).await.unwrap();
        assert_eq!(peer.requests().len(), 2);
        gateway.advance(TimeDelta::minutes(1));
        peer.will(page(&[], None));
        templates::look(&gateway.gateway).await.unwrap();
        assert_eq!(peer.requests().len(), 3);
        assert!(names(&gateway, &aurora, "").await.is_empty());
        let routes = gateway.get(&aurora, "/api/v1/routes").await.expect(200);
        let route = format!("/api/v1/routes/{}", routes["items"][0]["id"].as_str().unwrap());
        gateway.call(&aurora, Method::DELETE, &route, None).await.expect(204);
        gateway.call(&aurora, Method::DELETE, &path, None).await.expect(204);
        assert_eq!(gateway.count("template_syncs").await, 0, "nothing is left of it");
    }

    a_message_that_came_in_is_marked_as_read_through_the_account_that_received_it(gateway) {
        let aurora = gateway.organization_in("Aurora", Some("BR")).await;
        let borealis = gateway.organization("Borealis").await;
        let yes = || PeerAnswer::new(200).header("content-type", "application/json").body("{\"success\":true}");
        let peer = Peer::start(vec![yes(), yes()]).await;
        let account = connect(&gateway, &aurora, &peer.url("")).await;
        let read = format!("{}/read", received(&gateway, &aurora).await);
        gateway.post(&borealis, &read, json!({})).await.expect(404);
        gateway.post(&aurora, &read, json!({})).await.expect(204);
        gateway.post(&aurora, &read, json!({ "typing": true })).await.expect(204);
        let asked = peer.requests();
        assert_eq!(asked.len(), 2);
        assert!(asked[0].path.ends_with(&format!("/{AURORA}/messages")), "{}", asked[0].path);
        assert_eq!(asked[0].header("authorization"), Some("Bearer aurora-access-token-5e81c0d2"));
        let bodies: Vec<Value> = asked.iter().map(|asked| serde_json::from_slice(&asked.body).unwrap()).collect();
        let plain = json!({ "messaging_product": "whatsapp", "status": "read", "message_id": "wamid.in" });
        assert_eq!(bodies[0], plain);
        assert_eq!(bodies[1]["typing_indicator"]["type"], "text");

        peer.will(refusal(400, 131_009, "Parameter value is not valid"));
        let problem = gateway.post(&aurora, &read, json!({})).await.expect(502);
        assert_eq!((&problem["error_code"], &problem["provider_code"]), (&json!("provider_refused"), &json!("131009")));
        unplug(&gateway, &aurora, &account).await;
        let problem = gateway.post(&aurora, &read, json!({})).await.expect(504);
        assert_eq!(problem["error_code"], "provider_unanswered");
    }

    what_cannot_be_marked_as_read_is_refused(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        gateway.meta(&[meta::echo("wamid.out", "5511987654321", "Oi")]).await.expect(200);
        let sent = gateway.get(&aurora, "/api/v1/messages").await.expect(200)["items"][0]["id"].clone();
        let path = format!("/api/v1/messages/{}/read", sent.as_str().unwrap());
        assert_eq!(gateway.post(&aurora, &path, json!({})).await.expect(422)["error_code"], "not_inbound");
        gateway.deliver_recorded(&twilio::PROVIDER, "sms-text").await.expect(200);
        let list = gateway.get(&aurora, "/api/v1/messages?channel=sms").await.expect(200);
        let path = format!("/api/v1/messages/{}/read", list["items"][0]["id"].as_str().unwrap());
        assert_eq!(gateway.post(&aurora, &path, json!({})).await.expect(422)["error_code"], "not_supported");
        gateway.post(&aurora, &path, json!({ "typing": "yes" })).await.expect(422);
        let nobodys = "/api/v1/messages/0197d0a0-0000-7000-8000-000000000000/read";
        gateway.post(&aurora, nobodys, json!({})).await.expect(404);
    }

    a_probe_says_whether_the_credentials_work(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let borealis = gateway.organization("Borealis").await;
        let well = PeerAnswer::new(200).header("content-type", "application/json").body("{\"id\":\"102290129340398\",\"name\":\"Aurora\"}");
        let peer = Peer::start(vec![well, refusal(401, 190, "Error validating access token")]).await;
        let account = connect(&gateway, &aurora, &peer.url("")).await;
        let probe = format!("{account}/probe");
        gateway.post(&borealis, &probe, json!({})).await.expect(404);
        let found = gateway.post(&aurora, &probe, json!({})).await.expect(200);
        assert_eq!(found, json!({ "ok": true, "code": null, "detail": null }));
        let found = gateway.post(&aurora, &probe, json!({})).await.expect(200);
        assert_eq!((&found["ok"], &found["code"]), (&json!(false), &json!("190")));
        unplug(&gateway, &aurora, &account).await;
        let found = gateway.post(&aurora, &probe, json!({})).await.expect(200);
        assert_eq!((&found["ok"], &found["code"]), (&json!(false), &json!("no_answer")));
        let reader = gateway.key(aurora.id, vec![switchboard::model::Scope::AccountsRead]).await;
        let reader = Org { id: aurora.id, key: reader };
        gateway.post(&reader, &probe, json!({})).await.expect(403);
    }

    a_mended_account_goes_on_at_once(gateway) {
        let aurora = gateway.organization_in("Aurora", Some("BR")).await;
        let peer = Peer::start(vec![refusal(401, 190, "Error validating access token")]).await;
        let path = connect(&gateway, &aurora, &peer.url("")).await;
        received(&gateway, &aurora).await;
        let message = json!({ "channel": "whatsapp", "to": "+5511987654321", "content": { "kind": "text", "body": "Oi" } });
        gateway.post(&aurora, "/api/v1/messages", message).await.expect(202);
        let lane = Lane { organization_id: aurora.id, channel: Channel::Whatsapp };
        lane::run(&gateway.gateway, lane, &tokio::sync::Notify::new(), &|| false).await.unwrap();
        let queue = gateway.get(&aurora, "/api/v1/queue").await.expect(200);
        assert_eq!(queue["items"][0]["account_unwell"], true, "{queue}");
        assert!(!queue["items"][0]["paused_until"].is_null());
        let change = json!({ "credentials": { "access_token": "a-new-token" } });
        gateway.call(&aurora, Method::PATCH, &path, Some(change)).await.expect(200);
        let queue = gateway.get(&aurora, "/api/v1/queue").await.expect(200);
        assert!(queue["items"][0]["paused_until"].is_null(), "{queue}");
        let sent = json!({ "messaging_product": "whatsapp", "contacts": [{ "input": "5511987654321", "wa_id": "5511987654321" }], "messages": [{ "id": "wamid.sent" }] });
        peer.will(PeerAnswer::new(200).header("content-type", "application/json").body(sent.to_string()));
        gateway.advance(TimeDelta::minutes(6));
        lane::run(&gateway.gateway, lane, &tokio::sync::Notify::new(), &|| false).await.unwrap();
        assert_eq!(peer.requests().last().unwrap().header("authorization"), Some("Bearer a-new-token"));
    }
}
