//! Webhooks of other tenants while some send many messages at once: how long they wait, against how long they wait otherwise.
//!
//! Webhooks come at a steady rate, whether or not earlier ones are answered, and each is measured from the moment it was due.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::load::{Order, Result, What, generate, mix};
use crate::prepare::{self, Bench, Running, SECRET};
use crate::turns::median;

/// How often each of the two has its turn.
const ROUNDS: u64 = 7;
/// How long each turn is measured, and how long it runs before.
const MEASURED: Duration = Duration::from_secs(5);
const WARM_UP: Duration = Duration::from_secs(1);
/// Organizations, of which the first four send.
const ORGANIZATIONS: usize = 40;
const SENDING: usize = 4;
/// Of those that send, so many receive as well.
const RECEIVING: usize = 2;
/// Requests with a thousand messages that are under way at once.
const BULKS: usize = 16;
/// Webhooks a second: of those that do not send, and of those that do.
const PER_SECOND: u32 = 300;
const OWN_PER_SECOND: u32 = 40;

pub async fn measure() {
    println!(
        "\n## Webhooks of other tenants while {BULKS} bulks of 1,000 of {SENDING} organizations run\n"
    );
    println!(
        "| engine | undisturbed p50 / p99 ms | with bulks p50 / p99 ms | ratio of p99 (least to most) | not 200 | of the tenants that send, p50 / p99 ms | messages accepted a second | 429 |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    );
    let folder = prepare::folder("bulks");
    on("PostgreSQL", &folder, &prepare::database("bulks").await).await;
    let folder = prepare::folder("bulks");
    let file = folder.join("switchboard.db");
    on("SQLite", &folder, &format!("sqlite:{}", file.display())).await;
    let _ = std::fs::remove_dir_all(&folder);
}

async fn on(engine: &str, folder: &std::path::Path, url: &str) {
    let bench = prepare::organizations(folder, url, ORGANIZATIONS).await;
    let running = Running::start(&bench, &["sending.enabled=false"]);
    let (mut quiet, mut loud, mut own) = (Vec::new(), Vec::new(), Vec::new());
    let campaign = Arc::new(Campaign::default());
    // One turn that does not count: people are met, statements are prepared.
    alone(&bench, &running, 0).await;
    for round in 1..=ROUNDS {
        if round % 2 == 1 {
            quiet.push(alone(&bench, &running, round).await);
        }
        let (others, senders) = with_bulks(&bench, &running, round, &campaign).await;
        loud.push(others);
        own.push(senders);
        if round % 2 == 0 {
            quiet.push(alone(&bench, &running, round).await);
        }
    }
    let p = |of: &[Result], figure: fn(&Result) -> f64| {
        median(&of.iter().map(figure).collect::<Vec<_>>())
    };
    let mut ratios: Vec<f64> =
        quiet.iter().zip(&loud).map(|(quiet, loud)| loud.p99_ms / quiet.p99_ms).collect();
    ratios.sort_by(f64::total_cmp);
    let seconds = (MEASURED + WARM_UP).as_secs_f64() * ROUNDS as f64;
    println!(
        "| {engine} | {:.2} / {:.2} | {:.2} / {:.2} | {:.2} ({:.2} to {:.2}) | {} | {:.2} / {:.2} | {:.0} | {} |",
        p(&quiet, |r| r.p50_ms),
        p(&quiet, |r| r.p99_ms),
        p(&loud, |r| r.p50_ms),
        p(&loud, |r| r.p99_ms),
        median(&ratios),
        ratios[0],
        ratios[ratios.len() - 1],
        quiet.iter().chain(&loud).chain(&own).map(|result| result.refused).sum::<u64>(),
        p(&own, |r| r.p50_ms),
        p(&own, |r| r.p99_ms),
        campaign.accepted.load(Ordering::Relaxed) as f64 / seconds,
        campaign.told_to_wait.load(Ordering::Relaxed),
    );
}

/// Webhooks for these organizations at this rate.
fn order(
    bench: &Bench,
    running: &Running,
    which: std::ops::Range<usize>,
    per_second: u32,
    round: u64,
) -> Order {
    let numbers = bench.organizations[which].iter().map(|org| org.number.clone()).collect();
    let seed = mix((u64::from(std::process::id()) << 16) + (round << 8) + u64::from(per_second));
    let (path, secret) = ("/hooks/meta".to_owned(), SECRET.to_owned());
    let what = What::Webhooks { path, secret, numbers, people: 200, seed };
    Order {
        port: running.port,
        connections: 64,
        warm_up: WARM_UP,
        measured: MEASURED,
        per_second,
        what,
    }
}

async fn alone(bench: &Bench, running: &Running, round: u64) -> Result {
    let order = order(bench, running, SENDING..ORGANIZATIONS, PER_SECOND, round);
    tokio::task::spawn_blocking(move || generate(&order, || {})).await.unwrap()
}

/// What the others' webhooks and those of the tenants that send met while bulks were accepted, one after the other in each of
/// their clients.
async fn with_bulks(
    bench: &Bench,
    running: &Running,
    round: u64,
    campaign: &Arc<Campaign>,
) -> (Result, Result) {
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..BULKS {
        let which = client % SENDING;
        let org = (bench.organizations[which].id.to_string(), bench.keys[which].clone());
        let (campaign, stop) = (Arc::clone(campaign), Arc::clone(&stop));
        let url = format!("http://127.0.0.1:{}/api/v1/messages/bulk", running.port);
        clients.spawn(async move { campaign.send(&url, &org, &stop).await });
    }
    let others = order(bench, running, SENDING..ORGANIZATIONS, PER_SECOND, round + 100);
    let senders = order(bench, running, 0..RECEIVING, OWN_PER_SECOND, round + 100);
    let others = tokio::task::spawn_blocking(move || generate(&others, || {}));
    let senders = tokio::task::spawn_blocking(move || generate(&senders, || {}));
    let results = (others.await.unwrap(), senders.await.unwrap());
    stop.store(true, Ordering::Relaxed);
    clients.join_all().await;
    results
}

/// What all bulks have done.
#[derive(Default)]
struct Campaign {
    people: AtomicU64,
    accepted: AtomicU64,
    told_to_wait: AtomicU64,
}

impl Campaign {
    async fn send(&self, url: &str, (org, key): &(String, String), stop: &AtomicBool) {
        let http = reqwest::Client::new();
        while !stop.load(Ordering::Relaxed) {
            let first = self.people.fetch_add(1_000, Ordering::Relaxed);
            let messages: Vec<Value> = (first..first + 1_000).map(message).collect();
            let request = http.post(url).json(&json!({ "messages": messages }));
            let response = request.bearer_auth(key).header("x-org-id", org).send().await.unwrap();
            match response.status() {
                StatusCode::ACCEPTED => {
                    let answer: Value = response.json().await.unwrap();
                    assert_eq!(answer["refused"], 0, "{}", answer["results"][999]);
                    self.accepted.fetch_add(1_000, Ordering::Relaxed);
                }
                StatusCode::TOO_MANY_REQUESTS => {
                    self.told_to_wait.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                other => panic!("{other}: {}", response.text().await.unwrap()),
            }
        }
    }
}

/// Each to somebody new: the most that a message can cost.
fn message(number: u64) -> Value {
    json!({ "channel": "whatsapp", "to": format!("+55219{:08}", 10_000_000 + number % 80_000_000),
            "content": { "kind": "template", "name": "hello_world", "language": "en_US",
                         "variables": { "1": format!("Person {number}") } } })
}
