//! Webhooks come in: believed or refused, written once, answered after the commit.

use futures_util::future::join_all;
use providers::{PROVIDERS, meta as meta_provider, telnyx, twilio, waha};
use serde_json::json;

use crate::support::meta::{self, AURORA};
use crate::support::{Kind, TestGateway, on_both_engines};

on_both_engines! {
    a_genuine_webhook_is_on_the_timeline(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        let answer = gateway.meta(&[meta::change(AURORA, &[meta::text("wamid.1", "5511987654321", "Olá!")], &[])]).await;
        answer.expect(200);
        let items = gateway.communications(&aurora).await;
        assert_eq!(items.len(), 1);
        let item = &items[0];
        assert_eq!(item["content"], "Olá!");
        assert_eq!(item["channel"], "whatsapp");
        assert_eq!(item["provider"], "meta");
        assert_eq!(item["direction"], "inbound");
        assert_eq!(item["kind"], "text");
        assert_eq!(item["status"], "received");
        assert_eq!(item["occurred_at"], "2026-11-01T12:00:00.000000Z");
        assert_eq!(item["metadata"]["our_address"], "+551140028922");
        assert_eq!(item["organization_id"], aurora.id.to_string());
        assert!(item["contact_id"].is_string() && item["lead_id"].is_null());
        assert!(gateway.communications(&borealis).await.is_empty());
        for table in ["messages", "webhook_inbox", "contacts", "contact_identities"] {
            assert_eq!(gateway.count(table).await, 1, "{table}");
        }
        assert_eq!(gateway.count("events").await, 2, "message.received and contact.created");
    }

    a_second_delivery_changes_nothing(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        for provider in PROVIDERS {
            for recorded in switchboard::sandbox::webhooks(provider) {
                let url = format!("https://gateway.example.com/hooks/{}", provider.name);
                let request = || recorded.signed(&url, gateway.clock.now()).unwrap();
                let first = gateway.deliver(request()).await;
                let second = gateway.deliver(request()).await;
                assert_eq!(first.status, second.status, "{}", recorded.name);
            }
        }
        let events = gateway.count("events").await;
        let before = (gateway.communications(&aurora).await, gateway.communications(&borealis).await);
        for provider in PROVIDERS {
            for recorded in switchboard::sandbox::webhooks(provider) {
                let url = format!("https://gateway.example.com/hooks/{}", provider.name);
                gateway.deliver(recorded.signed(&url, gateway.clock.now()).unwrap()).await;
            }
        }
        let after = (gateway.communications(&aurora).await, gateway.communications(&borealis).await);
        assert_eq!(before, after);
        assert_eq!(gateway.count("events").await, events, "a redelivery is no news");
        assert!(before.0.len() > 100 && before.1.len() > 40);
    }

    sixty_four_copies_at_once_give_one_row(gateway) {
        gateway.two_organizations().await;
        let change = meta::change(AURORA, &[meta::text("wamid.64", "5511987654321", "once")], &[]);
        let body = serde_json::to_vec(&meta::notification(&[change])).unwrap();
        let copies = (0..64).map(|_| gateway.deliver(meta::signed("/hooks/meta", body.clone())));
        let answers = join_all(copies).await;
        assert!(answers.iter().all(|answer| answer.status == 200));
        assert_eq!(gateway.count("messages").await, 1);
        assert_eq!(gateway.count("webhook_inbox").await, 64, "each request is kept");
        assert_eq!(gateway.count("contacts").await, 1);
        assert_eq!(gateway.count("events").await, 2);
    }

    a_message_repeated_inside_one_post_gives_one_row(gateway) {
        gateway.two_organizations().await;
        let message = meta::text("wamid.twice", "5511987654321", "once");
        let change = meta::change(AURORA, &[message.clone(), message], &[]);
        gateway.meta(&[change.clone(), change]).await.expect(200);
        assert_eq!(gateway.count("messages").await, 1);
    }

    a_forged_webhook_stores_nothing(gateway) {
        gateway.two_organizations().await;
        for provider in PROVIDERS {
            for recorded in switchboard::sandbox::webhooks(provider).iter().filter(|r| !r.is_challenge()).step_by(7) {
                let url = format!("https://gateway.example.com/hooks/{}", provider.name);
                let mut request = recorded.signed(&url, gateway.clock.now()).unwrap();
                for name in ["x-hub-signature-256", "x-twilio-signature", "telnyx-signature-ed25519", "x-webhook-hmac", "authorization"] {
                    if let Some(value) = request.headers().get(name) {
                        let mut bytes = value.as_bytes().to_vec();
                        let last = bytes.len() - 5;
                        bytes[last] = if bytes[last] == b'a' { b'b' } else { b'a' };
                        let value = http::HeaderValue::from_bytes(&bytes).unwrap();
                        request.headers_mut().insert(name, value);
                    }
                }
                let answer = gateway.deliver(request).await;
                assert_eq!(answer.status, 401, "{}", recorded.name);
                assert_eq!(answer.json()["error_code"], "unauthorized");
            }
        }
        assert_eq!(gateway.count("webhook_inbox").await, 0);
        assert_eq!(gateway.count("messages").await, 0);
        assert_eq!(gateway.count("webhook_quarantine").await, 0);
    }

    the_signature_of_another_account_is_refused(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        let accounts = gateway.get(&borealis, "/api/v1/accounts").await.expect(200);
        let twilio_account = accounts["items"].as_array().unwrap().iter().find(|a| a["provider"] == "twilio").unwrap();
        let path = format!("/hooks/twilio/{}", twilio_account["id"].as_str().unwrap());
        // aurora's own, genuine webhook at borealis' URL.
        let url = format!("https://gateway.example.com{path}");
        let recorded = crate::support::recording(&twilio::PROVIDER, "sms-text");
        let request = recorded.signed(&url, gateway.clock.now()).unwrap();
        gateway.deliver(request).await.expect(401);
        assert!(gateway.communications(&aurora).await.is_empty());
        assert_eq!(gateway.count("webhook_inbox").await, 0);
    }

    a_sub_account_signs_with_its_own_token(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let mut recorded = crate::support::recording(&twilio::PROVIDER, "sms-sub-account");
        let parents = recorded.account.signing_secret.clone();
        "5b4a39281706f5e4d3c2b1a09f8e7d6c".clone_into(&mut recorded.account.signing_secret);
        let body = json!({ "provider": "twilio", "name": "Sub-account",
            "settings": { "account_sid": "ACc7d2e4f6a8b0415263748596a7b8c9d0" },
            "credentials": { "auth_token": recorded.account.signing_secret } });
        let account = gateway.post(&aurora, "/api/v1/accounts", body).await.expect(201);
        let route = json!({ "account_id": account["id"], "channel": "sms", "address": "+14155550110", "state": "standby" });
        gateway.post(&aurora, "/api/v1/routes", route).await.expect(201);
        let shared = "https://gateway.example.com/hooks/twilio";
        gateway.deliver(recorded.signed(shared, gateway.clock.now()).unwrap()).await.expect(200);
        assert_eq!(gateway.communications(&aurora).await.len(), 1);
        let own = format!("{shared}/{}", account["id"].as_str().unwrap());
        gateway.deliver(recorded.signed(&own, gateway.clock.now()).unwrap()).await.expect(200);
        recorded.account.signing_secret = parents;
        gateway.deliver(recorded.signed(&own, gateway.clock.now()).unwrap()).await.expect(401);
        assert_eq!(gateway.communications(&aurora).await.len(), 1, "it came twice, and once forged");
    }

    a_bridge_session_finds_its_organization(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        for name in ["message-any-text", "message-text", "message-to-borealis", "unknown-number-message"] {
            gateway.deliver_recorded(&waha::PROVIDER, name).await.expect(200);
        }
        let ours = gateway.communications(&aurora).await;
        assert_eq!(ours.len(), 1, "two subscriptions bring one message once");
        assert_eq!((&ours[0]["provider"], &ours[0]["channel"]), (&"waha".into(), &"whatsapp".into()));
        assert_eq!(ours[0]["metadata"]["our_address"], "+5511955510001");
        let theirs = gateway.communications(&borealis).await;
        assert_eq!(theirs.len(), 1);
        assert_eq!(theirs[0]["metadata"]["our_address"], "+5491155510002");
    }

    a_telnyx_webhook_replayed_too_late_is_refused(gateway) {
        gateway.two_organizations().await;
        let request = gateway.recorded(&telnyx::PROVIDER, "sms-received");
        gateway.advance(chrono::TimeDelta::seconds(300));
        gateway.deliver(request.clone()).await.expect(200);
        gateway.advance(chrono::TimeDelta::seconds(1));
        gateway.deliver(request).await.expect(401);
    }

    what_a_provider_is_answered_makes_it_do_nothing(gateway) {
        gateway.two_organizations().await;
        let answer = gateway.deliver_recorded(&twilio::PROVIDER, "sms-text").await;
        answer.expect(200);
        assert_eq!(answer.headers["content-type"], "text/xml; charset=utf-8");
        assert_eq!(answer.text(), "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>");
        let answer = gateway.deliver_recorded(&telnyx::PROVIDER, "sms-received").await;
        answer.expect(200);
        assert!(answer.body.is_empty() && !answer.headers.contains_key("content-type"));
    }

    the_subscription_check_is_answered_with_its_challenge_and_nothing_else(gateway) {
        gateway.two_organizations().await;
        let ask = |query: &str| {
            let uri = format!("/hooks/meta?{query}");
            http::Request::builder().uri(uri).header("host", "gateway.example.com").body(bytes::Bytes::new()).unwrap()
        };
        let good = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=aurora-verify-token-7d1f";
        let answer = gateway.deliver(ask(good)).await;
        answer.expect(200);
        assert_eq!(answer.text(), "1158201444");
        gateway.deliver(ask(&good.replace("7d1f", "7d1e"))).await.expect(403);
        gateway.deliver(ask(&good.replace("subscribe", "unsubscribe"))).await.expect(403);
        gateway.deliver(ask(&good.replace("1158201444", "%3Cscript%3E"))).await.expect(403);
        // The same under the name of the CRM's specification.
        let mut request = ask(good);
        *request.uri_mut() = format!("/api/v1/crm/communications/whatsapp/webhook?{good}").parse().unwrap();
        assert_eq!(gateway.deliver(request).await.text(), "1158201444");
        assert_eq!(gateway.count("webhook_inbox").await, 0);
    }

    the_webhook_of_the_crm_specification_is_metas(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let change = meta::change(AURORA, &[meta::text("wamid.crm", "5511987654321", "Oi")], &[]);
        let body = serde_json::to_vec(&meta::notification(&[change])).unwrap();
        let request = meta::signed("/api/v1/crm/communications/whatsapp/webhook", body);
        gateway.deliver(request).await.expect(200);
        assert_eq!(gateway.communications(&aurora).await.len(), 1);
    }

    an_unknown_account_or_provider_is_not_found(gateway) {
        gateway.two_organizations().await;
        for path in ["/hooks/meta/0197d0a0-0000-7000-8000-000000000000", "/hooks/meta/x", "/hooks/nobody"] {
            let request = meta::signed(path, "{}");
            gateway.deliver(request).await.expect(404);
        }
    }

    twilios_signature_holds_behind_proxies_and_for_json(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        // The proxy's host is not what Twilio called: only the configured public URL counts.
        let mut request = gateway.recorded(&twilio::PROVIDER, "sms-text");
        let path = request.uri().path_and_query().unwrap().clone();
        *request.uri_mut() = path.as_str().parse().unwrap();
        request.headers_mut().insert("host", "10.0.0.7:8080".parse().unwrap());
        request.headers_mut().insert("x-forwarded-host", "evil.example.com".parse().unwrap());
        gateway.deliver(request).await.expect(200);
        assert_eq!(gateway.communications(&aurora).await.len(), 1);
        // A JSON body is signed through the digest of it that stands in the URL.
        let json = gateway.recorded(&twilio::PROVIDER, "call-completed");
        assert!(json.uri().query().unwrap().contains("bodySHA256="));
        let mut forged = json.clone();
        *forged.body_mut() = String::from_utf8_lossy(json.body()).replace("completed", "busy").into();
        assert_ne!(forged.body(), json.body());
        gateway.deliver(json).await.expect(200);
        gateway.deliver(forged).await.expect(401);
        assert_eq!(gateway.communications(&borealis).await.len(), 1);
    }
}

#[tokio::test]
async fn every_recorded_webhook_is_answered_200() {
    let gateway = TestGateway::start(Kind::Sqlite, &[]).await;
    let (aurora, borealis) = gateway.two_organizations().await;
    let mut own = std::collections::HashMap::new();
    for org in [&aurora, &borealis] {
        for account in
            gateway.get(org, "/api/v1/accounts").await.expect(200)["items"].as_array().unwrap()
        {
            let url = account["webhook_url"].as_str().unwrap().to_owned();
            own.insert((account["provider"].as_str().unwrap().to_owned(), org.id), url);
        }
    }
    for provider in PROVIDERS {
        for recorded in
            switchboard::sandbox::webhooks(provider).iter().filter(|r| !r.is_challenge())
        {
            let org = if recorded.account.organization == "aurora" { &aurora } else { &borealis };
            let url = &own[&(provider.name.to_owned(), org.id)];
            let request = recorded.signed(url, gateway.clock.now()).unwrap();
            let answer = gateway.deliver(request).await;
            assert_eq!(
                answer.status,
                200,
                "{}/{}: {}",
                provider.name,
                recorded.name,
                answer.text()
            );
        }
    }
    let challenge = crate::support::recording(&meta_provider::PROVIDER, "challenge-subscribe");
    let request =
        challenge.signed("https://gateway.example.com/hooks/meta", gateway.clock.now()).unwrap();
    gateway.deliver(request).await.expect(200);
    gateway.end().await;
}
