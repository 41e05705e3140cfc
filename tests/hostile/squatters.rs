//! Accounts of strangers that name somebody else's line on the URL which all accounts share: what is genuine gets through,
//! however many they are and however large it is.

use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use http::Request;
use providers::{Provider, Secret, meta, telnyx, twilio, waha};
use serde_json::json;
use sha2::{Digest, Sha256};
use switchboard::sandbox::RecordedAccount;

use super::figure;
use crate::support::{Org, PUBLIC_URL, TestGateway, on_both_engines, recorded_account, recording};

/// A provider, a recorded webhook of aurora's with a message or call, and the credentials that prove webhooks.
type Case = (&'static Provider, &'static str, &'static [&'static str]);

const META: Case = (&meta::PROVIDER, "text", &["app_secret"]);

const CASES: [Case; 4] = [
    META,
    (&twilio::PROVIDER, "sms-text", &["auth_token"]),
    (&waha::PROVIDER, "message-text", &["webhook_secret"]),
    (&telnyx::PROVIDER, "sms-received", &["public_key"]),
];

/// A key that no other account has.
fn key(provider: &Provider, number: usize) -> String {
    let digest = Sha256::digest(format!("{}/{number}", provider.name));
    match provider.name {
        "telnyx" => BASE64_STANDARD.encode(digest),
        _ => hex::encode(&digest[..16]),
    }
}

/// Connects accounts of one organization that name all that aurora's names, with keys of their own.
async fn squat(gateway: &TestGateway, org: &Org, case: Case, accounts: usize, first: usize) {
    let (provider, _, credentials) = case;
    let (mut made, mut number) = (0, first);
    while made < accounts {
        let mut account = recorded_account(provider, "aurora");
        account.secrets.retain(|name, _| !name.starts_with("shared_key"));
        for name in credentials {
            account.secrets.insert((*name).to_owned(), key(provider, number));
        }
        number += 1;
        // Half of all numbers are no points of the curve, and no public keys.
        made += usize::from(connect(gateway, org, provider, &account).await);
    }
}

async fn connect(
    gateway: &TestGateway,
    org: &Org,
    provider: &Provider,
    account: &RecordedAccount,
) -> bool {
    let body = json!({ "provider": provider.name, "name": "Squatter", "settings": account.settings,
                       "credentials": account.secrets });
    let created = gateway.post(org, "/api/v1/accounts", body).await;
    if created.status == 422 {
        return false;
    }
    let id = created.expect(201)["id"].as_str().unwrap().to_owned();
    for route in &account.routes {
        let body = json!({ "account_id": id, "channel": route.channel, "address": route.address,
                           "handle": route.handle });
        gateway.post(org, "/api/v1/routes", body).await.expect(201);
    }
    true
}

/// A recorded webhook that was made as large as this, and signed as it is then.
fn large(gateway: &TestGateway, case: Case, bytes: usize) -> Request<Bytes> {
    let (provider, name, _) = case;
    let recorded = recording(provider, name);
    let url = format!("{PUBLIC_URL}/hooks/{}", provider.name);
    let request = recorded.signed(&url, gateway.clock.now()).unwrap();
    let more = bytes.saturating_sub(request.body().len());
    let more = match provider.name {
        "twilio" => format!("&Padding={}", "x".repeat(more)),
        _ => " ".repeat(more),
    };
    let mut unsigned = request.map(|body| Bytes::from([&body[..], more.as_bytes()].concat()));
    let proofs: Vec<_> = unsigned.headers().keys().cloned().collect();
    for name in proofs.iter().filter(|name| *name != "content-type") {
        unsigned.headers_mut().remove(name);
    }
    let secret = Secret::from(recorded.account.signing_secret.as_str());
    (provider.sign)(&secret, gateway.clock.now(), unsigned)
}

async fn written(gateway: &TestGateway) -> i64 {
    gateway.count("messages").await + gateway.count("call_logs").await
}

on_both_engines! {
    accounts_of_one_stranger_use_up_their_own_share(gateway) {
        let stranger = gateway.organization("Stranger").await;
        for case in CASES {
            squat(&gateway, &stranger, case, 8, 0).await;
        }
        let aurora = gateway.organization_in("Aurora", Some("BR")).await;
        for (count, case) in (1..).zip(CASES) {
            gateway.connect(&aurora, case.0, "aurora").await;
            for bytes in [0, 1_200_000, 2_900_000] {
                let answer = gateway.deliver(large(&gateway, case, bytes)).await;
                assert_eq!(answer.status, 200, "{} with {bytes} bytes", case.0.name);
            }
            // Three times the same news, to whom they belong.
            assert_eq!(written(&gateway).await, count, "{}", case.0.name);
        }
        assert_eq!(gateway.communications(&stranger).await.len(), 0);
        assert_eq!(gateway.communications(&aurora).await.len(), CASES.len());
    }

    many_strangers_do_not_push_out_whom_they_name(gateway) {
        for number in 0..20 {
            let stranger = gateway.organization(&format!("Stranger {number}")).await;
            squat(&gateway, &stranger, META, 1, number).await;
        }
        let aurora = gateway.organization_in("Aurora", Some("BR")).await;
        gateway.connect(&aurora, META.0, "aurora").await;
        // The provider tries again what was refused, and each time others come first.
        let mut tries = 0;
        while gateway.deliver(large(&gateway, META, 2_900_000)).await.status != 200 {
            tries += 1;
            assert!(tries < 4, "it is pushed out");
        }
        figure(
            format!("20 strangers that name one's line, {:?}", gateway.database.kind),
            format!("a genuine webhook of 2.9 MB was told {tries} times to come again, then stored"),
        );
        // From then on it is known whose key fits.
        for bytes in [0, 1_200_000, 2_900_000] {
            gateway.deliver(large(&gateway, META, bytes)).await.expect(200);
        }
        assert_eq!(gateway.communications(&aurora).await.len(), 1);
    }

    what_only_a_stranger_names_is_tried_with_the_keys_of_others(gateway) {
        let stranger = gateway.organization("Stranger").await;
        squat(&gateway, &stranger, META, 5, 0).await;
        let aurora = gateway.organization_in("Aurora", Some("BR")).await;
        // She has the key, and has not entered this WABA and number of hers yet.
        let mut account = recorded_account(META.0, "aurora");
        account.settings.insert("waba_id".to_owned(), "102290129340399".to_owned());
        account.routes.clear();
        let id = gateway.connect_only(&aurora, META.0, &account).await;
        for bytes in [0, 1_200_000] {
            gateway.deliver(large(&gateway, META, bytes)).await.expect(200);
        }
        assert_eq!(written(&gateway).await, 0);
        // It waits for her.
        let route = &recorded_account(META.0, "aurora").routes[0];
        let body = json!({ "account_id": id, "channel": route.channel, "address": route.address, "handle": route.handle });
        gateway.post(&aurora, "/api/v1/routes", body).await.expect(201);
        assert_eq!(gateway.communications(&aurora).await.len(), 1);
        assert_eq!(gateway.communications(&stranger).await.len(), 0);
    }

    a_forgery_costs_no_more_than_the_bound(gateway) {
        let stranger = gateway.organization("Stranger").await;
        squat(&gateway, &stranger, META, 40, 0).await;
        let forged = large(&gateway, META, 2_900_000).map(|body| {
            let mut body = body.to_vec();
            body[10] ^= 1;
            Bytes::from(body)
        });
        let began = Instant::now();
        gateway.deliver(forged).await.expect(401);
        // Two dozen hashes of 3 MB each: much less than a second, were this an optimized program on a quiet machine.
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        assert_eq!(gateway.count("webhook_inbox").await, 0);
    }
}
