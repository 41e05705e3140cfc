//! What a signature does not cover changes nothing: fields cut up anew, tokens that nobody signed, the query of a GET. And
//! credentials that come with a webhook are not kept.

use bytes::Bytes;
use http::{HeaderValue, Request};
use providers::{evolution, telnyx, twilio, waha};
use serde_json::json;

use crate::support::{Kind, PUBLIC_URL, TestGateway, on_both_engines, recorded_account, recording};

/// A recorded form with another body under the signature of the first.
fn mutated(request: &Request<Bytes>, change: impl Fn(&str) -> String) -> Request<Bytes> {
    let text = String::from_utf8(request.body().to_vec()).unwrap();
    request.clone().map(|_| change(&text).into())
}

on_both_engines! {
    a_form_that_was_cut_up_anew_is_refused(gateway) {
        gateway.two_organizations().await;
        let genuine = gateway.recorded(&twilio::PROVIDER, "sms-text");
        let text = String::from_utf8(genuine.body().to_vec()).unwrap();
        for (place, _) in text.match_indices('=') {
            let without = |text: &str| format!("{}{}", &text[..place], &text[place + 1..]);
            gateway.deliver(mutated(&genuine, without)).await.expect(401);
        }
        for more in ["&", "&&", "&a", "&%00=", "&=", "&+="] {
            gateway.deliver(mutated(&genuine, |text| format!("{text}{more}"))).await.expect(401);
            gateway.deliver(mutated(&genuine, |text| format!("{more}{text}"))).await.expect(401);
        }
        assert_eq!(gateway.count("webhook_inbox").await, 0);
        gateway.deliver(genuine).await.expect(200);
        assert_eq!(gateway.count("messages").await, 1);
    }

    names_that_nobody_knows_are_genuine(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let request = gateway.recorded(&twilio::PROVIDER, "sms-text");
        let longer = mutated(&request, |text| format!("{text}&New.Name-of_2027=1&customer=Jos%C3%A9"));
        let secret = recorded_account(&twilio::PROVIDER, "aurora").signing_secret;
        let signed = (twilio::PROVIDER.sign)(&secret.as_str().into(), gateway.clock.now(), longer);
        gateway.deliver(signed).await.expect(200);
        assert_eq!(gateway.communications(&aurora).await.len(), 1);
        assert_eq!(gateway.count("webhook_quarantine").await, 0);
    }

    a_token_that_nobody_signed_makes_no_news(gateway) {
        gateway.two_organizations().await;
        let request = gateway.recorded(&twilio::PROVIDER, "call-inbound-04-menu");
        gateway.deliver(request.clone()).await.expect(200);
        let events = gateway.count("call_events").await;
        assert!(events > 0);
        for token in ["1", "2", "3"] {
            let mut again = request.clone();
            again.headers_mut().insert("i-twilio-idempotency-token", HeaderValue::from_static(token));
            gateway.deliver(again).await.expect(200);
        }
        // In another order, and written in another way.
        let turned = mutated(&request, |text| text.split('&').rev().collect::<Vec<_>>().join("&"));
        gateway.deliver(turned).await.expect(200);
        gateway.deliver(mutated(&request, |text| text.replace('C', "%43"))).await.expect(200);
        assert_eq!(gateway.count("call_events").await, events);
    }

    a_query_that_nobody_signed_says_nothing(gateway) {
        let borealis = gateway.organization_in("Borealis", Some("AR")).await;
        let mut account = recorded_account(&telnyx::PROVIDER, "borealis");
        account.settings.remove("texml_by_get");
        let id = gateway.connect_only(&borealis, &telnyx::PROVIDER, &account).await;
        let url = format!("{PUBLIC_URL}/hooks/telnyx/{id}");
        let recorded = recording(&telnyx::PROVIDER, "texml-incoming-fetch-by-get");
        for url in [&url, &format!("{PUBLIC_URL}/hooks/telnyx")] {
            let request = recorded.signed(url, gateway.clock.now()).unwrap();
            let refused = gateway.deliver(request).await.expect(401);
            assert!(refused["detail"].as_str().unwrap().contains("texml_by_get"), "{refused}");
        }
        assert_eq!(gateway.count("webhook_inbox").await, 0);
        let path = format!("/api/v1/accounts/{id}");
        let wrong = json!({ "settings": { "texml_by_get": "yes" } });
        gateway.call(&borealis, http::Method::PATCH, &path, Some(wrong)).await.expect(422);
        let asked = json!({ "settings": { "texml_by_get": "true" } });
        gateway.call(&borealis, http::Method::PATCH, &path, Some(asked)).await.expect(200);
        gateway.deliver(recorded.signed(&url, gateway.clock.now()).unwrap()).await.expect(200);
        assert_eq!(gateway.count("webhook_inbox").await, 1);
    }
}

#[tokio::test]
async fn a_credential_in_a_broken_webhook_is_not_kept() {
    let gateway = TestGateway::start(Kind::Sqlite, &[]).await;
    let (aurora, _) = gateway.two_organizations().await;
    let secret = "S3CRET-S3CRET";
    for provider in [&evolution::PROVIDER, &waha::PROVIDER] {
        let account = recorded_account(provider, "aurora");
        let body = json!({ "event": "of.another.version", "instance": "aurora-frontdesk", "session": "aurora-reception",
                           "apikey": secret, "data": { "pairingCode": secret, "qr": secret }, "payload": { "qr": secret } });
        for body in [body.to_string(), format!("{body}}}"), format!("\"{body}")] {
            let url = format!("{PUBLIC_URL}/hooks/{}", provider.name);
            let request = Request::post(url).header("content-type", "application/json");
            let request = request.body(Bytes::from(body)).unwrap();
            let signing = account.signing_secret.as_str().into();
            let signed = (provider.sign)(&signing, gateway.clock.now(), request);
            gateway.deliver(signed).await.expect(200);
        }
    }
    assert_eq!(gateway.count("webhook_inbox").await, 6);
    let requests = gateway.get(&aurora, "/api/v1/webhook-inbox/requests").await.expect(200);
    for request in requests["items"].as_array().unwrap() {
        let path = format!("/api/v1/webhook-inbox/requests/{}", request["id"].as_str().unwrap());
        let shown = gateway.get(&aurora, &path).await.expect(200);
        let body = shown["body_base64"].as_str().unwrap();
        let body = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, body).unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("S3CRET"), "{shown}");
    }
    let items = gateway.get(&aurora, "/api/v1/webhook-inbox").await.expect(200);
    for item in items["items"].as_array().unwrap() {
        let path = format!("/api/v1/webhook-inbox/{}", item["id"].as_str().unwrap());
        let shown = gateway.get(&aurora, &path).await.expect(200);
        assert!(!shown.to_string().contains("S3CRET"), "{shown}");
    }
    gateway.end().await;
}
