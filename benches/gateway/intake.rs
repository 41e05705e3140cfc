//! Durable intake of webhooks: everything is stored (raw request, message, identity, event), fsync on.

use std::time::Duration;

use crate::floor::Floor;
use crate::load::{Order, What, mix};
use crate::prepare::{self, Bench, Running, SECRET};
use crate::turns::{self, Turns};
use crate::{MEASURED, WARM_UP, process};

const ORGANIZATIONS: usize = 100;

/// People who write to each organization's number.
const PEOPLE: u64 = 200;

/// What was measured, and the gateway's memory: now, and at its highest.
pub struct Measured {
    turns: Turns,
    memory: (f64, f64),
}

pub async fn on_postgres() {
    println!("\n## Intake, PostgreSQL (fsync on)\n");
    println!("{HEADING}");
    for connections in [32, 128] {
        for (what, people, own) in [
            ("from 20,000 people, account's URL", PEOPLE, true),
            ("from 20,000 people, shared URL", PEOPLE, false),
            ("all from somebody new, account's URL", 0, true),
        ] {
            let url = prepare::database("intake").await;
            let folder = prepare::folder("intake");
            let bench = prepare::organizations(&folder, &url, ORGANIZATIONS).await;
            let floor = Floor::new().await;
            let measured = measure(&bench, Some(&floor), connections, people, own, &[]).await;
            row(&format!("{what}, {connections} connections"), &measured);
        }
    }
}

pub async fn on_sqlite() {
    println!("\n## Intake, SQLite (WAL, synchronous FULL)\n");
    println!("{HEADING}");
    for connections in [32, 128] {
        let folder = prepare::folder("sqlite");
        let url = format!("sqlite:{}", folder.join("switchboard.db").display());
        let bench = prepare::organizations(&folder, &url, ORGANIZATIONS).await;
        let measured = measure(&bench, None, connections, PEOPLE, true, &[]).await;
        row(&format!("from 20,000 people, {connections} connections"), &measured);
        let _ = std::fs::remove_dir_all(&folder);
    }
}

/// One measurement on PostgreSQL, with settings of one's own.
pub async fn one(arguments: &[String]) {
    let (connections, people) = (arguments[0].parse().unwrap(), arguments[1].parse().unwrap());
    let settings: Vec<&str> = arguments[2..].iter().map(String::as_str).collect();
    let url = prepare::database("intake").await;
    let bench = prepare::organizations(&prepare::folder("one"), &url, ORGANIZATIONS).await;
    let measured = measure(&bench, None, connections, people, true, &settings).await;
    println!("{HEADING}");
    row(&format!("{connections} connections {settings:?}"), &measured);
}

const HEADING: &str = "| what | floor | per second | of floor | p50 ms | p99 ms | max ms | not 200 | gateway CPU s/1000 | database CPU s/1000 | gateway memory MB (highest) |\n\
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |";

fn row(what: &str, Measured { turns, memory }: &Measured) {
    let (floor, share) = match turns.share() {
        Some((share, least, most)) => (
            format!("{:.0}", turns::rate(&turns.base)),
            format!("{share:.2} ({least:.2} to {most:.2})"),
        ),
        None => (String::new(), String::new()),
    };
    let (gateway, database) = turns::costs(&turns.gateway);
    println!(
        "| {what} | {floor} | {:.0} | {share} | {:.2} | {:.2} | {:.1} | {} | {gateway:.3} | {database:.3} | {:.0} ({:.0}) |",
        turns::rate(&turns.gateway),
        turns.median_of(|result| result.p50_ms),
        turns.median_of(|result| result.p99_ms),
        turns.highest_ms(),
        turns.refused(),
        memory.0,
        memory.1,
    );
}

async fn measure(
    bench: &Bench,
    floor: Option<&Floor>,
    connections: usize,
    people: u64,
    own_url: bool,
    settings: &[&str],
) -> Measured {
    let running = Running::start(bench, settings);
    // All accounts share the application's key, so any account's URL takes all numbers.
    let path = if own_url { own_path(bench).await } else { "/hooks/meta".to_owned() };
    let numbers: Vec<String> = bench.organizations.iter().map(|org| org.number.clone()).collect();
    let port = running.port;
    let order = |round: u64| {
        // Far apart, so that nobody is met twice who should be somebody new.
        let seed = mix((u64::from(std::process::id()) << 8) + round);
        let (path, numbers, secret) = (path.clone(), numbers.clone(), SECRET.to_owned());
        let what = What::Webhooks { path, secret, numbers, people, seed };
        // The people are made known before it counts.
        let warm_up = if round == 0 { Duration::ZERO } else { WARM_UP };
        Order { port, connections, warm_up, measured: MEASURED, per_second: 0, what }
    };
    let base = floor.map(|floor| async move |round| floor.measure(connections, round).await);
    let turns = turns::take(base, &running, order).await;
    Measured { turns, memory: process::memory(running.id()) }
}

async fn own_path(bench: &Bench) -> String {
    let client = bench.organizations[0].clone();
    let config = switchboard::config::Config::load(
        None,
        &[format!("data.dir={}", bench.folder.display()), format!("database.url={}", bench.url)],
    )
    .unwrap();
    let store = switchboard::gateway::open_store(&config).await.unwrap();
    let mut session = store.read(client.id).await.unwrap();
    let accounts = switchboard::store::accounts::list(&mut session, client.id).await.unwrap();
    drop(session);
    store.close().await;
    format!("/hooks/meta/{}", accounts[0].account.id)
}
