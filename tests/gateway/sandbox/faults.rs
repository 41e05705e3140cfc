//! What shall go wrong does, as often as it shall, and the client sees what it would see.

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use switchboard::sandbox::{Fault, FaultKind, Inbound, InboundFile, On};

use super::{Rig, SendForm, answer};

const SID: &str = "AC1f8c9b2a7d3e4f50617283940a5b6c7d";
const TOKEN: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const ANA: &str = "+14155550199";

fn sms(rig: &Rig, ours: &str) -> RequestBuilder {
    let callback = format!("{}/hooks/twilio?message={ours}", rig.hooks);
    let form =
        [("To", ANA), ("From", "+14155550110"), ("Body", "x"), ("StatusCallback", &callback)];
    let url = rig.url(&format!("/twilio/2010-04-01/Accounts/{SID}/Messages.json"));
    rig.http.post(url).basic_auth(SID, Some(TOKEN)).form(&form)
}

/// The words of the status callbacks, in the order in which they came.
async fn words(rig: &Rig) -> Vec<String> {
    let word = |request: http::Request<bytes::Bytes>| {
        let mut form = url::form_urlencoded::parse(request.body());
        form.find(|(name, _)| name == "MessageStatus").unwrap().1.into_owned()
    };
    rig.webhooks().await.into_iter().map(word).collect()
}

#[tokio::test]
async fn a_connection_lost_before_acceptance_leaves_nothing() {
    let rig = Rig::start().await;
    rig.fault(json!({ "provider": "twilio", "kind": "drop_before" })).await;
    assert!(sms(&rig, "a").send().await.is_err());
    assert_eq!((rig.sandbox.count_of("a"), rig.sandbox.requests()[0].status), (0, 0));
    assert_eq!(sms(&rig, "a").send().await.unwrap().status(), 201);
    assert_eq!(rig.sandbox.count_of("a"), 1);
}

#[tokio::test]
async fn a_connection_lost_after_acceptance_leaves_the_message_and_its_statuses() {
    let rig = Rig::start().await;
    rig.fault(json!({ "provider": "twilio", "account": SID, "kind": "drop_after", "next": 2 }))
        .await;
    assert!(sms(&rig, "a").send().await.is_err());
    assert!(sms(&rig, "a").send().await.is_err());
    assert_eq!(words(&rig).await.len(), 4);
    let counts = rig.sandbox.counts();
    assert_eq!((counts.accepted, counts.doubled), (2, vec![("a".to_owned(), 2)]));
    assert_eq!(sms(&rig, "b").send().await.unwrap().status(), 201);
}

#[tokio::test]
async fn refusals_have_the_providers_own_bodies() {
    let rig = Rig::start().await;
    let refusal =
        json!({ "provider": "twilio", "kind": "status", "status": 429, "retry_after": 7 });
    rig.fault(refusal).await;
    let refused = sms(&rig, "a").send().await.unwrap();
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (429, &"7".parse().unwrap())
    );
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], 20_429);
    rig.fault(json!({ "provider": "twilio", "kind": "revoked_token", "always": true })).await;
    for _ in 0..2 {
        assert_eq!(answer(sms(&rig, "a")).await.1["code"], 20_003);
    }
    rig.sandbox.clear();
    assert_eq!(answer(sms(&rig, "a")).await.0, 201);
    rig.fault(json!({ "provider": "meta", "on": "any", "kind": "status", "status": 503 })).await;
    let (status, body) = answer(rig.http.get(rig.url("/meta/v25.0/1"))).await;
    assert_eq!((status, &body["error"]["is_transient"]), (503, &json!(true)));
}

#[tokio::test]
async fn webhooks_come_twice_reversed_late_or_never() {
    let rig = Rig::start().await;
    for kind in ["duplicate_webhooks", "reorder_webhooks", "lose_webhooks"] {
        rig.fault(json!({ "provider": "twilio", "to": ANA, "kind": kind })).await;
        sms(&rig, kind).send().await.unwrap();
        let came = words(&rig).await;
        match kind {
            "duplicate_webhooks" => assert_eq!(came, ["sent", "sent", "delivered", "delivered"]),
            "reorder_webhooks" => assert_eq!(came, ["delivered", "sent"]),
            _ => assert_eq!(came, Vec::<String>::new()),
        }
    }
    rig.sandbox.hold("twilio", Some(SID));
    let held = answer(sms(&rig, "held")).await.1;
    assert_eq!(rig.sandbox.posted().pending, 1);
    assert_eq!(rig.sandbox.messages().last().unwrap().status, held["status"]);
    rig.sandbox.release();
    assert_eq!(words(&rig).await, ["sent", "delivered"]);
}

#[tokio::test]
async fn a_message_fails_with_the_code_that_was_asked_for() {
    let rig = Rig::start().await;
    let kind = FaultKind::FailStatus { code: 30_003 };
    let fault = Fault {
        provider: "twilio".to_owned(),
        account: None,
        to: None,
        next: 1,
        always: false,
        on: On::Send,
        kind,
    };
    assert!(rig.sandbox.fault(fault));
    sms(&rig, "a").send().await.unwrap();
    assert_eq!(words(&rig).await, ["sent", "undelivered"]);
    let message = rig.sandbox.messages().pop().unwrap();
    assert_eq!((message.status.as_str(), message.code), ("undelivered", Some(30_003)));
    rig.fault(json!({ "provider": "twilio", "to": ANA, "kind": "recipient_blocked" })).await;
    assert_eq!(answer(sms(&rig, "b")).await.1["code"], 21_610);
}

#[tokio::test]
async fn a_status_may_outrun_the_answer() {
    let rig = Rig::start().await;
    rig.fault(json!({ "provider": "twilio", "kind": "delay_after", "ms": 500 })).await;
    let sending = tokio::spawn(sms(&rig, "a").send());
    let mut came = Vec::new();
    while came.len() < 2 {
        came.extend(words(&rig).await);
        tokio::task::yield_now().await;
    }
    assert!(!sending.is_finished());
    assert_eq!(sending.await.unwrap().unwrap().status(), 201);
}

#[tokio::test]
async fn files_expire_when_they_shall() {
    let rig = Rig::start().await;
    let file = InboundFile { mime_type: "image/png".to_owned(), ..InboundFile::default() };
    let inbound = Inbound {
        provider: "twilio".to_owned(),
        from: ANA.to_owned(),
        media: Some(file),
        ..Inbound::default()
    };
    rig.sandbox.inbound(&inbound).await.unwrap();
    let request = rig.webhooks().await.remove(0);
    let mut form = url::form_urlencoded::parse(request.body());
    let url = form.find(|(name, _)| name == "MediaUrl0").unwrap().1.into_owned();
    rig.fault(json!({ "provider": "twilio", "kind": "expired_media" })).await;
    let (status, body) = answer(rig.http.get(&url).basic_auth(SID, Some(TOKEN))).await;
    assert_eq!((status, &body["code"]), (404, &json!(20_404)));
}

#[tokio::test]
async fn linked_files_on_this_machine_are_fetched() {
    let rig = Rig::start().await;
    let url = rig.url(&format!("/twilio/2010-04-01/Accounts/{SID}/Messages.json"));
    let send = |link: String| {
        let form =
            [("To", ANA.to_owned()), ("From", "+14155550110".to_owned()), ("MediaUrl", link)];
        rig.http.post(&url).basic_auth(SID, Some(TOKEN)).form(&form)
    };
    send(rig.url("/control/counts")).send().await.unwrap();
    rig.sandbox.settled().await;
    let message = rig.sandbox.messages().pop().unwrap();
    assert_eq!((message.status.as_str(), message.fetched.len()), ("delivered", 1));
    send(rig.url("/control/nowhere")).send().await.unwrap();
    rig.sandbox.settled().await;
    assert_eq!(rig.sandbox.messages().pop().unwrap().status, "undelivered");
}

#[tokio::test]
async fn requests_are_kept_without_their_credentials() {
    let rig = Rig::start().await;
    sms(&rig, "a").send().await.unwrap();
    let (_, requests) = answer(rig.http.get(rig.url("/control/requests?provider=twilio"))).await;
    assert_eq!(requests[0]["status"], 201);
    assert!(requests[0]["body"].as_str().unwrap().contains("Body=x"));
    let text = requests.to_string();
    assert!(text.contains("[REDACTED]") && !text.contains(TOKEN) && !text.contains("Basic "));
}
