//! The real program: killed, restarted, without its database, and as a newcomer runs it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::meta::{self, AURORA};
use crate::support::program::{Program, must, run};
use crate::support::restarted::Restarted;
use crate::support::{Database, Kind, recorded_account};

/// An organization on the command line, as the README has it, and aurora's Meta account.
async fn prepare(database: &Database, program: &Program) -> Client {
    let client = Client::aurora(database, program);
    let account = recorded_account(&providers::meta::PROVIDER, "aurora");
    let body = json!({
        "provider": "meta", "name": "Meta", "settings": account.settings, "credentials": account.secrets,
    });
    let created = client.call(reqwest::Method::POST, "/api/v1/accounts", Some(body)).await;
    for route in &account.routes {
        let body = json!({
            "account_id": created["id"], "channel": route.channel, "address": route.address, "handle": route.handle,
        });
        client.call(reqwest::Method::POST, "/api/v1/routes", Some(body)).await;
    }
    client
}

/// Everything on the timeline, by content.
async fn contents(client: &Client) -> Vec<String> {
    let content = |item: Value| item["content"].as_str().unwrap().to_owned();
    client.communications().await.into_iter().map(content).collect()
}

fn webhook(base: &str, id: &str) -> reqwest::Request {
    let change = meta::change(AURORA, &[meta::text(id, "5511987654321", id)], &[]);
    let mut request =
        meta::signed("/hooks/meta", serde_json::to_vec(&meta::notification(&[change])).unwrap());
    *request.uri_mut() = format!("{base}/hooks/meta").parse().unwrap();
    reqwest::Request::try_from(request).unwrap()
}

/// What became of many webhooks.
#[derive(Default)]
struct Load {
    /// The ids that were answered 200.
    answered: Vec<String>,
    /// When each of those was begun that got no answer at all, and why. What found nobody listening is none of them.
    broken: Vec<(Instant, reqwest::Error)>,
}

/// Sends webhooks from many connections until told to stop.
async fn load(client: &Client, stop: Arc<AtomicBool>, prefix: &str) -> Load {
    let count = Arc::new(AtomicU32::new(0));
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (client, stop, count, prefix) =
            (client.clone(), stop.clone(), count.clone(), prefix.to_owned());
        senders.spawn(async move {
            let mut load = Load::default();
            while !stop.load(Ordering::Relaxed) {
                let id = format!("wamid.{prefix}.{}", count.fetch_add(1, Ordering::Relaxed));
                let begun = Instant::now();
                match client.http.execute(webhook(&client.base, &id)).await {
                    Ok(response) if response.status() == 200 => load.answered.push(id),
                    Ok(response) => {
                        assert_eq!(response.status(), 503, "what cannot be written now is 503");
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    Err(error) => {
                        if !error.is_connect() {
                            load.broken.push((begun, error));
                        }
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
            }
            load
        });
    }
    let mut all = Load::default();
    for load in senders.join_all().await {
        all.answered.extend(load.answered);
        all.broken.extend(load.broken);
    }
    all
}

async fn everything_answered_survives_a_kill(kind: Kind) {
    let database = Database::create(kind).await;
    let mut program = Program::serve(&database, &[]).await;
    let client = prepare(&database, &program).await;
    let port = program.port();
    let mut answered = Vec::new();
    for round in 0..3 {
        let stop = Arc::new(AtomicBool::new(false));
        let killing = async {
            tokio::time::sleep(Duration::from_millis(400 + 130 * round)).await;
            program.kill();
            stop.store(true, Ordering::Relaxed);
        };
        let prefix = round.to_string();
        let (Load { answered: sent, .. }, ()) =
            tokio::join!(load(&client, stop.clone(), &prefix), killing);
        assert!(sent.len() > 20, "round {round}: only {} webhooks were answered", sent.len());
        answered.extend(sent);
        program = Program::serve_at(&database, port, &[]).await;
    }
    let mut stored = contents(&client).await;
    let total = stored.len();
    stored.sort_unstable();
    stored.dedup();
    assert_eq!(stored.len(), total, "nothing is stored twice");
    let lost: Vec<&String> =
        answered.iter().filter(|id| stored.binary_search(id).is_err()).collect();
    assert!(
        lost.is_empty(),
        "{} of {} answered webhooks were lost: {lost:?}",
        lost.len(),
        answered.len()
    );
    assert!(program.terminate().await, "it stops by itself when asked to");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_webhook_that_was_answered_survives_kill_9_on_sqlite() {
    everything_answered_survives_a_kill(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_webhook_that_was_answered_survives_kill_9_on_postgres() {
    everything_answered_survives_a_kill(Kind::Postgres).await;
}

/// A polite stop finishes what was accepted: whatever was sent before is answered, and nothing that was answered is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_polite_stop_finishes_what_was_accepted() {
    let database = Database::create(Kind::Sqlite).await;
    let mut program = Program::serve(&database, &[]).await;
    let client = prepare(&database, &program).await;
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let told = Instant::now();
        assert!(program.terminate().await);
        stop.store(true, Ordering::Relaxed);
        told
    };
    let (load, told) = tokio::join!(load(&client, stop.clone(), "polite"), stopping);
    let unanswered: Vec<_> = load.broken.iter().filter(|(begun, _)| *begun < told).collect();
    assert!(unanswered.is_empty(), "begun before the stop, and not answered: {unanswered:?}");
    let program = Program::serve_at(&database, program.port(), &[]).await;
    let stored = contents(&client).await;
    assert!(load.answered.iter().all(|id| stored.contains(id)));
    drop(program);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_may_go_away_and_come_back_under_load() {
    let restarted = Restarted::create().await;
    let program = Program::serve(&restarted.database, &[]).await;
    let client = prepare(&restarted.database, &program).await;
    let stop = Arc::new(AtomicBool::new(false));
    let going = async {
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            restarted.control("stop").await;
            tokio::time::sleep(Duration::from_millis(400)).await;
            let health =
                client.http.get(format!("{}/health/crm", client.base)).send().await.unwrap();
            assert_eq!(health.status(), 503);
            assert_eq!(
                client.http.get(format!("{}/health", client.base)).send().await.unwrap().status(),
                200
            );
            restarted.control("start").await;
        }
        // It works again without a restart of its own.
        tokio::time::sleep(Duration::from_millis(800)).await;
        stop.store(true, Ordering::Relaxed);
    };
    let (Load { answered, broken }, ()) = tokio::join!(load(&client, stop.clone(), "pg"), going);
    assert!(broken.is_empty(), "the gateway was there all the time: {broken:?}");
    assert_eq!(
        client.http.execute(webhook(&client.base, "wamid.after")).await.unwrap().status(),
        200
    );
    assert_eq!(
        client.http.get(format!("{}/health/crm", client.base)).send().await.unwrap().status(),
        200
    );
    let mut stored = contents(&client).await;
    let total = stored.len();
    stored.sort_unstable();
    stored.dedup();
    assert_eq!(stored.len(), total);
    let lost = answered.iter().filter(|id| stored.binary_search(id).is_err()).count();
    assert_eq!(lost, 0, "of {} that were answered 200", answered.len());
    assert!(stored.binary_search(&"wamid.after".to_owned()).is_ok());
}

#[tokio::test]
async fn the_master_key_is_rotated_while_the_gateway_runs() {
    let database = Database::create(Kind::Sqlite).await;
    let program = Program::serve(&database, &[]).await;
    let client = prepare(&database, &program).await;
    let key_file = database.folder.join("master.key");
    let before = std::fs::read_to_string(&key_file).unwrap();
    let printed = must(&database, &["key", "rotate"]);
    assert!(printed.contains("2 data keys"), "{printed}");
    let after = std::fs::read_to_string(&key_file).unwrap();
    assert_ne!(before, after);
    assert!(!after.contains(before.lines().last().unwrap()), "the old key is gone");
    assert_eq!(
        client.http.execute(webhook(&client.base, "wamid.rotated")).await.unwrap().status(),
        200
    );
    // A new organization needs the new master key in the running program; an old account is sealed anew.
    let body = json!({ "name": "renamed", "credentials": { "verify_token": "another" } });
    let accounts = client.get("/api/v1/accounts").await;
    let path = format!("/api/v1/accounts/{}", accounts["items"][0]["id"].as_str().unwrap());
    client.call(reqwest::Method::PATCH, &path, Some(body)).await;
    drop(program);
    let program = Program::serve(&database, &[]).await;
    let client = Client { base: program.base.clone(), ..client };
    assert_eq!(
        client.http.execute(webhook(&client.base, "wamid.again")).await.unwrap().status(),
        200
    );
    assert!(run(&database, &["doctor"]).status.success());
}

#[tokio::test]
async fn the_operator_replays_what_belongs_to_nobody() {
    let database = Database::create(Kind::Sqlite).await;
    let program = Program::serve(&database, &[]).await;
    let client = prepare(&database, &program).await;
    let second = must(
        &database,
        &["org", "create", "--name", "Borealis", "--plan", "gold", "--country", "AR"],
    );
    assert!(must(&database, &["org", "list"]).contains("Borealis"));
    let other = Client { organization: second.clone(), ..client.clone() };
    let key = must(
        &database,
        &["key", "create", "--org", &second, "--name", "k", "--scope", "accounts:write"],
    );
    let other = Client { key, ..other };
    let account = recorded_account(&providers::meta::PROVIDER, "borealis");
    let body = json!({ "provider": "meta", "name": "Meta", "settings": account.settings, "credentials": account.secrets });
    other.call(reqwest::Method::POST, "/api/v1/accounts", Some(body)).await;
    // Both organizations hold the application's key, and neither has the number.
    let change = meta::change(meta::NOBODYS, &[meta::text("wamid.n", "5511987654321", "n")], &[]);
    let known = meta::change(AURORA, &[meta::text("wamid.a", "5511987654321", "a")], &[]);
    let body = serde_json::to_vec(&meta::notification(&[change, known])).unwrap();
    let mut request = meta::signed("/hooks/meta", body);
    *request.uri_mut() = format!("{}/hooks/meta", client.base).parse().unwrap();
    let request = reqwest::Request::try_from(request).unwrap();
    assert_eq!(client.http.execute(request).await.unwrap().status(), 200);
    let listed = must(&database, &["replay", "--dry-run"]);
    assert!(listed.contains("no route claims handle:999000111222333"), "{listed}");
    let replayed = must(&database, &["replay"]);
    assert!(replayed.contains("1 replayed, 0 resolved"), "{replayed}");
    let user = must(
        &database,
        &["user", "create", "--email", "ana@example.com", "--org", &second, "--role", "admin"],
    );
    assert!(must(&database, &["user", "list"]).contains(&user));
    assert!(must(&database, &["key", "list", "--org", &second]).contains("accounts:write"));
}
