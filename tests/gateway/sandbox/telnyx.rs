//! Telnyx's emulator.

use providers::EventKind;
use serde_json::{Value, json};

use super::{Rig, answer, read, statuses};

const LINE: &str = "+13125550130";
const PROFILE: &str = "0f512bda-ae1e-4597-8e11-e5f5686b97d3";
const ANA: &str = "+13125550199";
const OURS: &str = "01930d5c-9b1e-7c44-8f2a-6d1e0b7a5c33";

fn key() -> String {
    let telnyx = providers::provider("telnyx").unwrap();
    let account = switchboard::sandbox::accounts(telnyx).into_iter().next().unwrap();
    let key = account.secrets.get("api_key").cloned();
    key.unwrap_or_else(|| "sandbox-telnyx-token".to_owned())
}

async fn send(rig: &Rig, body: Value) -> (u16, Value) {
    let url = rig.url("/telnyx/v2/messages");
    answer(rig.http.post(url).bearer_auth(key()).json(&body)).await
}

fn ours(request: http::Request<bytes::Bytes>) -> providers::Batch {
    let key = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let settings = [("messaging_profile_ids", PROFILE)];
    read("telnyx", &settings, &[("public_key", key), ("api_key", "x")], request)
}

#[tokio::test]
async fn a_message_to_telnyx_is_accepted_and_its_webhooks_are_genuine() {
    let rig = Rig::start().await;
    let (status, body) =
        send(&rig, json!({ "from": LINE, "to": ANA, "text": "Hi", "tags": [OURS] })).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["data"]["to"][0]["status"], "queued");
    let batches: Vec<_> = rig.webhooks().await.into_iter().map(ours).collect();
    assert_eq!(statuses(&batches), ["sent", "delivered"]);
    assert_eq!(rig.sandbox.count_of(OURS), 1);
    let id = body["data"]["id"].as_str().unwrap();
    let one = rig.http.get(rig.url(&format!("/telnyx/v2/messages/{id}"))).bearer_auth(key());
    assert_eq!(answer(one).await.1["data"]["to"][0]["status"], "delivered");
    rig.person_writes("telnyx", LINE, ANA).await;
    let heard = ours(rig.webhooks().await.remove(0));
    assert!(matches!(&heard.events[0].kind, EventKind::Message(_)));
}

#[tokio::test]
async fn a_telnyx_webhook_goes_where_the_request_says() {
    let rig = Rig::start().await;
    let url = format!("{}/elsewhere?message={OURS}", rig.hooks);
    send(&rig, json!({ "from": LINE, "to": ANA, "text": "Hi", "webhook_url": url })).await;
    let requests = rig.webhooks().await;
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|request| request.uri() == url.as_str()));
    assert_eq!(rig.sandbox.count_of(OURS), 1);
}

#[tokio::test]
async fn telnyx_refuses_what_it_refuses() {
    let rig = Rig::start().await;
    let body = json!({ "from": LINE, "to": ANA, "text": "x" });
    let url = rig.url("/telnyx/v2/messages");
    let wrong = answer(rig.http.post(url).bearer_auth("wrong").json(&body)).await;
    assert_eq!((wrong.0, &wrong.1["errors"][0]["code"]), (401, &json!("10009")));
    let long = "x".repeat(1_600);
    let refused = [
        (json!({ "from": LINE, "text": "x" }), "10004"),
        (json!({ "to": ANA, "text": "x" }), "10004"),
        (json!({ "from": LINE, "to": "3125550199", "text": "x" }), "40310"),
        (json!({ "from": "+13125559999", "to": ANA, "text": "x" }), "40305"),
        (json!({ "from": LINE, "to": ANA }), "40316"),
        (json!({ "from": LINE, "to": ANA, "text": "x", "type": "MMS" }), "40316"),
        (
            json!({ "from": LINE, "to": ANA, "text": "x", "type": "SMS", "media_urls": ["https://a.example"] }),
            "40304",
        ),
        (json!({ "from": LINE, "to": ANA, "text": long }), "40302"),
        (json!({ "from": LINE, "to": ANA, "text": 5 }), "10015"),
        (json!({ "messaging_profile_id": "nobody's", "to": ANA, "text": "x" }), "10015"),
    ];
    for (message, code) in refused {
        let (status, body) = send(&rig, message.clone()).await;
        assert!((400..500).contains(&status));
        assert_eq!(body["errors"][0]["code"], code, "{message}");
    }
    assert_eq!(rig.sandbox.counts().accepted, 0);
    let balance = rig.http.get(rig.url("/telnyx/v2/balance")).bearer_auth(key());
    assert_eq!(answer(balance).await.1["data"]["currency"], "USD");
}

#[tokio::test]
async fn telnyx_schedules_and_takes_back() {
    let rig = Rig::start().await;
    let at = |minutes: i64| {
        switchboard::clock::Clock::System.now() + chrono::TimeDelta::minutes(minutes)
    };
    let url = rig.url("/telnyx/v2/messages/schedule");
    let schedule = |at: Value| {
        let body =
            json!({ "from": LINE, "to": ANA, "text": "Soon", "tags": [OURS], "send_at": at });
        answer(rig.http.post(&url).bearer_auth(key()).json(&body))
    };
    let refused = [
        (Value::Null, "10004"),
        (json!(at(4)), "10015"),
        (json!(at(60 * 24 * 5 + 1)), "10015"),
        (json!("tomorrow"), "10015"),
    ];
    for (at, code) in refused {
        assert_eq!(schedule(at).await.1["errors"][0]["code"], code);
    }
    let (_, one) = schedule(json!(at(60))).await;
    let (_, two) = schedule(json!(at(60))).await;
    assert_eq!(two["data"]["to"][0]["status"], "scheduled");
    let cancel = |message: &Value| {
        let id = message["data"]["id"].as_str().unwrap();
        answer(rig.http.delete(rig.url(&format!("/telnyx/v2/messages/{id}"))).bearer_auth(key()))
    };
    assert_eq!(cancel(&one).await.1["to"][0]["status"], "cancelled");
    assert_eq!(cancel(&one).await.0, 403);
    let batches: Vec<_> = rig.webhooks().await.into_iter().map(ours).collect();
    assert_eq!(statuses(&batches), ["canceled"]);
    rig.sandbox.advance(chrono::TimeDelta::seconds(59 * 60 + 30));
    // In the last minute it is too late.
    assert_eq!(cancel(&two).await.0, 403);
    rig.sandbox.advance(chrono::TimeDelta::minutes(1));
    let batches: Vec<_> = rig.webhooks().await.into_iter().map(ours).collect();
    assert_eq!(statuses(&batches), ["sent", "delivered"]);
    let nobody = answer(rig.http.post(&url).json(&json!({}))).await;
    assert_eq!((nobody.0, &nobody.1["errors"][0]["code"]), (404, &json!("10005")));
}

#[tokio::test]
async fn telnyx_sends_whatsapp_and_its_webhooks_are_read() {
    let rig = Rig::start().await;
    let line = "+13125550131";
    rig.add(json!({
        "provider": "telnyx",
        "settings": { "messaging_profile_ids": PROFILE },
        "secrets": { "api_key": "whatsapp-key" },
        "signing_secret": "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "routes": [{ "channel": "whatsapp", "address": line }],
        "webhook_url": format!("{}/hooks/telnyx", rig.hooks),
    }));
    let send = |message: Value| {
        let body =
            json!({ "from": line, "to": ANA, "type": "WHATSAPP", "whatsapp_message": message });
        let url = rig.url("/telnyx/v2/messages/whatsapp");
        answer(rig.http.post(url).bearer_auth("whatsapp-key").json(&body))
    };
    let hello =
        json!({ "type": "text", "text": { "body": "Hi" }, "biz_opaque_callback_data": OURS });
    let (status, body) = send(hello.clone()).await;
    assert_eq!((status, &body["data"]["body"]), (200, &hello));
    let batches: Vec<_> = rig.webhooks().await.into_iter().map(ours).collect();
    assert_eq!(statuses(&batches), ["failed"]);
    rig.person_writes("telnyx", line, ANA).await;
    let heard = ours(rig.webhooks().await.remove(0));
    assert!(matches!(&heard.events[0].kind, EventKind::Message(_)));
    send(hello).await;
    let batches: Vec<_> = rig.webhooks().await.into_iter().map(ours).collect();
    assert_eq!(statuses(&batches), ["sent", "delivered", "read"]);
    assert_eq!(rig.sandbox.count_of(OURS), 2);
    assert_eq!(send(json!({ "type": "image", "image": {} })).await.0, 422);
}
