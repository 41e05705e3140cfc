//! A credential that cannot be opened is the gateway's trouble, and passes: nobody is told that there is no route.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::graph::{Graph, PERSON, text};
use crate::support::{Answer, Database, Kind, Org, TestGateway};

const OTHER_KEY: &str = "keys.master_key=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

async fn post_once(gateway: &TestGateway, org: &Org, body: &Value) -> Answer {
    let request = http::Request::post("/api/v1/messages")
        .header("authorization", format!("Bearer {}", org.key))
        .header("x-org-id", org.id.to_string())
        .header("content-type", "application/json")
        .header("idempotency-key", "order-17")
        .body(serde_json::to_vec(body).unwrap().into())
        .unwrap();
    gateway.send(request).await
}

#[track_caller]
fn must_come_again(answer: &Answer) {
    assert_eq!(answer.expect(503)["error_code"], "unavailable");
    assert!(answer.headers.contains_key("retry-after"));
}

async fn what_waits_for_a_key(kind: Kind) {
    let gateway = TestGateway::start(kind, &[]).await;
    let graph = Graph::connect(&gateway, vec![]).await;
    let before = graph.send(&gateway, "accepted before").await;
    let database: Database = gateway.database.clone();
    gateway.end().await;

    let gateway = TestGateway::start_on(database.clone(), &[OTHER_KEY]).await;
    let org = &graph.org;
    must_come_again(&post_once(&gateway, org, &text(PERSON, "Oi")).await);
    let bulk = json!({ "messages": [text(PERSON, "Oi")] });
    must_come_again(&gateway.post(org, "/api/v1/messages/bulk", bulk).await);
    let edit = json!({ "content": { "kind": "text", "body": "better" } });
    must_come_again(&gateway.post(org, &format!("/api/v1/messages/{before}/edit"), edit).await);
    must_come_again(
        &gateway.post(org, &format!("/api/v1/accounts/{}/probe", graph.account), json!({})).await,
    );
    let line = json!({ "account_id": graph.account, "channel": "whatsapp", "address": "+551155550000", "handle": "1", "state": "standby" });
    must_come_again(&gateway.post(org, "/api/v1/routes", line).await);
    gateway.drain().await;
    gateway.advance(TimeDelta::minutes(1));
    gateway.drain().await;
    assert_eq!(graph.status(&gateway, &before).await, "queued");
    let queue = gateway.get(org, "/api/v1/queue").await.expect(200);
    let reason = queue["items"][0]["pause_reason"].as_str().unwrap();
    assert!(reason.contains("opened") && !reason.contains("route"), "{reason}");
    gateway.end().await;

    let gateway = TestGateway::start_on(database, &[]).await;
    gateway.advance(TimeDelta::minutes(2));
    gateway.drain().await;
    assert_eq!(graph.status(&gateway, &before).await, "sent");
    post_once(&gateway, org, &text(PERSON, "Oi")).await.expect(202);
    gateway.drain().await;
    assert_eq!(graph.received().len(), 2);
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_waits_for_a_key_on_sqlite() {
    what_waits_for_a_key(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_waits_for_a_key_on_postgres() {
    what_waits_for_a_key(Kind::Postgres).await;
}

/// The master key comes back into the key file while the gateway runs: accounts open again by themselves.
async fn a_key_comes_back(kind: Kind) {
    let gateway = TestGateway::start(kind, &[]).await;
    let graph = Graph::connect(&gateway, vec![]).await;
    let before = graph.send(&gateway, "accepted before").await;
    let database = gateway.database.clone();
    gateway.end().await;
    let (file, aside) = (database.folder.join("master.key"), database.folder.join("aside.key"));
    std::fs::rename(&file, &aside).unwrap();

    let gateway = TestGateway::start_on(database, &[]).await;
    gateway.drain().await;
    assert_eq!(graph.status(&gateway, &before).await, "queued");
    std::fs::rename(&aside, &file).unwrap();
    gateway.advance(TimeDelta::minutes(1));
    gateway.gateway.refresh_directory().await.unwrap();
    gateway.drain().await;
    assert_eq!(graph.status(&gateway, &before).await, "sent");
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_open_again_once_their_key_is_back_on_sqlite() {
    a_key_comes_back(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_open_again_once_their_key_is_back_on_postgres() {
    a_key_comes_back(Kind::Postgres).await;
}
