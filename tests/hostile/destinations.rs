//! Where credentials and files go is nobody's to choose but the operator's.

use http::Method;
use providers::{PROVIDERS, Provider};
use serde_json::{Value, json};
use switchboard::model::Scope;

use crate::support::peer::{Peer, PeerAnswer};
use crate::support::{Kind, Org, TestGateway, on_both_engines, recorded_account};

/// What a server of an attacker's got to see of an account: everything but the address.
fn captured(peer: &Peer, provider: &Provider) -> Vec<String> {
    let secrets = recorded_account(provider, "aurora").secrets;
    let asked = peer.requests();
    let seen = asked.iter().map(|asked| {
        let headers = asked.headers.iter().map(|(_, value)| decoded(value));
        headers.collect::<String>() + &asked.path + &String::from_utf8_lossy(&asked.body)
    });
    let seen: String = seen.collect();
    secrets.into_iter().filter(|(_, value)| seen.contains(value)).map(|(name, _)| name).collect()
}

/// A header's value, with the text of HTTP Basic behind it.
fn decoded(value: &str) -> String {
    use base64::Engine;
    let basic = value
        .strip_prefix("Basic ")
        .and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
    format!("{value} {}", String::from_utf8_lossy(&basic.unwrap_or_default()))
}

/// Whoever may change accounts, and nothing else.
async fn meddler(gateway: &TestGateway, org: &Org) -> Org {
    let scopes = vec![Scope::AccountsRead, Scope::AccountsWrite];
    Org { id: org.id, key: gateway.key(org.id, scopes).await }
}

/// Connects an account with all that its fixture has and these settings.
async fn connect(
    gateway: &TestGateway,
    org: &Org,
    provider: &Provider,
    more: &[(&str, &str)],
) -> String {
    let mut account = recorded_account(provider, "aurora");
    let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    account.settings.extend(more);
    format!("/api/v1/accounts/{}", gateway.connect_only(org, provider, &account).await)
}

async fn patch(gateway: &TestGateway, org: &Org, path: &str, body: Value) -> (u16, Value) {
    let answer = gateway.call(org, Method::PATCH, path, Some(body)).await;
    (answer.status.as_u16(), answer.json())
}

fn field(refused: &Value) -> String {
    refused["errors"].to_string() + &refused["detail"].to_string()
}

/// Everything an account of Aurora's can be made to ask its provider.
async fn provoke(gateway: &TestGateway, org: &Org, path: &str) {
    for verb in ["probe", "session/start", "session/pair", "templates/sync"] {
        gateway.post(org, &format!("{path}/{verb}"), json!({})).await;
    }
}

on_both_engines! {
    no_credential_is_read_by_changing_where_it_goes(gateway) {
        let aurora = gateway.organization_in("Aurora", Some("BR")).await;
        let meddler = meddler(&gateway, &aurora).await;
        for provider in PROVIDERS {
            let home = Peer::start(Vec::new()).await;
            let path = connect(&gateway, &aurora, provider, &[("base_url", &home.url("/"))]).await;
            let thief = Peer::start_usually(Vec::new(), |_| PeerAnswer::new(200)).await;
            // Another server of the operator's, another host, another path, and with some of what goes there.
            let secrets = recorded_account(provider, "aurora").secrets;
            let mut other_credentials: Vec<Value> = vec![json!({})];
            other_credentials.extend(secrets.keys().map(|name| json!({ name: "a-guess-that-is-long-enough" })));
            for credentials in other_credentials {
                let change = json!({ "settings": { "base_url": thief.url("/") }, "credentials": credentials });
                let (status, answer) = patch(&gateway, &meddler, &path, change).await;
                if status == 200 {
                    // All that goes there was given again: what goes is the guess.
                    provoke(&gateway, &meddler, &path).await;
                    continue;
                }
                assert_eq!(status, 422, "{}: {answer}", provider.name);
                let told = field(&answer);
                assert!(told.contains("credentials.") || told.contains("public_key"), "{answer}");
                provoke(&gateway, &meddler, &path).await;
            }
            let seen = captured(&thief, provider);
            assert!(seen.is_empty(), "{}: {seen:?}", provider.name);
        }
    }

    who_knows_the_credentials_may_send_them_elsewhere(gateway) {
        let aurora = gateway.organization_in("Aurora", Some("BR")).await;
        for provider in PROVIDERS {
            let home = Peer::start(Vec::new()).await;
            let path = connect(&gateway, &aurora, provider, &[("base_url", &home.url(""))]).await;
            // The same address spelled otherwise is no change, nor is anything beside it.
            for settings in [json!({ "base_url": home.url("/") }), json!({ "messages_per_second": "2" })] {
                let (status, answer) = patch(&gateway, &aurora, &path, json!({ "settings": settings, "name": "Front" })).await;
                assert_eq!(status, 200, "{}: {answer}", provider.name);
            }
            let there = Peer::start(Vec::new()).await;
            let secrets = recorded_account(provider, "aurora").secrets;
            let change = json!({ "settings": { "base_url": there.url("/prefix") }, "credentials": secrets });
            let (status, answer) = patch(&gateway, &aurora, &path, change).await;
            assert_eq!((status, &answer["attention"]), (200, &Value::Null), "{}: {answer}", provider.name);
            gateway.post(&aurora, &format!("{path}/probe"), json!({})).await.expect(200);
            assert!(there.requests()[0].path.starts_with("/prefix/"), "{}", provider.name);
            let moved = json!({ "settings": { "base_url": there.url("/elsewhere") } });
            let (status, answer) = patch(&gateway, &aurora, &path, moved).await;
            assert_eq!(status, 422, "another path may be another server: {answer}");
        }
    }
}

/// The providers that have places of their own.
fn at_home() -> impl Iterator<Item = &'static &'static Provider> {
    PROVIDERS.iter().filter(|provider| !provider.homes.domains().is_empty())
}

async fn goes_home_only(kind: Kind) {
    let gateway = TestGateway::start(kind, &["outgoing.allow=[\"127.0.0.0/8\"]"]).await;
    let aurora = gateway.organization_in("Aurora", Some("BR")).await;
    let thief = Peer::start_usually(Vec::new(), |_| PeerAnswer::new(200)).await;
    let by_name = format!("http://localhost:{}", thief.port());
    for provider in at_home() {
        let own = provider.homes.domains()[0];
        let account = recorded_account(provider, "aurora");
        for foreign in [
            "https://example.com".to_owned(),
            format!("https://{own}.example.com"),
            format!("http://api.{own}"),
            format!("https://api.{own}:8443"),
            by_name.clone(),
        ] {
            let mut settings = account.settings.clone();
            settings.insert("base_url".to_owned(), foreign.clone());
            let body = json!({ "provider": provider.name, "name": "x", "settings": settings, "credentials": account.secrets });
            let refused = gateway.post(&aurora, "/api/v1/accounts", body).await.expect(422);
            let told = field(&refused);
            assert!(
                told.contains("base_url") && told.contains("outgoing.allow") && told.contains(own),
                "{told}"
            );
        }
        let path = connect(&gateway, &aurora, provider, &[]).await;
        let change = json!({ "settings": { "base_url": "https://example.com" }, "credentials": account.secrets });
        assert_eq!(patch(&gateway, &aurora, &path, change).await.0, 422, "{}", provider.name);
        let region = json!({ "settings": { "base_url": format!("https://api.{own}") } });
        assert_eq!(
            patch(&gateway, &aurora, &path, region).await.0,
            200,
            "{}: its own needs no proof",
            provider.name
        );
        // An account that is older than the rule: it is kept, shows what is wrong, and sends nothing.
        let id = path.rsplit('/').next().unwrap();
        stored_before(&gateway, id, own, &by_name).await;
        let shown = gateway.get(&aurora, &path).await.expect(200);
        assert_eq!(shown["settings"]["base_url"], json!(by_name), "{shown}");
        assert!(shown["attention"].as_str().unwrap().contains("base_url"), "{shown}");
        let probed = gateway.post(&aurora, &format!("{path}/probe"), json!({})).await.expect(200);
        assert_eq!(
            (&probed["ok"], &probed["code"]),
            (&json!(false), &json!("destination_refused")),
            "{probed}"
        );
        provoke(&gateway, &aurora, &path).await;
        assert_eq!(patch(&gateway, &aurora, &path, json!({ "name": "Renamed" })).await.0, 200);
    }
    assert!(thief.requests().is_empty());
    gateway.end().await;
}

/// Writes the setting past all checks, as an earlier version would have.
async fn stored_before(gateway: &TestGateway, id: &str, own: &str, base_url: &str) {
    let id = id.replace('-', "");
    let place = match gateway.database.kind {
        Kind::Sqlite => format!("hex(id) = upper('{id}')"),
        Kind::Postgres => format!("id = '{id}'"),
    };
    let settings = match gateway.database.kind {
        Kind::Sqlite => format!("replace(settings, 'https://api.{own}', '{base_url}')"),
        Kind::Postgres => {
            format!("replace(settings::text, 'https://api.{own}', '{base_url}')::json")
        }
    };
    gateway
        .database
        .execute(&format!(
            "update accounts set settings = {settings}, changed_in = (select version + 1 from directory) where {place}"
        ))
        .await;
    gateway.database.execute("update directory set version = version + 1").await;
    gateway.gateway.refresh_directory().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_providers_credentials_go_to_the_provider_only_on_sqlite() {
    goes_home_only(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_providers_credentials_go_to_the_provider_only_on_postgres() {
    goes_home_only(Kind::Postgres).await;
}

/// A word that only an internal service says.
const INTERNAL: &str = "internal-secret-4711";

/// An internal service's answers: none is the provider's.
fn internal(number: usize) -> PeerAnswer {
    let bodies = [
        format!("<html>{INTERNAL}</html>"),
        json!({ "status": INTERNAL, "message": INTERNAL, "error": INTERNAL, "code": INTERNAL }).to_string(),
        json!({ "name": INTERNAL, "value": INTERNAL, "pairingCode": INTERNAL, "instance": { "state": INTERNAL } }).to_string(),
        json!({ "error": { "message": INTERNAL, "code": INTERNAL }, "errors": [{ "detail": INTERNAL }] }).to_string(),
        json!([{ "name": "aurora-frontdesk", "connectionStatus": INTERNAL, "disconnectionReasonCode": INTERNAL }]).to_string(),
        json!({ "exception": { "message": INTERNAL }, "response": { "message": [INTERNAL] } }).to_string(),
    ];
    let statuses = [200, 404, 500, 401, 422];
    let body = &bodies[number % bodies.len()];
    PeerAnswer::new(statuses[number % statuses.len()])
        .header("content-type", "application/json")
        .body(body)
}

async fn sends(gateway: &TestGateway, org: &Org, path: &str, content: Value) -> String {
    let account = gateway.get(org, path).await.expect(200);
    let provider = providers::provider(account["provider"].as_str().unwrap()).unwrap();
    let known = recorded_account(provider, "aurora").routes;
    let route = known.into_iter().find(|route| route.channel != "voip").unwrap();
    let body = json!({ "account_id": account["id"], "channel": route.channel, "address": route.address,
                       "handle": route.handle, "state": "active" });
    let made = gateway.post(org, "/api/v1/routes", body).await;
    assert!([201, 409].contains(&made.status.as_u16()), "{}", made.text());
    let message = json!({ "channel": route.channel, "to": "+5511987654321", "content": content });
    let accepted = gateway.post(org, "/api/v1/messages", message).await.expect(202);
    // Bridges are paced, and an earlier message to the same person goes first.
    for _ in 0..3 {
        gateway.drain().await;
        gateway.advance(chrono::TimeDelta::seconds(2));
    }
    accepted["id"].as_str().unwrap().to_owned()
}

on_both_engines! {
    nobody_reads_what_an_internal_service_answers(gateway) {
        for provider in PROVIDERS {
            let org = gateway.organization_in(provider.title, Some("BR")).await;
            let peer = Peer::start_usually(Vec::new(), internal).await;
            let path = connect(&gateway, &org, provider, &[("base_url", &peer.url(""))]).await;
            let mut told = String::new();
            for _ in 0..30 {
                for verb in ["probe", "session/start", "session/pair", "templates/sync"] {
                    let answer = gateway.post(&org, &format!("{path}/{verb}"), json!({})).await;
                    told += &answer.text();
                }
            }
            assert!(peer.requests().len() >= 30, "{}", provider.name);
            assert!(told.contains(", which is not") || told.contains("an answer that is not"), "{told}");
            for shown in [&path, &format!("{path}/session"), &format!("{path}/notices"), "/api/v1/templates", "/api/v1/events?limit=200"] {
                told += &gateway.get(&org, shown).await.text();
            }
            assert!(!told.contains(INTERNAL), "{}: {told}", provider.name);
        }
    }

    a_messages_journal_keeps_the_providers_words_only(gateway) {
        for provider in PROVIDERS.iter().filter(|provider| provider.homes.domains().is_empty()) {
            let org = gateway.organization_in(provider.title, Some("BR")).await;
            let peer = Peer::start_usually(Vec::new(), internal).await;
            let pauses = [("pause_least_ms", "0"), ("pause_most_ms", "0"), ("base_url", &peer.url(""))];
            let path = connect(&gateway, &org, provider, &pauses).await;
            let mut all = String::new();
            for _ in 0..6 {
                let id = sends(&gateway, &org, &path, json!({ "kind": "text", "body": "http://169.254.169.254/", "preview_url": true })).await;
                gateway.advance(chrono::TimeDelta::minutes(6));
                gateway.drain().await;
                all += &gateway.message(&org, &id).await.to_string();
            }
            assert!(all.contains("[REDACTED]") && all.contains("bytes that are not the provider's"), "{all}");
            assert!(!all.contains(INTERNAL), "{}: {all}", provider.name);
            let previews = bodies(&peer).iter().filter(|body| body.contains("\"linkPreview\":true")).count();
            assert_eq!(previews, 0, "the bridge fetches what a message links to");
        }
    }

    a_bridge_is_sent_nowhere(gateway) {
        for provider in PROVIDERS.iter().filter(|provider| provider.homes.domains().is_empty()) {
            let org = gateway.organization_in(provider.title, Some("BR")).await;
            let bridge = Peer::start_usually(Vec::new(), |_| PeerAnswer::new(503)).await;
            let pauses = [("pause_least_ms", "0"), ("pause_most_ms", "0"), ("base_url", &bridge.url(""))];
            let path = connect(&gateway, &org, provider, &pauses).await;
            let media = Peer::start(Vec::new()).await;
            let large = vec![b'x'; 6 << 20];
            media.will(PeerAnswer::new(200).header("content-type", "image/png").body("abc"));
            media.will(PeerAnswer::new(302).header("location", "http://localhost:1/"));
            media.will(PeerAnswer::new(200).header("content-type", "image/png").body(&large));
            media.will(PeerAnswer::new(404));
            let linked = |url: &str| json!({ "kind": "media", "files": [{ "media": "image", "url": url }] });

            // What we may fetch is fetched once, and the bridge is given the bytes: at each attempt the same.
            let id = sends(&gateway, &org, &path, linked(&media.url("/picture.png"))).await;
            for _ in 0..2 {
                gateway.advance(chrono::TimeDelta::minutes(5));
                gateway.drain().await;
            }
            let seen = bodies(&bridge);
            assert!(seen.len() >= 2, "{seen:?}");
            assert!(seen.iter().all(|body| body.contains("YWJj") && !body.contains("picture.png")), "{seen:?}");
            assert_eq!(media.requests().len(), 1);
            gateway.post(&org, &format!("/api/v1/messages/{id}/cancel"), json!({})).await.expect(200);

            // What leads to where we may not go, by a redirect or by its name, or is not there, fails for what it is.
            let before = bridge.requests().len();
            for url in [media.url("/moved"), "https://localhost:1/".to_owned()] {
                let id = sends(&gateway, &org, &path, linked(&url)).await;
                let message = gateway.message(&org, &id).await;
                assert_eq!(message["status"], "failed", "{url}: {message}");
                let told = message.to_string();
                assert!(told.contains("file_not_fetched") && told.contains("outgoing.allow"), "{told}");
            }
            assert_eq!(bridge.requests().len(), before, "the bridge is asked for nothing");
            // A large one is given as a link of ours.
            let id = sends(&gateway, &org, &path, linked(&media.url("/large.png"))).await;
            let seen = bodies(&bridge).pop().unwrap();
            assert!(seen.contains(crate::support::PUBLIC_URL) && !seen.contains("large.png"), "{seen}");
            gateway.post(&org, &format!("/api/v1/messages/{id}/cancel"), json!({})).await.expect(200);
            let id = sends(&gateway, &org, &path, linked(&media.url("/gone.png"))).await;
            assert_eq!(gateway.message(&org, &id).await["status"], "failed");
            // One that has no such name waits; nobody is sent there meanwhile.
            let before = bridge.requests().len();
            for url in ["https://metadata.google.internal/computeMetadata/v1/", "https://127.0.0.1.nip.invalid/"] {
                let id = sends(&gateway, &org, &path, linked(url)).await;
                assert_ne!(gateway.message(&org, &id).await["status"], "sent");
                gateway.post(&org, &format!("/api/v1/messages/{id}/cancel"), json!({})).await;
            }
            assert_eq!(bridge.requests().len(), before);
            for url in ["http://169.254.169.254/", "https://[::1]/", "ftp://example.com/x", "https://a@example.com/", "no"] {
                let message = json!({ "channel": "whatsapp", "to": "+5511987654321", "content": linked(url) });
                let refused = gateway.post(&org, "/api/v1/messages", message).await.expect(422);
                assert!(field(&refused).contains("content.files[0].url"), "{refused}");
            }
        }
    }
}

/// What the bridge was told to send.
fn bodies(bridge: &Peer) -> Vec<String> {
    let asked = bridge.requests().into_iter().filter(|asked| asked.method == "POST");
    asked.map(|asked| String::from_utf8_lossy(&asked.body).into_owned()).collect()
}

async fn allowed_for_one(kind: Kind) {
    let database = crate::support::Database::create(kind).await;
    let gateway = TestGateway::start_on(database.clone(), &[]).await;
    let (aurora, borealis) =
        (gateway.organization("Aurora").await, gateway.organization("Borealis").await);
    gateway.end().await;
    let peer = Peer::start_usually(Vec::new(), |_| PeerAnswer::new(200)).await;
    let allow = format!("outgoing.allow=[\"127.0.0.1:{}@{}\"]", peer.port(), aurora.id);
    let gateway = TestGateway::start_on(database, &[&allow]).await;
    let waha = &providers::waha::PROVIDER;
    for (org, reaches) in [(&aurora, true), (&borealis, false), (&aurora, true)] {
        let path = connect(&gateway, org, waha, &[("base_url", &peer.url(""))]).await;
        let before = peer.requests().len();
        let probed = gateway.post(org, &format!("{path}/probe"), json!({})).await.expect(200);
        assert_eq!(probed["code"] == "destination_refused", !reaches, "{probed}");
        assert_eq!(peer.requests().len() > before, reaches);
        gateway.call(org, Method::DELETE, &path, None).await.expect(204);
    }
    // An emulator that is allowed for one is no place for another's credentials.
    for (org, status) in [(&aurora, 201), (&borealis, 422)] {
        let mut account = recorded_account(&providers::telnyx::PROVIDER, "aurora");
        account.settings.insert("base_url".to_owned(), peer.url("/telnyx"));
        let body = json!({ "provider": "telnyx", "name": "x", "settings": account.settings, "credentials": account.secrets });
        let answer = gateway.post(org, "/api/v1/accounts", body).await.expect(status);
        if status == 201 {
            let path = format!("/api/v1/accounts/{}", answer["id"].as_str().unwrap());
            gateway.call(org, Method::DELETE, &path, None).await.expect(204);
        }
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_allowed_for_one_organization_is_for_no_other_on_sqlite() {
    allowed_for_one(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_allowed_for_one_organization_is_for_no_other_on_postgres() {
    allowed_for_one(Kind::Postgres).await;
}
