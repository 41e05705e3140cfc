//! Durable intake of webhooks: everything is stored (raw request, message, identity, event), fsync on.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::load::{Order, Result, What};
use crate::prepare::{self, Bench, Running, SECRET};
use crate::{MEASURED, WARM_UP, floor, process};

const ORGANIZATIONS: usize = 100;

/// People who write to each organization's number.
const PEOPLE: u64 = 200;

/// A measurement with what it cost.
pub struct Measured {
    pub result: Result,
    gateway_cpu: f64,
    database_cpu: f64,
    memory: (f64, f64),
}

pub async fn on_postgres() {
    println!("\n## Intake, PostgreSQL (fsync on)\n");
    println!("{HEADING}");
    for connections in [32, 128] {
        let floor = floor::measure(connections).await;
        println!(
            "| floor: single-row inserts, {connections} connections | {floor:.0} | 1.00 | | | | | | | |"
        );
        for (what, people, own) in [
            ("from 20,000 people, account's URL", PEOPLE, true),
            ("from 20,000 people, shared URL", PEOPLE, false),
            ("all from somebody new, account's URL", 0, true),
        ] {
            let url = prepare::database("intake").await;
            let folder = prepare::folder("intake");
            let bench = prepare::organizations(&folder, &url, ORGANIZATIONS).await;
            let measured = measure(&bench, connections, people, own, &[]).await;
            row(&format!("webhooks {what}, {connections} connections"), &measured, Some(floor));
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
        let measured = measure(&bench, connections, PEOPLE, true, &[]).await;
        row(&format!("webhooks from 20,000 people, {connections} connections"), &measured, None);
        let _ = std::fs::remove_dir_all(&folder);
    }
}

/// One measurement on PostgreSQL, with settings of one's own.
pub async fn one(arguments: &[String]) {
    let (connections, people) = (arguments[0].parse().unwrap(), arguments[1].parse().unwrap());
    let settings: Vec<&str> = arguments[2..].iter().map(String::as_str).collect();
    let url = prepare::database("intake").await;
    let bench = prepare::organizations(&prepare::folder("one"), &url, ORGANIZATIONS).await;
    let measured = measure(&bench, connections, people, true, &settings).await;
    println!("{HEADING}");
    row(&format!("{connections} connections {settings:?}"), &measured, None);
}

const HEADING: &str = "| what | per second | of floor | p50 ms | p99 ms | max ms | not 200 | gateway CPU s/1000 | database CPU s/1000 | load CPU s/1000 | gateway memory MB (highest) |\n\
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |";

fn row(what: &str, measured: &Measured, floor: Option<f64>) {
    let Measured { result, gateway_cpu, database_cpu, memory } = measured;
    let share = floor.map_or(String::new(), |floor| format!("{:.2}", result.rate() / floor));
    let thousands = result.answered as f64 / 1_000.0;
    println!(
        "| {what} | {:.0} | {share} | {:.2} | {:.2} | {:.1} | {} | {:.4} | {:.4} | {:.4} | {:.0} ({:.0}) |",
        result.rate(),
        result.p50_ms,
        result.p99_ms,
        result.max_ms,
        result.refused,
        gateway_cpu / thousands,
        database_cpu / thousands,
        result.cpu / thousands,
        memory.0,
        memory.1,
    );
}

async fn measure(
    bench: &Bench,
    connections: usize,
    people: u64,
    own_url: bool,
    settings: &[&str],
) -> Measured {
    let running = Running::start(bench, settings);
    let (path, numbers) = if own_url {
        // All accounts share the application's key, so any account's URL takes all numbers.
        let url = own_path(bench).await;
        (url, bench.organizations.iter().map(|org| org.number.clone()).collect())
    } else {
        (
            "/hooks/meta".to_owned(),
            bench.organizations.iter().map(|org| org.number.clone()).collect(),
        )
    };
    let what = What::Webhooks {
        path,
        secret: SECRET.to_owned(),
        numbers,
        people,
        seed: u64::from(std::process::id()),
    };
    let order =
        Order { port: running.port, connections, warm_up: WARM_UP, measured: MEASURED, what };
    let port = prepare::cluster_port();
    let before = std::sync::Mutex::new((0.0, 0.0));
    let result = generate(&order, || {
        *before.lock().unwrap() = (process::cpu(running.id()), process::postgres_cpu(port));
    });
    let (gateway_before, database_before) = *before.lock().unwrap();
    Measured {
        gateway_cpu: process::cpu(running.id()) - gateway_before,
        database_cpu: process::postgres_cpu(port) - database_before,
        memory: process::memory(running.id()),
        result,
    }
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

/// Runs the load generator in a process of its own; `begun` is called when it begins to measure.
pub fn generate(order: &Order, begun: impl FnOnce()) -> Result {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("load")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    serde_json::to_writer(child.stdin.take().unwrap(), order).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "measuring");
    begun();
    let result = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    child.wait().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    result
}
