//! Accounts: their credentials go in and never come out; two are valid while they rotate.

use bytes::Bytes;
use chrono::TimeDelta;
use http::{Method, Request};
use providers::{meta as meta_provider, twilio as twilio_provider};
use serde_json::{Value, json};

use crate::support::meta::{self, AURORA};
use crate::support::{Kind, Org, TestGateway, on_both_engines, recorded_account, recording};

const NEW_SECRET: &str = "00000000000000000000000000000042";

/// Auth tokens of Twilio's.
const TOKENS: [&str; 2] = ["ffffffffffffffffffffffffffffffff", "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"];

async fn account(gateway: &TestGateway, org: &Org, provider: &str) -> String {
    let accounts = gateway.get(org, "/api/v1/accounts").await.expect(200);
    let found =
        accounts["items"].as_array().unwrap().iter().find(|a| a["provider"] == provider).unwrap();
    format!("/api/v1/accounts/{}", found["id"].as_str().unwrap())
}

/// Rotates, and says until when what was before is valid.
async fn rotate(gateway: &TestGateway, org: &Org, path: &str, hours: i64, new: Value) -> Value {
    let rotation = json!({ "credentials": new, "previous_valid_hours": hours });
    let rotated = gateway.post(org, &format!("{path}/rotate"), rotation).await.expect(200);
    rotated["previous_expires_at"].clone()
}

/// A webhook of Twilio's that is signed with this token.
fn signed_by(gateway: &TestGateway, token: &str) -> Request<Bytes> {
    let mut recorded = recording(&twilio_provider::PROVIDER, "sms-unicode");
    token.clone_into(&mut recorded.account.signing_secret);
    recorded.signed("https://gateway.example.com/hooks/twilio", gateway.clock.now()).unwrap()
}

#[tokio::test]
async fn without_a_public_url_the_proxys_word_counts_if_the_proxy_is_ours() {
    let settings = ["server.public_url=", "server.trusted_proxies=[\"10.0.0.0/8\"]"];
    let gateway = TestGateway::start(Kind::Sqlite, &settings).await;
    let aurora = gateway.organization("Aurora").await;
    let recorded = recorded_account(&meta_provider::PROVIDER, "aurora");
    let id = gateway.connect_only(&aurora, &meta_provider::PROVIDER, &recorded).await;
    let ask = |peer: &'static str, told: &[(&str, &str)]| {
        let mut request = http::Request::builder()
            .uri(format!("/api/v1/accounts/{id}"))
            .header("host", "gateway.internal:8080")
            .header("x-forwarded-host", "hooks.example.com")
            .header("authorization", format!("Bearer {}", aurora.key))
            .header("x-org-id", aurora.id.to_string());
        for (name, value) in told {
            request = request.header(*name, *value);
        }
        gateway.send_from(request.body(bytes::Bytes::new()).unwrap(), Some(peer))
    };
    let https = [("x-forwarded-proto", "https")];
    let shown = ask("10.1.2.3:4711", &https).await.expect(200);
    assert_eq!(shown["webhook_url"], format!("https://hooks.example.com/hooks/meta/{id}"));
    assert_eq!(shown["shared_webhook_url"], "https://hooks.example.com/hooks/meta");
    let shown = ask("192.0.2.1:4711", &https).await.expect(200);
    assert_eq!(shown["shared_webhook_url"], "http://gateway.internal:8080/hooks/meta");
    for (scheme, port, base) in [
        ("https", "443", "https://hooks.example.com"),
        ("https", "8443", "https://hooks.example.com:8443"),
        ("http", "80", "http://hooks.example.com"),
        // The other scheme's port is one between our own proxies.
        ("https", "80", "https://hooks.example.com"),
        ("http", "443", "http://hooks.example.com"),
    ] {
        let told = [("x-forwarded-proto", scheme), ("x-forwarded-port", port)];
        let shown = ask("10.1.2.3:4711", &told).await.expect(200);
        assert_eq!(shown["shared_webhook_url"], format!("{base}/hooks/meta"), "{told:?}");
    }
    gateway.end().await;
}

fn signed_with(secret: &str, id: &str) -> http::Request<bytes::Bytes> {
    let change = meta::change(AURORA, &[meta::text(id, "5511987654321", id)], &[]);
    meta::signed_with(
        secret,
        "/hooks/meta",
        serde_json::to_vec(&meta::notification(&[change])).unwrap(),
    )
}

on_both_engines! {
    credentials_never_come_back(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let mut shown = String::new();
        for path in ["accounts", "routes", "audit-log", "events", "providers", "webhook-inbox"] {
            shown.push_str(&gateway.get(&aurora, &format!("/api/v1/{path}")).await.text());
        }
        let path = account(&gateway, &aurora, "twilio").await;
        shown.push_str(&gateway.get(&aurora, &path).await.text());
        let wrong = json!({ "provider": "meta", "name": "x", "settings": { "waba_id": "letters" }, "credentials": { "app_secret": "s3cret-in-error", "verify_token": "v3rify-in-error" } });
        shown.push_str(&gateway.post(&aurora, "/api/v1/accounts", wrong).await.text());
        shown.push_str(format!("{:?}", gateway.gateway).as_str());
        for provider in providers::PROVIDERS {
            for secret in recorded_account(provider, "aurora").secrets.values() {
                assert!(!shown.contains(secret.as_str()), "a credential of {} is shown", provider.name);
            }
        }
        assert!(!shown.contains("s3cret-in-error") && !shown.contains("v3rify-in-error"));
        let account = gateway.get(&aurora, &path).await.expect(200);
        assert_eq!(account["credentials"], json!(["auth_token", "shared_key_id", "shared_key_secret"]), "their names are shown");
    }

    credentials_are_sealed_where_they_are_kept(gateway) {
        gateway.two_organizations().await;
        let secret = recorded_account(&meta_provider::PROVIDER, "aurora").secrets["app_secret"].clone();
        for file in std::fs::read_dir(&gateway.database.folder).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                continue;
            }
            let bytes = std::fs::read(path).unwrap();
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
        }
        let hex = match gateway.database.kind {
            crate::support::Kind::Sqlite => "select group_concat(hex(sealed)) from accounts",
            crate::support::Kind::Postgres => "select string_agg(encode(sealed, 'hex'), ',') from accounts",
        };
        let sealed = gateway.database.text(hex).await.to_lowercase();
        assert!(!sealed.contains(&hex::encode(secret)));
    }

    two_secrets_are_valid_while_a_rotation_lasts(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let old = recorded_account(&meta_provider::PROVIDER, "aurora").secrets["app_secret"].clone();
        let path = account(&gateway, &aurora, "meta").await;
        let rotation = json!({ "credentials": { "app_secret": NEW_SECRET }, "previous_valid_hours": 2 });
        let rotated = gateway.post(&aurora, &format!("{path}/rotate"), rotation).await.expect(200);
        assert_eq!(rotated["previous_expires_at"], "2026-11-01T14:00:00.000000Z");
        gateway.deliver(signed_with(NEW_SECRET, "wamid.new")).await.expect(200);
        gateway.deliver(signed_with(&old, "wamid.old")).await.expect(200);
        gateway.advance(TimeDelta::hours(2) + TimeDelta::seconds(1));
        gateway.gateway.refresh_directory().await.unwrap();
        // Borealis has the same application and still holds the old key. It proves the request, and has no say in aurora's line.
        gateway.deliver(signed_with(&old, "wamid.late")).await.expect(200);
        assert_eq!(gateway.count("webhook_quarantine").await, 1);
        gateway.deliver(signed_with(NEW_SECRET, "wamid.still")).await.expect(200);
        assert_eq!(gateway.communications(&aurora).await.len(), 3);
        let wrong = json!({ "credentials": { "verify_token": "x" } });
        gateway.post(&aurora, &format!("{path}/rotate"), wrong).await.expect(422);
    }

    twilios_primary_and_secondary_token_are_both_valid_during_rotation(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let path = account(&gateway, &aurora, "twilio").await;
        let old = gateway.recorded(&twilio_provider::PROVIDER, "sms-text");
        let token = TOKENS[0];
        gateway.post(&aurora, &format!("{path}/rotate"), json!({ "credentials": { "auth_token": token } })).await.expect(200);
        gateway.deliver(old).await.expect(200);
        gateway.deliver(signed_by(&gateway, token)).await.expect(200);
        assert_eq!(gateway.communications(&aurora).await.len(), 2);
    }

    what_a_rotation_has_ended_does_not_come_back(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        let path = account(&gateway, &aurora, "twilio").await;
        let old = gateway.recorded(&twilio_provider::PROVIDER, "sms-text");
        rotate(&gateway, &aurora, &path, 2, json!({ "auth_token": TOKENS[0] })).await;
        gateway.deliver(old.clone()).await.expect(200);
        gateway.advance(TimeDelta::days(21));
        gateway.gateway.refresh_directory().await.unwrap();
        gateway.deliver(old.clone()).await.expect(401);
        let until = rotate(&gateway, &aurora, &path, 720, json!({ "shared_key_secret": NEW_SECRET })).await;
        assert_eq!(until, "2026-12-22T12:00:00.000000Z");
        gateway.deliver(old.clone()).await.expect(401);
        // Nor where it stays in the row until something else is changed.
        let names = gateway.get(&aurora, &path).await.expect(200)["credentials"].clone();
        assert!(!names.to_string().contains("previous_auth_token"), "{names}");
        // Where nothing was, nothing stays valid.
        let theirs = account(&gateway, &borealis, "twilio").await;
        let key = json!({ "shared_key_id": "webhooks_sharedkey_b", "shared_key_secret": NEW_SECRET });
        assert_eq!(rotate(&gateway, &borealis, &theirs, 2, key).await, Value::Null);
    }

    a_rotation_lets_nothing_live_longer_than_was_said(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let path = account(&gateway, &aurora, "twilio").await;
        let first = gateway.recorded(&twilio_provider::PROVIDER, "sms-text");
        let end = "2026-11-01T14:00:00.000000Z";
        let token = |index: usize| json!({ "auth_token": TOKENS[index] });
        assert_eq!(rotate(&gateway, &aurora, &path, 2, token(0)).await, end);
        gateway.advance(TimeDelta::hours(1));
        // The same call again, and another credential's rotation, with a window or without.
        assert_eq!(rotate(&gateway, &aurora, &path, 2, token(0)).await, end);
        let shared = |secret: &str| json!({ "shared_key_secret": secret });
        assert_eq!(rotate(&gateway, &aurora, &path, 24, shared(NEW_SECRET)).await, end);
        assert_eq!(rotate(&gateway, &aurora, &path, 0, shared(TOKENS[1])).await, end);
        gateway.deliver(first.clone()).await.expect(200);
        // The token once more: the first is gone, and the second has its own time.
        assert_eq!(rotate(&gateway, &aurora, &path, 2, token(1)).await, "2026-11-01T15:00:00.000000Z");
        gateway.deliver(first).await.expect(401);
        gateway.deliver(signed_by(&gateway, TOKENS[0])).await.expect(200);
        gateway.deliver(signed_by(&gateway, TOKENS[1])).await.expect(200);
        // Without a window, at once, also if it is the same again.
        assert_eq!(rotate(&gateway, &aurora, &path, 0, token(1)).await, Value::Null);
        gateway.deliver(signed_by(&gateway, TOKENS[0])).await.expect(401);
        gateway.deliver(signed_by(&gateway, TOKENS[1])).await.expect(200);
    }

    an_account_says_where_the_provider_shall_call(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let path = account(&gateway, &aurora, "meta").await;
        let found = gateway.get(&aurora, &path).await.expect(200);
        let id = found["id"].as_str().unwrap();
        assert_eq!(found["webhook_url"], format!("https://gateway.example.com/hooks/meta/{id}"));
        assert_eq!(found["shared_webhook_url"], "https://gateway.example.com/hooks/meta");
        let change = meta::change(AURORA, &[meta::text("wamid.own", "5511987654321", "x")], &[]);
        let body = serde_json::to_vec(&meta::notification(&[change])).unwrap();
        gateway.deliver(meta::signed(&format!("/hooks/meta/{id}"), body)).await.expect(200);
        assert_eq!(gateway.communications(&aurora).await.len(), 1);
    }

    mistakes_are_named(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let cases: [(Value, &str); 8] = [
            (json!({ "provider": "carrier-pigeon", "name": "x" }), "provider"),
            (json!({ "provider": "meta", "name": "" }), "name"),
            (json!({ "provider": "meta", "name": "x", "settings": { "waba_id": "1" }, "credentials": { "verify_token": "t" } }), "app_secret"),
            (json!({ "provider": "meta", "name": "x", "settings": { "waba_id": "1", "app_secret": "s" } }), "settings.app_secret"),
            (json!({ "provider": "meta", "name": "x", "credentials": { "waba_id": "1" } }), "credentials.waba_id"),
            (json!({ "provider": "twilio", "name": "x", "settings": { "account_sid": "AC1" }, "credentials": { "auth_token": "t" } }), "account_sid"),
            (json!({ "provider": "telnyx", "name": "x", "credentials": { "public_key": "AAAA" } }), "public_key"),
            (json!({ "provider": "meta", "name": "x", "colour": "red" }), "colour"),
        ];
        for (body, field) in cases {
            let problem = gateway.post(&aurora, "/api/v1/accounts", body).await.expect(422);
            assert!(problem["detail"].as_str().unwrap().contains(field), "{field}: {problem}");
        }
        let path = account(&gateway, &aurora, "meta").await;
        let id = path.rsplit('/').next().unwrap();
        let routes: [(Value, u16, &str); 7] = [
            (json!({ "account_id": id, "channel": "voip", "address": "+551140028922" }), 422, "channel"),
            (json!({ "account_id": id, "channel": "whatsapp", "address": "551140028922", "handle": "1" }), 422, "address"),
            (json!({ "account_id": id, "channel": "whatsapp", "address": "+551140020000" }), 422, "handle"),
            (json!({ "account_id": id, "channel": "whatsapp", "address": "+551140020000", "handle": "1", "state": "paused" }), 422, "state"),
            (json!({ "account_id": id, "channel": "whatsapp", "address": "+551140028922", "handle": "2" }), 409, "line"),
            (json!({ "account_id": id, "channel": "whatsapp", "address": "+551140020000", "handle": "1", "state": "active" }), 409, "active"),
            (json!({ "account_id": "0197d0a0-0000-7000-8000-000000000000", "channel": "whatsapp", "address": "+551140020000", "handle": "1" }), 404, "account"),
        ];
        for (body, status, word) in routes {
            let problem = gateway.post(&aurora, "/api/v1/routes", body).await.expect(status);
            assert!(problem["detail"].as_str().unwrap().contains(word), "{word}: {problem}");
        }
    }

    a_retired_or_deleted_route_lets_its_traffic_wait(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let routes = gateway.get(&aurora, "/api/v1/routes").await.expect(200);
        let route = routes["items"].as_array().unwrap().iter().find(|r| r["handle"] == AURORA).unwrap()["id"].clone();
        let path = format!("/api/v1/routes/{}", route.as_str().unwrap());
        for state in ["draining", "standby"] {
            gateway.call(&aurora, Method::PATCH, &path, Some(json!({ "state": state }))).await.expect(200);
            let id = format!("wamid.{state}");
            gateway.meta(&[meta::change(AURORA, &[meta::text(&id, "5511987654321", &id)], &[])]).await.expect(200);
        }
        assert_eq!(gateway.communications(&aurora).await.len(), 2, "both still receive");
        gateway.call(&aurora, Method::PATCH, &path, Some(json!({ "state": "retired" }))).await.expect(200);
        let account = account(&gateway, &aurora, "meta").await;
        let own = format!("/hooks/meta/{}", account.rsplit('/').next().unwrap());
        let change = meta::change(AURORA, &[meta::text("wamid.retired", "5511987654321", "x")], &[]);
        let request = meta::signed(&own, serde_json::to_vec(&meta::notification(&[change])).unwrap());
        gateway.deliver(request).await.expect(200);
        assert_eq!(gateway.communications(&aurora).await.len(), 2);
        assert_eq!(gateway.count("webhook_quarantine").await, 1);
        gateway.call(&aurora, Method::PATCH, &path, Some(json!({ "state": "active" }))).await.expect(200);
        assert_eq!(gateway.communications(&aurora).await.len(), 3, "back at work, the route claims what waited");
        let open = "select count(*) from webhook_quarantine where state = 'open'";
        assert_eq!(gateway.database.scalar(open).await, 0);
        gateway.call(&aurora, Method::DELETE, &path, None).await.expect(204);
        gateway.call(&aurora, Method::DELETE, &path, None).await.expect(404);
    }

    an_account_that_carries_traffic_is_not_deleted_by_mistake(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        let path = account(&gateway, &aurora, "meta").await;
        gateway.call(&borealis, Method::DELETE, &path, None).await.expect(404);
        gateway.call(&aurora, Method::DELETE, &path, None).await.expect(409);
        let routes = gateway.get(&aurora, "/api/v1/routes").await.expect(200);
        let id = path.rsplit('/').next().unwrap();
        for route in routes["items"].as_array().unwrap().iter().filter(|r| r["account_id"] == id) {
            let path = format!("/api/v1/routes/{}", route["id"].as_str().unwrap());
            gateway.call(&aurora, Method::PATCH, &path, Some(json!({ "state": "retired" }))).await.expect(200);
        }
        gateway.call(&aurora, Method::DELETE, &path, None).await.expect(204);
        gateway.get(&aurora, &path).await.expect(404);
        let request = signed_with(&recorded_account(&meta_provider::PROVIDER, "aurora").signing_secret, "wamid.gone");
        // Borealis has the same application: it is genuine, but for a number that nobody has any more.
        gateway.deliver(request).await.expect(200);
        assert_eq!(gateway.count("messages").await, 0);
        assert_eq!(gateway.count("webhook_quarantine").await, 1);
    }

    news_of_a_number_reaches_its_organization_where_two_share_an_account(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        let waba = recorded_account(&meta_provider::PROVIDER, "aurora").settings["waba_id"].clone();
        let path = account(&gateway, &borealis, "meta").await;
        let shared = json!({ "settings": { "waba_id": waba } });
        gateway.call(&borealis, Method::PATCH, &path, Some(shared)).await.expect(200);
        let routes = gateway.get(&borealis, "/api/v1/routes").await.expect(200);
        let route = routes["items"].as_array().unwrap().iter().find(|r| r["channel"] == "whatsapp").unwrap().clone();
        let value = json!({ "display_phone_number": route["address"], "event": "PIN_CHANGED" });
        gateway.meta(&[json!({ "field": "security", "value": value })]).await.expect(200);
        for (org, count) in [(&aurora, 0), (&borealis, 1)] {
            let notices = gateway.get(org, &format!("{}/notices", account(&gateway, org, "meta").await)).await.expect(200);
            assert_eq!(notices["items"].as_array().unwrap().len(), count, "{notices}");
        }
        let value = json!({ "event": "VERIFIED_ACCOUNT" });
        gateway.meta(&[json!({ "field": "account_update", "value": value })]).await.expect(200);
        assert_eq!(gateway.count("webhook_quarantine").await, 1, "nobody can tell whose this is");
    }

    what_the_provider_says_of_an_account_is_a_notice_once(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        let change = json!({ "field": "account_update", "value": { "event": "ACCOUNT_RESTRICTION",
            "restriction_info": [{ "restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": 1_793_600_000 }] } });
        for _ in 0..2 {
            gateway.meta(std::slice::from_ref(&change)).await.expect(200);
        }
        let path = format!("{}/notices", account(&gateway, &aurora, "meta").await);
        let notices = gateway.get(&aurora, &path).await.expect(200);
        assert_eq!(notices["items"].as_array().unwrap().len(), 1);
        assert_eq!(notices["items"][0]["severity"], "critical");
        gateway.get(&borealis, &path).await.expect(404);
        let events = gateway.get(&aurora, "/api/v1/events").await.expect(200);
        assert_eq!(events["items"].as_array().unwrap().iter().filter(|e| e["type"] == "account.notice").count(), 1);
    }
}
