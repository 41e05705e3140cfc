//! What proves a webhook, and which URL it is proven for.

use bytes::Bytes;
use chrono::TimeDelta;
use http::{HeaderValue, Method, Request};
use providers::{Secret, twilio};
use serde_json::{Value, json};

use crate::support::{
    Kind, Org, PUBLIC_URL, TestGateway, on_both_engines, recorded_account, recording,
};

const SETTINGS: &str = "x-twilio-webhooks-signature-settings";

/// A recorded webhook of Twilio's under these settings, signed with a secret for a URL.
fn signed(
    gateway: &TestGateway,
    name: &str,
    url: &str,
    settings: &str,
    secret: &str,
) -> Request<Bytes> {
    let mut request = recording(&twilio::PROVIDER, name).signed(url, gateway.clock.now()).unwrap();
    request.headers_mut().insert(SETTINGS, HeaderValue::from_str(settings).unwrap());
    (twilio::PROVIDER.sign)(&Secret::from(secret), gateway.clock.now(), request)
}

fn shared_url() -> String {
    format!("{PUBLIC_URL}/hooks/twilio")
}

/// aurora's shared key: its id and its secret.
fn key() -> (String, String) {
    let secrets = recorded_account(&twilio::PROVIDER, "aurora").secrets;
    (secrets["shared_key_id"].clone(), secrets["shared_key_secret"].clone())
}

async fn twilio_account(gateway: &TestGateway, org: &Org) -> Value {
    let accounts = gateway.get(org, "/api/v1/accounts").await.expect(200);
    let all = accounts["items"].as_array().unwrap();
    all.iter().find(|account| account["provider"] == "twilio").unwrap().clone()
}

on_both_engines! {
    a_shared_key_proves_what_names_it_and_nothing_else_does(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let (id, secret) = key();
        let token = recorded_account(&twilio::PROVIDER, "aurora").signing_secret;
        let sha256 = format!("key={id},algorithm=HMAC_SHA256");
        let deliver = async |name, settings: &str, secret: &str| {
            gateway.deliver(signed(&gateway, name, &shared_url(), settings, secret)).await
        };
        for settings in [
            "key=webhooks_sharedkey_other,algorithm=HMAC_SHA256".to_owned(),
            format!("key={id},algorithm=HMAC_MD5"),
            "algorithm=HMAC_SHA256".to_owned(),
        ] {
            deliver("sms-text", &settings, &secret).await.expect(401);
        }
        deliver("sms-text", &sha256, &token).await.expect(401);
        let mut unnamed = signed(&gateway, "sms-text", &shared_url(), &sha256, &secret);
        unnamed.headers_mut().remove(SETTINGS);
        gateway.deliver(unnamed).await.expect(401);
        assert_eq!(gateway.count("webhook_inbox").await, 0);
        deliver("sms-text", &sha256, &secret).await.expect(200);
        deliver("sms-unicode", &format!("key={id}"), &secret).await.expect(200);
        let own = twilio_account(&gateway, &aurora).await["webhook_url"].as_str().unwrap().to_owned();
        gateway.deliver(signed(&gateway, "whatsapp-text", &own, &sha256, &secret)).await.expect(200);
        // Without the header it is the auth token, as ever.
        gateway.deliver_recorded(&twilio::PROVIDER, "call-completed").await.expect(200);
        assert_eq!(gateway.communications(&aurora).await.len(), 3);
        assert_eq!(gateway.count("webhook_quarantine").await, 0);
    }

    a_shared_key_speaks_for_its_own_account_only(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        let (id, _) = key();
        let theirs = "ffffffffffffffffffffffffffffffff";
        let path = twilio_account(&gateway, &borealis).await["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/accounts/{path}");
        // Somebody who knows the id of another's shared key and has given it a secret of their own.
        let change = json!({ "credentials": { "shared_key_id": id, "shared_key_secret": theirs } });
        gateway.call(&borealis, Method::PATCH, &path, Some(change)).await.expect(200);
        let settings = format!("key={id},algorithm=HMAC_SHA256");
        // It names aurora, whose key does not fit, and is proven by theirs: then it is theirs, and aurora's number is not.
        gateway.deliver(signed(&gateway, "sms-text", &shared_url(), &settings, theirs)).await.expect(200);
        // Under their own URL it is the same.
        let url = format!("{PUBLIC_URL}/hooks/twilio/{}", path.rsplit('/').next().unwrap());
        gateway.deliver(signed(&gateway, "sms-text", &url, &settings, theirs)).await.expect(200);
        assert!(gateway.communications(&aurora).await.is_empty());
        assert!(gateway.communications(&borealis).await.is_empty());
        assert_eq!(gateway.count("webhook_quarantine").await, 2);
    }

    a_shared_key_rotates_with_its_id(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let (id, secret) = key();
        let path = twilio_account(&gateway, &aurora).await["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/accounts/{path}");
        let new = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";
        let rotation = json!({ "previous_valid_hours": 2, "credentials": {
            "shared_key_id": "webhooks_sharedkey_new", "shared_key_secret": new } });
        let rotated = gateway.post(&aurora, &format!("{path}/rotate"), rotation).await.expect(200);
        assert!(!rotated.to_string().contains(new), "{rotated}");
        let old = format!("key={id},algorithm=HMAC_SHA256");
        let now = "key=webhooks_sharedkey_new,algorithm=HMAC_SHA256";
        let deliver = async |name, settings: &str, secret: &str| {
            gateway.deliver(signed(&gateway, name, &shared_url(), settings, secret)).await
        };
        deliver("sms-text", &old, &secret).await.expect(200);
        deliver("sms-unicode", now, new).await.expect(200);
        deliver("sms-text", now, &secret).await.expect(401);
        gateway.advance(TimeDelta::hours(3));
        gateway.gateway.refresh_directory().await.unwrap();
        deliver("whatsapp-text", &old, &secret).await.expect(401);
        deliver("whatsapp-text", now, new).await.expect(200);
        assert_eq!(gateway.communications(&aurora).await.len(), 3);
        // Half of a key is none; both halves may be taken away.
        let half = json!({ "credentials": { "shared_key_secret": "" } });
        let problem = gateway.call(&aurora, Method::PATCH, &path, Some(half)).await.expect(422);
        assert!(problem["detail"].as_str().unwrap().contains("shared_key_secret"), "{problem}");
        let none = json!({ "credentials": { "shared_key_secret": "", "shared_key_id": "" } });
        gateway.call(&aurora, Method::PATCH, &path, Some(none)).await.expect(200);
        deliver("sms-stop", now, new).await.expect(401);
    }

    the_halves_of_a_shared_key_are_never_mixed(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let (id, secret) = key();
        let path = twilio_account(&gateway, &aurora).await["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/accounts/{path}");
        let second = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";
        let rotate = async |credentials: Value| {
            let rotation = json!({ "credentials": credentials });
            gateway.post(&aurora, &format!("{path}/rotate"), rotation).await.expect(200)
        };
        let (old, new) = (format!("key={id}"), "key=webhooks_sharedkey_new".to_owned());
        let verdicts = async || {
            let mut verdicts = Vec::new();
            for (settings, secret) in [(&old, &*secret), (&old, second), (&new, &*secret), (&new, second)] {
                let webhook = signed(&gateway, "sms-text", &shared_url(), settings, secret);
                verdicts.push(gateway.deliver(webhook).await.status.as_u16());
            }
            verdicts
        };
        rotate(json!({ "shared_key_secret": second })).await;
        assert_eq!(verdicts().await, [200, 200, 401, 401]);
        let rotated = rotate(json!({ "shared_key_id": "webhooks_sharedkey_new" })).await;
        assert_eq!(verdicts().await, [401, 200, 401, 200]);
        let names = rotated["credentials"].to_string();
        assert!(names.contains("previous_shared_key_id") && names.contains("previous_shared_key_secret"), "{names}");
        // A change of one half ends the validity of both old ones.
        let change = json!({ "credentials": { "shared_key_secret": secret } });
        gateway.call(&aurora, Method::PATCH, &path, Some(change)).await.expect(200);
        assert_eq!(verdicts().await, [401, 401, 200, 401]);
    }

    a_slash_too_many_leads_nowhere_else(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let own = twilio_account(&gateway, &aurora).await["id"].as_str().unwrap().to_owned();
        let paths = [
            ("/hooks/twilio/".to_owned(), "sms-text"),
            ("//hooks//twilio".to_owned(), "sms-unicode"),
            (format!("/hooks/twilio/{own}/"), "whatsapp-text"),
            (format!("/hooks/twilio//{own}"), "whatsapp-image"),
        ];
        for (path, name) in &paths {
            let url = format!("{PUBLIC_URL}{path}");
            let request = recording(&twilio::PROVIDER, name).signed(&url, gateway.clock.now()).unwrap();
            // What is proven is the URL as it was called.
            let mut elsewhere = request.clone();
            *elsewhere.uri_mut() = shared_url().parse().unwrap();
            gateway.deliver(elsewhere).await.expect(401);
            gateway.deliver(request).await.expect(200);
        }
        assert_eq!(gateway.communications(&aurora).await.len(), paths.len());
        let body = serde_json::to_vec(&json!({ "object": "page" })).unwrap();
        for path in ["/hooks/meta//", "/api/v1/crm/communications/whatsapp/webhook/", "//api/v1//crm/communications/whatsapp/webhook"] {
            gateway.deliver(crate::support::meta::signed(path, body.clone())).await.expect(200);
        }
        for path in ["/hooks/", "/hooks/nobody/", "/hooks/twilio/x/", "/hooks/twilio/x/y"] {
            gateway.deliver(crate::support::meta::signed(path, "{}")).await.expect(404);
        }
    }

    a_method_that_is_not_used_is_told_which_are(gateway) {
        gateway.two_organizations().await;
        for (provider, allowed) in [
            ("meta", "GET, POST"), ("twilio", "GET, POST"), ("telnyx", "GET, POST"), ("waha", "POST"),
            ("evolution", "POST"),
        ] {
            for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::HEAD] {
                let request = Request::builder().method(method).uri(format!("{PUBLIC_URL}/hooks/{provider}"));
                let answer = gateway.send(request.body(Bytes::new()).unwrap()).await;
                assert_eq!(answer.status, 405, "{provider}");
                assert_eq!(answer.headers["allow"], allowed, "{provider}");
            }
        }
        let request = Request::get(format!("{PUBLIC_URL}/hooks/waha")).body(Bytes::new()).unwrap();
        assert_eq!(gateway.send(request).await.headers["allow"], "POST");
        assert_eq!(gateway.count("webhook_inbox").await, 0);
    }
}

/// Delivers a recorded webhook of Twilio's that was signed for `url` and comes through a proxy at `peer`, which says `told`.
async fn through(
    gateway: &TestGateway,
    (name, url): (&str, &str),
    peer: &str,
    told: &[(&'static str, &str)],
) -> u16 {
    let mut request = recording(&twilio::PROVIDER, name).signed(url, gateway.clock.now()).unwrap();
    *request.uri_mut() = "/hooks/twilio".parse().unwrap();
    request.headers_mut().insert("host", HeaderValue::from_static("gateway.internal:8080"));
    for (name, value) in told {
        request.headers_mut().append(*name, HeaderValue::from_str(value).unwrap());
    }
    gateway.send_from(request, Some(peer)).await.status.as_u16()
}

#[tokio::test]
async fn what_our_proxies_say_was_called_is_what_was_signed() {
    let settings = ["server.public_url=", "server.trusted_proxies=[\"10.0.0.0/8\"]"];
    let gateway = TestGateway::start(Kind::Sqlite, &settings).await;
    gateway.two_organizations().await;
    let plain = "https://gw.example.com/hooks/twilio";
    let prefixed = "https://gw.example.com/sb/hooks/twilio";
    let forwarded = "for=192.0.2.60;proto=https;host=gw.example.com";
    let https = ("x-forwarded-proto", "https");
    let host = ("x-forwarded-host", "gw.example.com");
    let cases: [(&str, Vec<(&'static str, &str)>); 6] = [
        (plain, vec![("forwarded", forwarded)]),
        (prefixed, vec![("forwarded", forwarded), ("x-forwarded-prefix", "/sb/")]),
        (prefixed, vec![https, host, ("x-forwarded-prefix", "/sb")]),
        ("https://gateway.internal:9443/hooks/twilio", vec![https, ("x-forwarded-port", "9443")]),
        (
            "https://gw.example.com:8443/hooks/twilio",
            vec![https, host, ("x-forwarded-port", "8443")],
        ),
        (plain, vec![host, ("x-forwarded-port", "443")]),
    ];
    for (url, told) in &cases {
        let webhook = ("sms-text", *url);
        let from = async |peer| through(&gateway, webhook, peer, told).await;
        assert_eq!(from("192.0.2.1:4711").await, 401, "{url}: {told:?}");
        assert_eq!(from("10.1.2.3:4711").await, 200, "{url}: {told:?}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn a_public_url_is_the_same_in_any_letters() {
    for (given, called) in [
        ("HTTPS://GW.Example.com/", "https://gw.example.com"),
        ("https://bücher.example/sb", "https://xn--bcher-kva.example/sb"),
    ] {
        let setting = format!("server.public_url={given}");
        let gateway = TestGateway::start(Kind::Sqlite, &[&setting]).await;
        let (aurora, _) = gateway.two_organizations().await;
        assert_eq!(
            twilio_account(&gateway, &aurora).await["shared_webhook_url"],
            format!("{called}/hooks/twilio")
        );
        let url = format!("{called}/hooks/twilio");
        let mut request =
            recording(&twilio::PROVIDER, "sms-text").signed(&url, gateway.clock.now()).unwrap();
        *request.uri_mut() = "/hooks/twilio".parse().unwrap();
        gateway.send(request).await.expect(200);
        gateway.end().await;
    }
}
