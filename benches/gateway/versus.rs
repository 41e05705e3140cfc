//! The program before a change against the program after it, in turns: what "no slower than 3 %" is measured by.
//!
//! Each program has databases of its own and makes everything in them itself, over its command line and its API, so that two
//! versions with different schemas can be compared.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::load::{Order, Result, What, generate, mix};
use crate::prepare::{self, SECRET, free_port, wait_for};
use crate::{MEASURED, WARM_UP, process};

/// How often each program has its turn, of each kind.
const ROUNDS: usize = 20;
const ORGANIZATIONS: usize = 5;
const PEOPLE: u64 = 50;
/// How many leads each organization has, whose timelines are read.
const LEADS: usize = 50;
const CONNECTIONS: usize = 32;
/// How long webhooks are taken before anything is measured: so many that every timeline fills a page.
const FILLED: Duration = Duration::from_secs(6);

/// One of the two, running.
struct Side {
    child: Child,
    port: u16,
    folder: PathBuf,
    /// The webhook's path, and the numbers it takes.
    path: String,
    numbers: Vec<String>,
    gets: Vec<String>,
}

impl Drop for Side {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What one program did in all its turns of one kind.
#[derive(Default)]
struct Done {
    rates: Vec<f64>,
    p99: Vec<f64>,
    cpu: f64,
    answered: f64,
    refused: u64,
}

/// Compares `BENCH_BEFORE` with `BENCH_PROGRAM` on both engines.
pub async fn measure() {
    let before = std::env::var("BENCH_BEFORE").expect("BENCH_BEFORE is the program before");
    let after = std::env::var("BENCH_PROGRAM").expect("run ./benches/run");
    println!("\n## Before and after, {ROUNDS} rounds each in turns\n");
    println!(
        "| what, {CONNECTIONS} connections | before, a second (least to most) | after, a second (least to most) | after of before, medians | the rounds' own ratios: median (least to most) | p99 ms before, after | CPU s/1000 before, after | not 200 |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    );
    for engine in ["PostgreSQL", "SQLite"] {
        let sides = [
            Side::start(&before, engine, "before").await,
            Side::start(&after, engine, "after").await,
        ];
        compare(&format!("API, {engine}"), &sides, Side::reads);
        compare(&format!("intake, {engine}"), &sides, Side::webhooks);
    }
}

fn compare(what: &str, sides: &[Side; 2], order: impl Fn(&Side, u64) -> Order) {
    let mut done = [Done::default(), Done::default()];
    for round in 1..=ROUNDS {
        let turns = if round % 2 == 1 { [0, 1] } else { [1, 0] };
        for which in turns {
            let side = &sides[which];
            let used = std::cell::Cell::new(0.0);
            let order = order(side, round as u64);
            let result = generate(&order, || used.set(process::cpu(side.child.id())));
            done[which].add(&result, process::cpu(side.child.id()) - used.get());
        }
    }
    row(what, &done);
}

impl Done {
    fn add(&mut self, result: &Result, cpu: f64) {
        self.rates.push(result.rate());
        self.p99.push(result.p99_ms);
        self.cpu += cpu;
        self.answered += result.answered as f64;
        self.refused += result.refused;
    }

    fn cost(&self) -> f64 {
        self.cpu * 1_000.0 / self.answered
    }
}

fn row(what: &str, [before, after]: &[Done; 2]) {
    let ratios: Vec<f64> = after.rates.iter().zip(&before.rates).map(|(a, b)| a / b).collect();
    let (b, a, r) = (spread(&before.rates), spread(&after.rates), spread(&ratios));
    println!(
        "| {what} | {:.0} ({:.0} to {:.0}) | {:.0} ({:.0} to {:.0}) | {:.3} | {:.3} ({:.2} to {:.2}) | {:.2}, {:.2} | {:.4}, {:.4} | {}, {} |",
        b.1,
        b.0,
        b.2,
        a.1,
        a.0,
        a.2,
        a.1 / b.1,
        r.1,
        r.0,
        r.2,
        spread(&before.p99).1,
        spread(&after.p99).1,
        before.cost(),
        after.cost(),
        before.refused,
        after.refused,
    );
}

/// The least, the median and the most.
fn spread(figures: &[f64]) -> (f64, f64, f64) {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let median = match sorted.len() % 2 {
        0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    };
    (sorted[0], median, sorted[sorted.len() - 1])
}

impl Side {
    /// Makes a database with organizations that have been written to, and runs the program on it.
    async fn start(program: &str, engine: &str, name: &str) -> Self {
        let folder = prepare::folder(&format!("versus-{name}-{engine}"));
        let url = match engine {
            "SQLite" => format!("sqlite:{}", folder.join("switchboard.db").display()),
            _ => prepare::database(&format!("versus_{name}")).await,
        };
        run(program, &folder, &url, &["migrate"]);
        let organizations: Vec<String> = (0..ORGANIZATIONS)
            .map(|index| {
                let name = format!("Organization {index}");
                run(program, &folder, &url, &["org", "create", "--name", &name])
            })
            .collect();
        let key = |organization: &String| {
            let words =
                ["key", "create", "--org", organization, "--name", "bench", "--role", "owner"];
            run(program, &folder, &url, &words)
        };
        let keys: Vec<String> = organizations.iter().map(key).collect();
        let port = free_port();
        let child = command(program, &folder, &url)
            .args(["--listen", &format!("127.0.0.1:{port}"), "serve"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        wait_for(port);
        let (path, numbers, gets) = (String::new(), Vec::new(), Vec::new());
        let mut side = Self { child, port, folder, path, numbers, gets };
        for (index, (organization, key)) in organizations.iter().zip(&keys).enumerate() {
            side.connect(index, organization, key).await;
        }
        let fill = Order { measured: FILLED, ..side.webhooks(0) };
        generate(&fill, || {});
        for (organization, key) in organizations.iter().zip(&keys) {
            side.read_leads(organization, key).await;
        }
        side
    }

    /// Gives an organization an account, all of the same application, and a number of its own.
    async fn connect(&mut self, index: usize, organization: &str, key: &str) {
        let account = json!({
            "provider": "meta", "name": "Meta", "settings": {"waba_id": "102290129340398"},
            "credentials": {"app_secret": SECRET, "verify_token": "token"},
        });
        let account = self.post("/api/v1/accounts", organization, key, &account).await;
        let id = account["id"].as_str().unwrap();
        let number = format!("{}", 106_000_000_000_000 + index);
        let route = json!({
            "account_id": id, "channel": "whatsapp", "handle": number,
            "address": format!("+5511{:08}", 40_000_000 + index),
        });
        self.post("/api/v1/routes", organization, key, &route).await;
        self.path = format!("/hooks/meta/{id}");
        self.numbers.push(number);
    }

    /// Makes leads of the people who have written, and notes what reads them: their timelines, and each list's first page.
    async fn read_leads(&mut self, organization: &str, key: &str) {
        for number in 0..LEADS {
            let phone = format!("+5511{:08}", 60_000_000 + number);
            let lead = json!({"name": format!("Lead {number}"), "phone": phone});
            let lead = self.post("/api/v1/leads", organization, key, &lead).await;
            let id = lead["id"].as_str().unwrap().to_owned();
            for path in
                [format!("/api/v1/crm/communications?lead_id={id}"), format!("/api/v1/leads/{id}")]
            {
                self.gets.push(get(&path, organization, key));
            }
        }
        for path in ["/api/v1/messages", "/api/v1/contacts"] {
            for _ in 0..LEADS / 5 {
                self.gets.push(get(path, organization, key));
            }
        }
    }

    async fn post(&self, path: &str, organization: &str, key: &str, body: &Value) -> Value {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let request = reqwest::Client::new().post(url).bearer_auth(key);
        let answer = request.header("x-org-id", organization).json(body).send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{path}: {status}: {body}");
        body
    }

    fn webhooks(&self, round: u64) -> Order {
        let seed = mix((u64::from(std::process::id()) << 8) + round);
        let (path, secret) = (self.path.clone(), SECRET.to_owned());
        let numbers = self.numbers.clone();
        self.order(What::Webhooks { path, secret, numbers, people: PEOPLE, seed })
    }

    fn reads(&self, _round: u64) -> Order {
        self.order(What::Gets { requests: self.gets.clone() })
    }

    fn order(&self, what: What) -> Order {
        Order {
            port: self.port,
            per_second: 0,
            connections: CONNECTIONS,
            warm_up: WARM_UP,
            measured: MEASURED,
            what,
        }
    }
}

fn get(path: &str, organization: &str, key: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: gateway.example.com\r\nauthorization: Bearer {key}\r\n\
         x-org-id: {organization}\r\n\r\n"
    )
}

fn command(program: &str, folder: &Path, url: &str) -> Command {
    let mut command = Command::new(program);
    command.arg("--data-dir").arg(folder).args(["--database-url", url]);
    command.args(["--set", "log.level=error"]);
    command
}

/// Runs the program once; returns the last line it prints.
fn run(program: &str, folder: &Path, url: &str, words: &[&str]) -> String {
    let output = command(program, folder, url).args(words).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    text.lines().last().unwrap_or_default().trim().to_owned()
}
