//! Whoever has a line today reads what still waits for it, and nothing that somebody else has received, or may yet.

use bytes::Bytes;
use http::{HeaderValue, Method, Request};
use providers::{Secret, meta as meta_provider, twilio};
use serde_json::{Value, json};
use switchboard::flow::Actor;
use switchboard::flow::replay;
use switchboard::model::OrganizationId;
use switchboard::store::inbox::QuarantineFilter;

use crate::stranded::{
    NOBODYS_NUMBER, OTHER_SECRET, connect, disconnect, forget_keys, replay_newest, route,
    with_secret,
};
use crate::support::meta::{self, AURORA, BOREALIS, NOBODYS};
use crate::support::{Org, PUBLIC_URL, TestGateway, on_both_engines, recorded_account, recording};

const BOREALIS_NUMBER: &str = "+5491150317788";

/// Two organizations that share an application, and one request for both: aurora's unreadable message and borealis' are kept for
/// each, borealis' other message is delivered, and one message is nobody's. Answers their accounts.
async fn one_request_for_both(gateway: &TestGateway) -> ((Org, String), (Org, String)) {
    let aurora = gateway.organization("Aurora").await;
    let borealis = gateway.organization("Borealis").await;
    let of_aurora = connect(gateway, &aurora, "aurora").await;
    let of_borealis = connect(gateway, &borealis, "borealis").await;
    route(gateway, &aurora, &of_aurora, "+551140028922", AURORA).await;
    route(gateway, &borealis, &of_borealis, BOREALIS_NUMBER, BOREALIS).await;
    let unknown = |id: &str| json!({ "was": id, "timestamp": "1793534400", "type": "hologram" });
    let text = |id: &str| meta::text(id, "5511987654321", id);
    gateway
        .meta(&[
            meta::change(AURORA, &[unknown("wamid.ua")], &[]),
            meta::change(BOREALIS, &[text("wamid.b"), unknown("wamid.ub")], &[]),
            meta::change(NOBODYS, &[text("wamid.n")], &[]),
        ])
        .await
        .expect(200);
    assert_eq!(contents(gateway, &borealis).await, ["wamid.b"]);
    ((aurora, of_aurora), (borealis, of_borealis))
}

async fn contents(gateway: &TestGateway, org: &Org) -> Vec<String> {
    let items = gateway.communications(org).await;
    items.iter().map(|item| item["content"].as_str().unwrap().to_owned()).collect()
}

async fn standby(gateway: &TestGateway, org: &Org, account: &str, to: (&str, &str)) -> Value {
    let line = json!({ "account_id": account, "channel": "whatsapp", "address": to.0, "handle": to.1, "state": "standby" });
    gateway.post(org, "/api/v1/routes", line).await.expect(201)["claimed_items"].clone()
}

async fn retire_all(gateway: &TestGateway, org: &Org) {
    let routes = gateway.get(org, "/api/v1/routes").await.expect(200);
    for route in routes["items"].as_array().unwrap() {
        let path = format!("/api/v1/routes/{}", route["id"].as_str().unwrap());
        let retired = json!({ "state": "retired" });
        gateway.call(org, Method::PATCH, &path, Some(retired)).await.expect(200);
    }
}

/// One provider-side account of Twilio's, without shared keys.
fn plain_twilio() -> switchboard::sandbox::RecordedAccount {
    let mut account = recorded_account(&twilio::PROVIDER, "aurora");
    account.secrets.retain(|name, _| name == "auth_token");
    account
}

/// Aurora and borealis hold one account of Twilio's, and its numbers are borealis'. Answers their accounts' paths.
async fn one_twilio_account(gateway: &TestGateway) -> ((Org, String), (Org, String)) {
    let aurora = gateway.organization("Aurora").await;
    let borealis = gateway.organization("Borealis").await;
    let account = plain_twilio();
    let of_aurora = gateway.connect_only(&aurora, &twilio::PROVIDER, &account).await;
    let of_borealis = gateway.connect_only(&borealis, &twilio::PROVIDER, &account).await;
    for route in &account.routes {
        let line = json!({ "account_id": of_borealis, "channel": route.channel, "address": route.address });
        gateway.post(&borealis, "/api/v1/routes", line).await.expect(201);
    }
    let path = |id| format!("/api/v1/accounts/{id}");
    ((aurora, path(of_aurora)), (borealis, path(of_borealis)))
}

/// A text to borealis' number at the shared URL, signed with a secret.
fn text_of_twilio(gateway: &TestGateway, secret: &str, settings: Option<&str>) -> Request<Bytes> {
    let url = format!("{PUBLIC_URL}/hooks/twilio");
    let now = gateway.clock.now();
    let mut request = recording(&twilio::PROVIDER, "sms-text").signed(&url, now).unwrap();
    if let Some(settings) = settings {
        let settings = HeaderValue::from_str(settings).unwrap();
        request.headers_mut().insert("x-twilio-webhooks-signature-settings", settings);
    }
    (twilio::PROVIDER.sign)(&Secret::from(secret), now, request)
}

/// What aurora sees of a text that its key has proven and that names none of its numbers.
async fn sees_nothing(gateway: &TestGateway, org: &Org) {
    assert_eq!(gateway.count("webhook_quarantine").await, 1);
    for path in ["webhook-inbox", "webhook-inbox/requests"] {
        let page = gateway.get(org, &format!("/api/v1/{path}")).await.expect(200);
        assert_eq!(page["items"], json!([]), "{path}");
    }
}

on_both_engines! {
    what_another_organization_received_is_nobodys_to_claim(gateway) {
        let ((aurora, own), (borealis, theirs)) = one_request_for_both(&gateway).await;
        disconnect(&gateway, &borealis, &theirs).await;
        assert_eq!(standby(&gateway, &aurora, &own, (BOREALIS_NUMBER, BOREALIS)).await, 0);
        let range = gateway.post(&aurora, "/api/v1/webhook-inbox/replay", json!({})).await.expect(200);
        let counts = ["stored", "duplicate", "quarantined"].map(|name| range["items"][0][name].as_i64().unwrap());
        assert_eq!(counts, [0, 0, 1], "its own, and it is told of no others");
        assert!(contents(&gateway, &aurora).await.is_empty());
        // What is nobody's yet is read out of the same request, alone.
        assert_eq!(standby(&gateway, &aurora, &own, (NOBODYS_NUMBER, NOBODYS)).await, 1);
        assert_eq!(contents(&gateway, &aurora).await, ["wamid.n"]);
        assert_eq!(contents(&gateway, &borealis).await, ["wamid.b"], "its history stays");
    }

    what_another_organization_received_stays_theirs_when_the_operator_replays(gateway) {
        let ((aurora, own), (borealis, _)) = one_request_for_both(&gateway).await;
        retire_all(&gateway, &borealis).await;
        standby(&gateway, &aurora, &own, (BOREALIS_NUMBER, BOREALIS)).await;
        let operator = Actor::operator(OrganizationId::PLATFORM);
        let replayed = replay::range(&gateway.gateway, &operator, QuarantineFilter::default()).await.unwrap();
        assert_eq!(replayed.len(), 1, "the platform's own");
        assert_eq!((replayed[0].resolved, replayed[0].receipt.stored), (false, 0));
        assert!(contents(&gateway, &aurora).await.is_empty());
    }

    what_one_claimed_is_not_claimed_again_by_who_has_the_line_next(gateway) {
        let ((aurora, own), (borealis, theirs)) = one_request_for_both(&gateway).await;
        assert_eq!(standby(&gateway, &borealis, &theirs, (NOBODYS_NUMBER, NOBODYS)).await, 1);
        retire_all(&gateway, &borealis).await;
        assert_eq!(standby(&gateway, &aurora, &own, (NOBODYS_NUMBER, NOBODYS)).await, 0);
        gateway.post(&aurora, "/api/v1/webhook-inbox/replay", json!({})).await.expect(200);
        assert!(contents(&gateway, &aurora).await.is_empty());
    }

    what_one_alone_received_is_not_read_with_what_waits_beside_it(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let of_aurora = connect(&gateway, &aurora, "aurora").await;
        route(&gateway, &aurora, &of_aurora, "+551140028922", AURORA).await;
        // While nobody else holds the key, all of it is aurora's.
        gateway.meta(&[
            meta::change(AURORA, &[meta::text("wamid.a", "5511987654321", "wamid.a")], &[]),
            meta::change(NOBODYS, &[meta::text("wamid.n", "5511987654321", "wamid.n")], &[]),
        ]).await.expect(200);
        retire_all(&gateway, &aurora).await;
        let borealis = gateway.organization("Borealis").await;
        let of_borealis = connect(&gateway, &borealis, "borealis").await;
        standby(&gateway, &borealis, &of_borealis, ("+551140028922", AURORA)).await;
        assert_eq!(standby(&gateway, &borealis, &of_borealis, (NOBODYS_NUMBER, NOBODYS)).await, 1);
        assert_eq!(contents(&gateway, &borealis).await, ["wamid.n"]);
    }

    a_key_that_is_only_assumed_reads_its_owners_items_of_a_mixed_request(gateway) {
        let ((aurora, own), _) = one_request_for_both(&gateway).await;
        forget_keys(&gateway).await;
        disconnect(&gateway, &aurora, &own).await;
        let other = with_secret("aurora", OTHER_SECRET);
        let own = gateway.connect_only(&aurora, &meta_provider::PROVIDER, &other).await;
        assert_eq!(standby(&gateway, &aurora, &own, (NOBODYS_NUMBER, NOBODYS)).await, 0);
        assert!(contents(&gateway, &aurora).await.is_empty());
        // As it would be, had aurora kept it.
        gateway.database.execute(
            "update webhook_quarantine set organization_id = (select organization_id from webhook_quarantine
             where raw like '%wamid.ua%') where position like 'wamid.n%'",
        ).await;
        gateway.post(&aurora, "/api/v1/webhook-inbox/replay", json!({})).await.expect(200);
        assert_eq!(contents(&gateway, &aurora).await, ["wamid.n"]);
    }

    what_a_key_proves_that_only_one_of_two_has_entered_is_not_that_ones_to_read(gateway) {
        let ((aurora, of_aurora), (borealis, of_borealis)) = one_twilio_account(&gateway).await;
        let secrets = recorded_account(&twilio::PROVIDER, "aurora").secrets;
        let (id, secret) = (&secrets["shared_key_id"], &secrets["shared_key_secret"]);
        let change = json!({ "credentials": { "shared_key_id": id, "shared_key_secret": secret } });
        gateway.call(&aurora, Method::PATCH, &of_aurora, Some(change.clone())).await.expect(200);
        let settings = format!("key={id},algorithm=HMAC_SHA256");
        gateway.deliver(text_of_twilio(&gateway, secret, Some(&settings))).await.expect(200);
        sees_nothing(&gateway, &aurora).await;
        gateway.call(&borealis, Method::PATCH, &of_borealis, Some(change)).await.expect(200);
        assert_eq!(gateway.communications(&borealis).await.len(), 1);
        assert!(gateway.communications(&aurora).await.is_empty());
        assert_eq!(gateway.database.text("select state from webhook_quarantine").await, "resolved");
    }

    what_comes_between_two_rotations_of_one_token_waits_for_the_second(gateway) {
        let ((aurora, of_aurora), (borealis, of_borealis)) = one_twilio_account(&gateway).await;
        let new = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";
        let rotation = json!({ "credentials": { "auth_token": new } });
        gateway.post(&aurora, &format!("{of_aurora}/rotate"), rotation.clone()).await.expect(200);
        gateway.deliver(text_of_twilio(&gateway, new, None)).await.expect(200);
        sees_nothing(&gateway, &aurora).await;
        gateway.post(&borealis, &format!("{of_borealis}/rotate"), rotation).await.expect(200);
        assert_eq!(gateway.communications(&borealis).await.len(), 1);
        assert!(gateway.communications(&aurora).await.is_empty());
    }

    a_request_that_is_anothers_by_now_is_not_told_as_done(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let borealis = gateway.organization("Borealis").await;
        let of_aurora = connect(&gateway, &aurora, "aurora").await;
        let of_borealis = connect(&gateway, &borealis, "borealis").await;
        route(&gateway, &aurora, &of_aurora, "+551140028922", AURORA).await;
        gateway.meta(&[meta::change(AURORA, &[meta::text("wamid.a", "5511987654321", "a")], &[])]).await.expect(200);
        assert_eq!(replay_newest(&gateway, &aurora).await["resolved"], true);
        retire_all(&gateway, &aurora).await;
        route(&gateway, &borealis, &of_borealis, "+551140028922", AURORA).await;
        let replayed = replay_newest(&gateway, &aurora).await;
        assert_eq!((&replayed["resolved"], &replayed["stored"]), (&json!(false), &json!(0)));
        assert!(replayed["result"].as_str().unwrap().contains("another organization"), "{replayed}");
        assert!(gateway.communications(&borealis).await.is_empty());
    }
}
