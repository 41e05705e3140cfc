//! What was kept is read again by whoever holds the key that it was signed with, though the account that received it is gone.

use http::Method;
use providers::meta::PROVIDER;
use providers::telnyx;
use serde_json::{Value, json};
use switchboard::sandbox::RecordedAccount;

use crate::support::meta::{self, AURORA, BOREALIS, NOBODYS};
use crate::support::{Kind, Org, TestGateway, on_both_engines, recorded_account};

pub const NOBODYS_NUMBER: &str = "+5491150300000";
pub const OTHER_SECRET: &str = "00112233445566778899aabbccddeeff";

/// The fixture account under another secret.
pub fn with_secret(whose: &str, secret: &str) -> RecordedAccount {
    let mut account = recorded_account(&PROVIDER, whose);
    account.secrets.insert("app_secret".to_owned(), secret.to_owned());
    account
}

pub async fn connect(gateway: &TestGateway, org: &Org, whose: &str) -> String {
    gateway.connect_only(org, &PROVIDER, &recorded_account(&PROVIDER, whose)).await
}

pub async fn route(
    gateway: &TestGateway,
    org: &Org,
    account: &str,
    address: &str,
    handle: &str,
) -> Value {
    let route = json!({ "account_id": account, "channel": "whatsapp", "address": address, "handle": handle });
    gateway.post(org, "/api/v1/routes", route).await.expect(201)
}

/// Retires the account's routes and takes it away.
pub async fn disconnect(gateway: &TestGateway, org: &Org, account: &str) {
    let routes = gateway.get(org, "/api/v1/routes").await.expect(200);
    for route in routes["items"].as_array().unwrap().iter().filter(|r| r["account_id"] == account) {
        let path = format!("/api/v1/routes/{}", route["id"].as_str().unwrap());
        gateway
            .call(org, Method::PATCH, &path, Some(json!({ "state": "retired" })))
            .await
            .expect(200);
    }
    gateway
        .call(org, Method::DELETE, &format!("/api/v1/accounts/{account}"), None)
        .await
        .expect(204);
}

async fn comes(gateway: &TestGateway, line: &str, id: &str) {
    let message = meta::text(id, "5511987654321", id);
    gateway.meta(&[meta::change(line, &[message], &[])]).await.expect(200);
}

/// Replays the newest request that an organization sees.
pub async fn replay_newest(gateway: &TestGateway, org: &Org) -> Value {
    let requests = gateway.get(org, "/api/v1/webhook-inbox/requests").await.expect(200);
    let id = requests["items"][0]["id"].as_str().unwrap();
    let path = format!("/api/v1/webhook-inbox/requests/{id}/replay");
    gateway.post(org, &path, json!({})).await.expect(200)
}

/// As what an older version kept.
pub async fn forget_keys(gateway: &TestGateway) {
    gateway.database.execute("update webhook_inbox set key_fingerprint = null").await;
}

on_both_engines! {
    what_waited_is_claimed_though_its_account_was_connected_anew(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let account = connect(&gateway, &aurora, "aurora").await;
        comes(&gateway, NOBODYS, "wamid.1").await;
        disconnect(&gateway, &aurora, &account).await;
        let anew = connect(&gateway, &aurora, "aurora").await;
        let added = route(&gateway, &aurora, &anew, NOBODYS_NUMBER, NOBODYS).await;
        assert_eq!(added["claimed_items"], 1);
        assert_eq!(gateway.communications(&aurora).await.len(), 1);
    }

    what_was_written_is_replayed_though_its_account_was_connected_anew(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let account = connect(&gateway, &aurora, "aurora").await;
        route(&gateway, &aurora, &account, "+551140028922", AURORA).await;
        comes(&gateway, AURORA, "wamid.1").await;
        gateway.database.execute("delete from messages").await;
        disconnect(&gateway, &aurora, &account).await;
        let without = replay_newest(&gateway, &aurora).await;
        assert_eq!((&without["resolved"], &without["stored"]), (&json!(false), &json!(0)));
        assert!(without["result"].as_str().unwrap().contains("connect"), "{without}");
        let anew = connect(&gateway, &aurora, "aurora").await;
        route(&gateway, &aurora, &anew, "+551140028922", AURORA).await;
        assert_eq!(replay_newest(&gateway, &aurora).await["stored"], 1);
        assert_eq!(gateway.communications(&aurora).await.len(), 1);
    }

    one_tenants_deletion_strands_nothing_of_anothers(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let borealis = gateway.organization("Borealis").await;
        let of_aurora = connect(&gateway, &aurora, "aurora").await;
        let of_borealis = connect(&gateway, &borealis, "borealis").await;
        // Aurora's account verifies both: the entry names its WABA.
        comes(&gateway, NOBODYS, "wamid.waits").await;
        route(&gateway, &borealis, &of_borealis, "+5491150317788", BOREALIS).await;
        comes(&gateway, BOREALIS, "wamid.written").await;
        gateway.database.execute("delete from messages").await;
        disconnect(&gateway, &aurora, &of_aurora).await;
        assert_eq!(replay_newest(&gateway, &borealis).await["stored"], 1);
        let line = json!({ "account_id": of_borealis, "channel": "whatsapp", "address": NOBODYS_NUMBER,
                           "handle": NOBODYS, "state": "standby" });
        let added = gateway.post(&borealis, "/api/v1/routes", line).await.expect(201);
        assert_eq!(added["claimed_items"], 1);
        assert_eq!(gateway.communications(&borealis).await.len(), 2);
        assert!(gateway.communications(&aurora).await.is_empty());
    }

    whoever_holds_another_key_claims_nothing(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let mallory = gateway.organization("Mallory").await;
        let account = connect(&gateway, &aurora, "aurora").await;
        comes(&gateway, NOBODYS, "wamid.1").await;
        disconnect(&gateway, &aurora, &account).await;
        for known in [true, false] {
            if !known {
                forget_keys(&gateway).await;
            }
            let id = gateway.connect_only(&mallory, &PROVIDER, &with_secret("aurora", OTHER_SECRET)).await;
            let added = route(&gateway, &mallory, &id, NOBODYS_NUMBER, NOBODYS).await;
            assert_eq!(added["claimed_items"], 0);
            assert!(gateway.communications(&mallory).await.is_empty());
            disconnect(&gateway, &mallory, &id).await;
        }
        let tried = gateway.database.scalar("select attempts from webhook_quarantine").await;
        assert_eq!(tried, 0, "another organization's items are none of mallory's business");
    }

    what_an_older_version_kept_is_read_by_the_organizations_own_accounts(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let account = connect(&gateway, &aurora, "aurora").await;
        comes(&gateway, NOBODYS, "wamid.1").await;
        forget_keys(&gateway).await;
        disconnect(&gateway, &aurora, &account).await;
        let anew = connect(&gateway, &aurora, "aurora").await;
        let added = route(&gateway, &aurora, &anew, NOBODYS_NUMBER, NOBODYS).await;
        assert_eq!(added["claimed_items"], 1);
    }

    a_key_that_cannot_be_proven_takes_no_line_of_anothers(gateway) {
        let (aurora, borealis) = (gateway.organization("Aurora").await, gateway.organization("Borealis").await);
        let of_aurora = connect(&gateway, &aurora, "aurora").await;
        route(&gateway, &aurora, &of_aurora, "+551140028922", AURORA).await;
        let of_borealis = connect(&gateway, &borealis, "borealis").await;
        route(&gateway, &borealis, &of_borealis, "+5491150317788", BOREALIS).await;
        let unknown = json!({ "id": "wamid.u", "timestamp": "1793534400", "type": "hologram" });
        gateway.meta(&[
            meta::change(AURORA, &[unknown], &[]),
            meta::change(BOREALIS, &[meta::text("wamid.b", "5511987654321", "for borealis")], &[]),
        ]).await.expect(200);
        gateway.database.execute("delete from messages").await;
        // With a key of its own, whose lines nobody else claims, aurora names borealis' line.
        for known in [true, false] {
            if !known {
                forget_keys(&gateway).await;
            }
            let routes = gateway.get(&aurora, "/api/v1/routes").await.expect(200);
            let of = routes["items"][0]["account_id"].as_str().unwrap().to_owned();
            disconnect(&gateway, &aurora, &of).await;
            let own = gateway.connect_only(&aurora, &PROVIDER, &with_secret("aurora", OTHER_SECRET)).await;
            route(&gateway, &aurora, &own, "+5491150317788", BOREALIS).await;
            gateway.post(&aurora, "/api/v1/webhook-inbox/replay", json!({})).await.expect(200);
            assert!(gateway.communications(&aurora).await.is_empty());
        }
    }

    a_published_key_reads_nothing_of_another_organization(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let mallory = gateway.organization("Mallory").await;
        let account = recorded_account(&telnyx::PROVIDER, "aurora");
        let id = gateway.connect_only(&aurora, &telnyx::PROVIDER, &account).await;
        gateway.deliver_recorded(&telnyx::PROVIDER, "unknown-number-sms-received").await.expect(200);
        let line = gateway.database.text("select line from webhook_quarantine").await;
        let number = line.replace("address:", "+");
        disconnect(&gateway, &aurora, &id).await;
        for (org, claimed) in [(&mallory, 0), (&aurora, 1)] {
            let id = gateway.connect_only(org, &telnyx::PROVIDER, &account).await;
            let route = json!({ "account_id": id, "channel": "sms", "address": number });
            assert_eq!(gateway.post(org, "/api/v1/routes", route).await.expect(201)["claimed_items"], claimed);
            assert_eq!(gateway.communications(org).await.len(), claimed);
            disconnect(&gateway, org, &id).await;
        }
    }

    a_mixed_request_tells_each_organization_its_own_share(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        let unknown = |id: &str| json!({ "was": id, "timestamp": "1793534400", "type": "hologram" });
        gateway.meta(&[
            meta::change(AURORA, &[meta::text("wamid.a1", "5511987654321", "a1"), meta::text("wamid.a2", "5511987654321", "a2"), unknown("wamid.ua")], &[]),
            meta::change(BOREALIS, &[meta::text("wamid.b", "5511987654321", "b"), unknown("wamid.ub")], &[]),
        ]).await.expect(200);
        for (org, known) in [(&aurora, 2), (&borealis, 1)] {
            let accounts = gateway.get(org, "/api/v1/accounts").await.expect(200);
            let own = accounts["items"].as_array().unwrap().iter().find(|a| a["provider"] == "meta").unwrap();
            let listed = gateway.get(org, "/api/v1/webhook-inbox").await.expect(200);
            assert_eq!(listed["items"].as_array().unwrap().len(), 1);
            assert_eq!(listed["items"][0]["account_id"], own["id"], "its own account that holds the key");
            let path = format!("/api/v1/webhook-inbox/{}", listed["items"][0]["id"].as_str().unwrap());
            let replayed = gateway.post(org, &format!("{path}/replay"), json!({})).await.expect(200);
            let counts = ["stored", "duplicate", "quarantined"].map(|name| replayed[name].as_i64().unwrap());
            assert_eq!(counts, [0, known, 1]);
            let item = gateway.get(org, &path).await.expect(200);
            let result = format!("0 written, {known} known already, 0 waiting, 1 still quarantined");
            assert_eq!((&item["last_result"], &item["state"]), (&json!(result), &json!("open")));
        }
        // As an older version left it: another organization's account is not told.
        gateway.database.execute("update webhook_quarantine set account_id = (select account_id from webhook_inbox)").await;
        let item = gateway.get(&borealis, "/api/v1/webhook-inbox").await.expect(200)["items"][0].clone();
        assert_eq!(item["account_id"], Value::Null);
    }

    each_organization_writes_its_own_share_of_a_mixed_request(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        let unknown = json!({ "was": "wamid.u", "timestamp": "1793534400", "type": "hologram" });
        gateway.meta(&[
            meta::change(AURORA, &[meta::text("wamid.a", "5511987654321", "a")], &[]),
            meta::change(BOREALIS, &[meta::text("wamid.b", "5511987654321", "b"), unknown], &[]),
            meta::change(NOBODYS, &[meta::text("wamid.n", "5511987654321", "n")], &[]),
        ]).await.expect(200);
        gateway.database.execute("delete from messages").await;
        let range = gateway.post(&borealis, "/api/v1/webhook-inbox/replay", json!({})).await.expect(200);
        assert_eq!(range["items"][0]["stored"], 1);
        assert_eq!(gateway.communications(&borealis).await.len(), 1);
        assert!(gateway.communications(&aurora).await.is_empty(), "it is not borealis' to replay");
        gateway.database.execute("delete from messages").await;
        let accounts = gateway.get(&borealis, "/api/v1/accounts").await.expect(200);
        let account = accounts["items"].as_array().unwrap().iter().find(|a| a["provider"] == "meta").unwrap().clone();
        let line = json!({ "account_id": account["id"], "channel": "whatsapp", "address": NOBODYS_NUMBER,
                           "handle": NOBODYS, "state": "standby" });
        assert_eq!(gateway.post(&borealis, "/api/v1/routes", line).await.expect(201)["claimed_items"], 1);
        assert_eq!(gateway.communications(&borealis).await.len(), 2, "all that is borealis'");
        assert!(gateway.communications(&aurora).await.is_empty(), "a claim takes what is its own");
    }
}

/// The fingerprint outlives the master key, is the same in every process, and is not to be made from the secret alone.
async fn a_fingerprint_outlives_the_master_key(kind: Kind) {
    let old = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let new = "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";
    let gateway = TestGateway::start(kind, &[&format!("keys.master_key={old}")]).await;
    let aurora = gateway.organization("Aurora").await;
    let account = connect(&gateway, &aurora, "aurora").await;
    comes(&gateway, NOBODYS, "wamid.1").await;
    let database = gateway.database.clone();
    gateway.end().await;

    let gateway =
        TestGateway::start_on(database.clone(), &[&format!("keys.master_key={new},{old}")]).await;
    comes(&gateway, NOBODYS, "wamid.2").await;
    let mut session = gateway.gateway.store.write_as_owner().await.unwrap();
    gateway.gateway.keys.rewrap_all(&mut session).await.unwrap();
    session.commit().await.unwrap();
    gateway.end().await;

    let gateway = TestGateway::start_on(database, &[&format!("keys.master_key={new}")]).await;
    comes(&gateway, NOBODYS, "wamid.3").await;
    let kept =
        "select count(key_fingerprint) * 10 + count(distinct key_fingerprint) from webhook_inbox";
    assert_eq!(gateway.database.scalar(kept).await, 31, "one fingerprint of one key, three times");
    disconnect(&gateway, &aurora, &account).await;
    let anew = connect(&gateway, &aurora, "aurora").await;
    let added = route(&gateway, &aurora, &anew, NOBODYS_NUMBER, NOBODYS).await;
    assert_eq!(added["claimed_items"], 3);
    let fingerprint = gateway
        .database
        .text(
            "select lower(hex_of) from (select HEX as hex_of from webhook_inbox limit 1) one"
                .replace(
                    "HEX",
                    match kind {
                        Kind::Sqlite => "hex(key_fingerprint)",
                        Kind::Postgres => "encode(key_fingerprint, 'hex')",
                    },
                )
                .as_str(),
        )
        .await;
    let secret = recorded_account(&PROVIDER, "aurora").signing_secret;
    let plain = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(secret.as_bytes()));
    assert_eq!(fingerprint.len(), 32);
    assert!(!plain.contains(&fingerprint), "whoever sees it could try secrets");
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fingerprint_outlives_the_master_key_on_sqlite() {
    a_fingerprint_outlives_the_master_key(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fingerprint_outlives_the_master_key_on_postgres() {
    a_fingerprint_outlives_the_master_key(Kind::Postgres).await;
}

/// A database that is older than fingerprints gets the key that makes them; a master key that opens nothing does not wrap it.
async fn an_older_database_is_completed(kind: Kind) {
    let gateway = TestGateway::start(kind, &[]).await;
    let aurora = gateway.organization("Aurora").await;
    connect(&gateway, &aurora, "aurora").await;
    gateway.database.execute("delete from gateway_keys").await;
    let database = gateway.database.clone();
    gateway.end().await;
    let wrong = "keys.master_key=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let gateway = TestGateway::start_on(database.clone(), &[wrong]).await;
    assert_eq!(gateway.count("gateway_keys").await, 0);
    gateway.end().await;
    let gateway = TestGateway::start_on(database, &[]).await;
    comes(&gateway, NOBODYS, "wamid.1").await;
    assert_eq!(
        gateway.database.scalar("select count(key_fingerprint) from webhook_inbox").await,
        1
    );
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_database_is_completed_on_sqlite() {
    an_older_database_is_completed(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_database_is_completed_on_postgres() {
    an_older_database_is_completed(Kind::Postgres).await;
}
