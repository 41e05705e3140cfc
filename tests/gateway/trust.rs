//! What a stranger, or another organization, must not be able to do; and what is genuine must not be lost for it.

use bytes::Bytes;
use http::{Method, Request};
use providers::{Provider, Secret, meta as meta_provider, telnyx, twilio};
use serde_json::{Value, json};
use switchboard::sandbox::RecordedAccount;

use crate::support::meta::{self, AURORA, NOBODYS};
use crate::support::{
    Kind, Org, PUBLIC_URL, TestGateway, beginning, on_both_engines, recorded_account,
};

/// The same account under another public key or secret.
fn with_secret(provider: &Provider, whose: &str, name: &str, secret: &str) -> RecordedAccount {
    let mut account = recorded_account(provider, whose);
    account.secrets.insert(name.to_owned(), secret.to_owned());
    account
}

fn telnyx_event(event: &Value) -> Request<Bytes> {
    let secret = recorded_account(&telnyx::PROVIDER, "aurora").signing_secret;
    let request = Request::builder()
        .method("POST")
        .uri(format!("{PUBLIC_URL}/hooks/telnyx"))
        .header("content-type", "application/json")
        .body(Bytes::from(serde_json::to_vec(event).unwrap()))
        .unwrap();
    (telnyx::PROVIDER.sign)(&Secret::from(secret), beginning(), request)
}

fn call_event(kind: &str, id: &str, leg: &str, payload: &Value) -> Request<Bytes> {
    let mut payload = payload.clone();
    payload["call_control_id"] = json!(format!("v3:{leg}"));
    payload["call_leg_id"] = json!(leg);
    payload["call_session_id"] = json!(format!("session-of-{leg}"));
    telnyx_event(&json!({ "data": {
        "record_type": "event", "event_type": kind, "id": id, "occurred_at": "2026-11-01T11:59:00.000000Z", "payload": payload,
    } }))
}

async fn connect_number(gateway: &TestGateway, org: &Org, account: &RecordedAccount, number: &str) {
    let id = gateway.connect_only(org, &telnyx::PROVIDER, account).await;
    let route = json!({ "account_id": id, "channel": "voip", "address": number });
    gateway.post(org, "/api/v1/routes", route).await.expect(201);
}

on_both_engines! {
    a_published_key_belongs_to_one_organization(gateway) {
        let (_, _) = gateway.two_organizations().await;
        let mallory = gateway.organization("Mallory").await;
        let key = recorded_account(&telnyx::PROVIDER, "aurora").secrets["public_key"].clone();
        let account = json!({ "provider": "telnyx", "name": "x", "settings": {}, "credentials": { "public_key": key } });
        let refused = gateway.post(&mallory, "/api/v1/accounts", account).await.expect(409);
        assert!(refused["detail"].as_str().unwrap().contains("public key"));
        // Nor by way of a key of one's own, exchanged later.
        let own = "/FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU=";
        let own = with_secret(&telnyx::PROVIDER, "aurora", "public_key", own);
        let id = gateway.connect_only(&mallory, &telnyx::PROVIDER, &own).await;
        let path = format!("/api/v1/accounts/{id}");
        let change = json!({ "credentials": { "public_key": key } });
        gateway.call(&mallory, Method::PATCH, &path, Some(change.clone())).await.expect(409);
        gateway.post(&mallory, &format!("{path}/rotate"), change).await.expect(409);
    }

    a_retired_line_that_another_took_does_not_come_back(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        let routes = gateway.get(&aurora, "/api/v1/routes").await.expect(200);
        let route = routes["items"].as_array().unwrap().iter().find(|r| r["handle"] == AURORA).unwrap().clone();
        let path = format!("/api/v1/routes/{}", route["id"].as_str().unwrap());
        gateway.call(&aurora, Method::PATCH, &path, Some(json!({ "state": "retired" }))).await.expect(200);
        let accounts = gateway.get(&borealis, "/api/v1/accounts").await.expect(200);
        let account = accounts["items"].as_array().unwrap().iter().find(|a| a["provider"] == "meta").unwrap().clone();
        let taken = json!({ "account_id": account["id"], "channel": "whatsapp", "address": "+551140028922", "handle": AURORA });
        gateway.post(&borealis, "/api/v1/routes", taken).await.expect(201);
        for state in ["standby", "active", "draining"] {
            gateway.call(&aurora, Method::PATCH, &path, Some(json!({ "state": state }))).await.expect(409);
        }
        let message = meta::text("wamid.whose", "5511987654321", "whose?");
        gateway.meta(&[meta::change(AURORA, &[message], &[])]).await.expect(200);
        assert_eq!(gateway.communications(&borealis).await.len(), 1);
        assert!(gateway.communications(&aurora).await.is_empty());
    }

    an_account_that_changes_its_key_keeps_to_lines_that_are_free(gateway) {
        let (_, _) = gateway.two_organizations().await;
        let mallory = gateway.organization("Mallory").await;
        let account = with_secret(&meta_provider::PROVIDER, "aurora", "app_secret", "00112233445566778899aabbccddeeff");
        let id = gateway.connect_only(&mallory, &meta_provider::PROVIDER, &account).await;
        let route = json!({ "account_id": id, "channel": "whatsapp", "address": "+551140028922", "handle": AURORA });
        gateway.post(&mallory, "/api/v1/routes", route).await.expect(201);
        let secret = recorded_account(&meta_provider::PROVIDER, "aurora").secrets["app_secret"].clone();
        let change = json!({ "credentials": { "app_secret": secret } });
        gateway.call(&mallory, Method::PATCH, &format!("/api/v1/accounts/{id}"), Some(change)).await.expect(409);
    }

    accounts_that_claim_anothers_line_do_not_lock_it_out(gateway) {
        let mallory = gateway.organization("Mallory").await;
        for number in 0..20 {
            let secret = format!("{number:032x}");
            let account = with_secret(&meta_provider::PROVIDER, "aurora", "app_secret", &secret);
            let id = gateway.connect_only(&mallory, &meta_provider::PROVIDER, &account).await;
            let route = json!({ "account_id": id, "channel": "whatsapp", "address": "+551140028922", "handle": AURORA, "state": "standby" });
            gateway.post(&mallory, "/api/v1/routes", route).await.expect(201);
        }
        let (aurora, _) = gateway.two_organizations().await;
        let message = meta::text("wamid.through", "5511987654321", "through");
        gateway.meta(&[meta::change(AURORA, &[message], &[])]).await.expect(200);
        assert_eq!(gateway.communications(&aurora).await.len(), 1);
        assert!(gateway.communications(&mallory).await.is_empty());
    }

    unknown_lines_are_kept_at_the_shared_url(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let message = meta::text("wamid.nobody", "5511987654321", "anybody?");
        gateway.meta(&[meta::change(NOBODYS, &[message], &[])]).await.expect(200);
        gateway.deliver_recorded(&telnyx::PROVIDER, "unknown-number-sms-received").await.expect(200);
        assert_eq!(gateway.count("webhook_quarantine").await, 2);
        assert_eq!(gateway.count("messages").await, 0);
        // Only aurora has the Telnyx account, so aurora keeps it; both have Meta's application, so neither does.
        let kept = gateway.get(&aurora, "/api/v1/webhook-inbox").await.expect(200);
        let kept = kept["items"].as_array().unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!((kept[0]["provider"].as_str(), kept[0]["reason"].as_str()), (Some("telnyx"), Some("unrouted")));
        // Whoever claims the number gets what waited.
        let accounts = gateway.get(&aurora, "/api/v1/accounts").await.expect(200);
        let account = accounts["items"].as_array().unwrap().iter().find(|a| a["provider"] == "meta").unwrap().clone();
        let route = json!({ "account_id": account["id"], "channel": "whatsapp", "address": "+551155550000", "handle": NOBODYS, "state": "standby" });
        assert_eq!(gateway.post(&aurora, "/api/v1/routes", route).await.expect(201)["claimed_items"], 1);
        assert_eq!(gateway.communications(&aurora).await.len(), 1);
    }

    news_of_a_known_call_needs_no_application_id(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let mut account = recorded_account(&telnyx::PROVIDER, "aurora");
        account.settings.clear();
        connect_number(&gateway, &aurora, &account, "+13125550130").await;
        let both = json!({ "connection_id": "77", "direction": "incoming", "from": "+14155550199", "to": "+13125550130", "state": "parked" });
        gateway.deliver(call_event("call.initiated", "e1", "leg-1", &both)).await.expect(200);
        let recording = json!({ "connection_id": "77", "recording_id": "r1", "channels": "single",
            "recording_started_at": "2026-11-01T11:58:00Z", "recording_ended_at": "2026-11-01T11:59:00Z",
            "recording_urls": { "mp3": "https://recordings.example.com/1.mp3" }, "public_recording_urls": {} });
        gateway.deliver(call_event("call.recording.saved", "e2", "leg-1", &recording)).await.expect(200);
        assert_eq!(gateway.count("webhook_quarantine").await, 0);
        let calls = gateway.communications(&aurora).await;
        assert_eq!(calls.len(), 1);
        assert!(!calls[0]["metadata"]["recordings"].as_array().unwrap().is_empty(), "{}", calls[0]);
        // Of a call that nobody knows it waits.
        gateway.deliver(call_event("call.recording.saved", "e3", "leg-9", &recording)).await.expect(200);
        assert_eq!(gateway.count("webhook_quarantine").await, 1);
    }

    an_id_with_a_nul_is_another_id_than_without(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let messages = ["wamid.A", "wamid.A\0", "wamid.C"].map(|id| meta::text(id, "5511987654321", "x"));
        for _ in 0..2 {
            gateway.meta(&[meta::change(AURORA, &messages, &[])]).await.expect(200);
        }
        assert_eq!(gateway.communications(&aurora).await.len(), 3);
        // A number that nobody has waits for whoever claims it, and is not taken for one that it resembles.
        let number = format!("{AURORA}\0");
        gateway.meta(&[meta::change(&number, &[meta::text("wamid.D", "5511987654321", "x")], &[])]).await.expect(200);
        let unrouted = "select count(*) from webhook_quarantine where reason = 'unrouted'";
        assert_eq!(gateway.database.scalar(unrouted).await, 1);
        assert_eq!(gateway.count("webhook_quarantine").await, 1);
    }

    a_flood_of_parameters_is_not_even_sorted(gateway) {
        gateway.two_organizations().await;
        let sid = recorded_account(&twilio::PROVIDER, "aurora").settings["account_sid"].clone();
        let body = format!("AccountSid={sid}&{}", "a&".repeat(1_000_000));
        let request = Request::post(format!("{PUBLIC_URL}/hooks/twilio"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-twilio-signature", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")
            .body(Bytes::from(body)).unwrap();
        gateway.deliver(request).await.expect(401);
        assert_eq!(gateway.count("webhook_inbox").await, 0);
    }

    merges_are_taken_back_in_their_order(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let mut ids = Vec::new();
        for name in ["one", "two", "three"] {
            let contact = json!({ "name": name, "emails": [format!("{name}@example.com")] });
            ids.push(gateway.post(&aurora, "/api/v1/contacts", contact).await.expect(201)["id"].as_str().unwrap().to_owned());
        }
        let mut merges = Vec::new();
        for (kept, gone) in [(0, 1), (2, 0)] {
            let path = format!("/api/v1/contacts/{}/merge", ids[kept]);
            let made = gateway.post(&aurora, &path, json!({ "merge_contact_id": ids[gone] })).await.expect(201);
            merges.push(made["id"].as_str().unwrap().to_owned());
        }
        let undo = |id: &str| format!("/api/v1/contact-merges/{id}/undo");
        let refused = gateway.post(&aurora, &undo(&merges[0]), json!({})).await.expect(409);
        assert!(refused["detail"].as_str().unwrap().contains(&merges[1]), "it names the merge to take back first");
        gateway.post(&aurora, &undo(&merges[1]), json!({})).await.expect(200);
        gateway.post(&aurora, &undo(&merges[0]), json!({})).await.expect(200);
        for id in &ids {
            let contact = gateway.get(&aurora, &format!("/api/v1/contacts/{id}")).await.expect(200);
            assert_eq!(contact["identities"].as_array().unwrap().len(), 1, "{contact}");
        }
    }

    the_store_refuses_nothing_of_the_recorded_webhooks(gateway) {
        gateway.two_organizations().await;
        for provider in providers::PROVIDERS {
            for recorded in switchboard::sandbox::webhooks(provider) {
                let answer = gateway.deliver(gateway.recorded(provider, &recorded.name)).await;
                assert_eq!(answer.status, 200, "{}: {}", provider.name, recorded.name);
            }
        }
        let refused = "select count(*) from webhook_quarantine where reason = 'refused'";
        assert_eq!(gateway.database.scalar(refused).await, 0);
        assert!(gateway.count("messages").await > 100);
    }
}

/// Two organizations of one Telnyx account call each other: each keeps its own leg.
async fn each_keeps_its_own_leg(kind: Kind) {
    let gateway = TestGateway::start(kind, &["intake.share_public_keys=true"]).await;
    let (caller, receiver) =
        (gateway.organization("Caller").await, gateway.organization("Called").await);
    let account = |connection: &str| {
        let mut account = recorded_account(&telnyx::PROVIDER, "aurora");
        account.settings = [("connection_ids".to_owned(), connection.to_owned())].into();
        account
    };
    connect_number(&gateway, &receiver, &account("2"), "+13125550002").await;
    connect_number(&gateway, &caller, &account("1"), "+13125550001").await;
    let ends = |connection: &str| json!({ "connection_id": connection, "from": "+13125550001", "to": "+13125550002" });
    for (leg, connection, direction) in [("leg-a", "1", "outgoing"), ("leg-b", "2", "incoming")] {
        let mut started = ends(connection);
        started["direction"] = json!(direction);
        gateway
            .deliver(call_event("call.initiated", &format!("{leg}-1"), leg, &started))
            .await
            .expect(200);
        gateway
            .deliver(call_event("call.answered", &format!("{leg}-2"), leg, &ends(connection)))
            .await
            .expect(200);
        let mut ended = ends(connection);
        ended["hangup_cause"] = json!("normal_clearing");
        gateway
            .deliver(call_event("call.hangup", &format!("{leg}-3"), leg, &ended))
            .await
            .expect(200);
    }
    for (org, direction) in [(&caller, "outbound"), (&receiver, "inbound")] {
        let calls = gateway.communications(org).await;
        assert_eq!(calls.len(), 1, "{direction}: {calls:?}");
        assert_eq!(calls[0]["direction"], direction);
        assert_eq!(calls[0]["status"], "completed");
    }
    assert_eq!(gateway.count("webhook_quarantine").await, 0);
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_keeps_its_own_leg_on_sqlite() {
    each_keeps_its_own_leg(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_keeps_its_own_leg_on_postgres() {
    each_keeps_its_own_leg(Kind::Postgres).await;
}

/// Without the right master key nothing can be verified: the provider is told to come again, and health tells why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_master_key_refuses_no_genuine_webhook_for_good() {
    let gateway = TestGateway::start(Kind::Sqlite, &[]).await;
    let (aurora, _) = gateway.two_organizations().await;
    let accounts = gateway.get(&aurora, "/api/v1/accounts").await.expect(200);
    let id = accounts["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|a| a["provider"] == "meta")
        .unwrap()["id"]
        .clone();
    let database = gateway.database.clone();
    gateway.end().await;
    let other = "keys.master_key=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let gateway = TestGateway::start_on(database, &[other]).await;
    let message = meta::text("wamid.locked", "5511987654321", "hello");
    let body =
        serde_json::to_vec(&meta::notification(&[meta::change(AURORA, &[message], &[])])).unwrap();
    for path in [format!("/hooks/meta/{}", id.as_str().unwrap()), "/hooks/meta".to_owned()] {
        let answer = gateway.deliver(meta::signed(&path, body.clone())).await;
        answer.expect(503);
        assert!(answer.headers.contains_key("retry-after"));
    }
    let health = gateway.get(&aurora, "/health/crm").await.expect(503);
    assert_eq!(health["accounts"]["status"], "failing");
    gateway.end().await;
}
