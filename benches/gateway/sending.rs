//! Sending: from accepted to `sent` in the store, how soon a single message leaves, how claiming fares with a million rows
//! queued, and how much memory a long queue takes. The providers' emulators run in a process of their own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use providers::Channel;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use switchboard::clock::{Clock, Timestamp};
use switchboard::config::Config;
use switchboard::flow::{Actor, access, accounts, organizations, routes};
use switchboard::gateway::Gateway;
use switchboard::model::{ClaimId, Lane, NewOrganization, OrganizationId, Scope};
use switchboard::sandbox::{self, RecordedAccount};
use switchboard::store::sending::claim::{self, Claim};

use crate::prepare::{self, Bench, Org, Running};
use crate::process;

/// How many messages the throughput is measured with.
const MESSAGES: usize = 10_000;
/// How many messages are sent one by one on an idle system.
const SINGLE: usize = 300;
/// How many messages wait while the memory is measured.
const WAITING: usize = 100_000;

/// The emulators.
struct Emulators {
    child: Child,
    base: String,
}

impl Emulators {
    fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut child = Command::new(std::env::var("BENCH_PROGRAM").expect("run ./benches/run"))
            .args(["sandbox", "--unthrottled", "--listen", &format!("127.0.0.1:{port}")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.next().unwrap().unwrap().contains("listens"));
        std::thread::spawn(move || lines.count());
        Self { child, base: format!("http://127.0.0.1:{port}") }
    }
}

impl Drop for Emulators {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client of the gateway for one organization.
#[derive(Clone)]
struct Crm {
    http: reqwest::Client,
    base: String,
    org: OrganizationId,
    key: String,
}

impl Crm {
    async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.base)).json(body);
        let request = request.bearer_auth(&self.key).header("x-org-id", self.org.to_string());
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.text().await.unwrap());
        response.json().await.unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}{path}", self.base));
        let request = request.bearer_auth(&self.key).header("x-org-id", self.org.to_string());
        request.send().await.unwrap().json().await.unwrap()
    }

    /// Accepts `count` messages to different people, a thousand at a time.
    async fn campaign(&self, first: usize, count: usize) {
        for start in (first..first + count).step_by(1_000) {
            let messages: Vec<Value> =
                (start..(start + 1_000).min(first + count)).map(message).collect();
            let answer = self.post("/api/v1/messages/bulk", &json!({ "messages": messages })).await;
            assert_eq!(answer["refused"], 0, "{}", answer["results"][0]);
        }
    }

    /// How many messages are still to be sent.
    async fn waiting(&self) -> i64 {
        let queue = self.get("/api/v1/queue").await;
        let lanes = queue["items"].as_array().unwrap();
        lanes
            .iter()
            .map(|l| l["due"]["count"].as_i64().unwrap() + l["claimed"]["count"].as_i64().unwrap())
            .sum()
    }
}

fn message(number: usize) -> Value {
    json!({ "channel": "whatsapp", "to": format!("+55119{:08}", 10_000_000 + number),
            "content": { "kind": "template", "name": "hello_world", "language": "en_US" } })
}

/// Two organizations whose Meta accounts are those that the emulators know.
async fn organizations_at(emulators: &Emulators, name: &str, url: &str, pace: &str) -> Bench {
    let folder = prepare::folder(name);
    let overrides = [
        format!("data.dir={}", folder.display()),
        format!("database.url={url}"),
        "log.level=error".to_owned(),
    ];
    let config = Config::load(None, &overrides).unwrap();
    let store = switchboard::gateway::open_store(&config).await.unwrap();
    store.migrate().await.unwrap();
    store.close().await;
    let gateway = Gateway::start(config, Clock::System).await.unwrap();
    let (mut made, mut keys) = (Vec::new(), Vec::new());
    for recorded in sandbox::accounts(providers::provider("meta").unwrap()) {
        // Only the first has this pace.
        let pace = if made.is_empty() { pace } else { "1000" };
        let id = organization(&gateway, emulators, recorded, pace).await;
        let actor = Actor::operator(id);
        let key = access::create_key(&gateway, &actor, "bench", Scope::ALL.to_vec(), None).await;
        keys.push(key.unwrap().secret);
        made.push(Org { id, number: String::new() });
    }
    gateway.stop().await;
    Bench { folder, url: url.to_owned(), organizations: made, keys }
}

async fn organization(
    gateway: &Gateway,
    emulators: &Emulators,
    mut recorded: RecordedAccount,
    pace: &str,
) -> OrganizationId {
    let new = NewOrganization {
        name: recorded.organization.clone(),
        plan_tier: "bench".to_owned(),
        default_country: None,
    };
    let id = organizations::create(gateway, new).await.unwrap().id;
    let actor = Actor::operator(id);
    recorded.settings.insert("base_url".to_owned(), format!("{}/meta", emulators.base));
    recorded.settings.insert("messages_per_second".to_owned(), pace.to_owned());
    let account = accounts::NewAccount {
        provider: "meta".to_owned(),
        name: "Meta".to_owned(),
        settings: recorded.settings,
        credentials: recorded.secrets.into_iter().map(|(n, s)| (n, s.into())).collect(),
    };
    let account = accounts::create(gateway, &actor, account).await.unwrap();
    for route in recorded.routes {
        let route = routes::NewRoute {
            account_id: account.id,
            channel: route.channel,
            address: route.address,
            handle: route.handle,
            state: Some("active".to_owned()),
        };
        routes::create(gateway, &actor, route).await.unwrap();
    }
    id
}

fn crm(bench: &Bench, running: &Running, which: usize) -> Crm {
    Crm {
        http: reqwest::Client::new(),
        base: format!("http://127.0.0.1:{}", running.port),
        org: bench.organizations[which].id,
        key: bench.keys[which].clone(),
    }
}

const ALLOW: &str = "outgoing.allow=127.0.0.1/32";

pub async fn measure() {
    println!("\n## Sending (emulators in a process of their own)\n");
    println!("| what | figure |\n| --- | --- |");
    let emulators = Emulators::start();
    throughput(&emulators, "PostgreSQL", &prepare::database("sending").await).await;
    latency(&emulators, "PostgreSQL", &prepare::database("sending").await).await;
    let file = prepare::folder("latency-db").join("switchboard.db");
    latency(&emulators, "SQLite", &format!("sqlite:{}", file.display())).await;
    claiming(&emulators).await;
    memory(&emulators, &prepare::database("sending").await).await;
    let file = prepare::folder("sending-db").join("switchboard.db");
    throughput(&emulators, "SQLite", &format!("sqlite:{}", file.display())).await;
}

/// The throughput on SQLite alone, for looking into.
pub async fn on_sqlite() {
    println!("| what | figure |\n| --- | --- |");
    let file = prepare::folder("sending-db").join("switchboard.db");
    throughput(&Emulators::start(), "SQLite", &format!("sqlite:{}", file.display())).await;
}

/// From accepted to `sent` in the store, over one number and over two.
async fn throughput(emulators: &Emulators, engine: &str, url: &str) {
    let bench = organizations_at(emulators, "sending", url, "1000").await;
    let running = Running::start(&bench, &[ALLOW, "sending.enabled=false"]);
    for which in 0..2 {
        crm(&bench, &running, which).campaign(which * 1_000_000, MESSAGES).await;
    }
    drop(running);
    // All are accepted; from here on they are sent.
    let port = prepare::cluster_port();
    let running = Running::start(&bench, &[ALLOW]);
    let crms = [crm(&bench, &running, 0), crm(&bench, &running, 1)];
    let (began, cpu) = (Instant::now(), (process::cpu(running.id()), process::postgres_cpu(port)));
    while crms[0].waiting().await + crms[1].waiting().await > 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    let thousands = (2 * MESSAGES) as f64 / 1_000.0;
    println!(
        "| {engine}: {} messages of two numbers, from accepted to `sent` | {:.0} a second; gateway {:.3}, database {:.3} CPU s/1000 |",
        2 * MESSAGES,
        (2 * MESSAGES) as f64 / seconds,
        (process::cpu(running.id()) - cpu.0) / thousands,
        (process::postgres_cpu(port) - cpu.1) / thousands,
    );
    let began = Instant::now();
    crms[0].campaign(2_000_000, MESSAGES / 2).await;
    while crms[0].waiting().await > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let rate = (MESSAGES / 2) as f64 / began.elapsed().as_secs_f64();
    println!(
        "| {engine}: {} messages of one number, accepting included (its pace is 1000 a second) | {rate:.0} a second |",
        MESSAGES / 2
    );
}

/// How soon a single message leaves on an idle system.
async fn latency(emulators: &Emulators, engine: &str, url: &str) {
    let bench = organizations_at(emulators, "latency", url, "1000").await;
    let running = Running::start(&bench, &[ALLOW]);
    let crm = crm(&bench, &running, 0);
    let mut took: Vec<f64> = Vec::with_capacity(SINGLE);
    for number in 0..SINGLE {
        took.push(one(&crm, emulators, 3_000_000 + number).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    took.sort_by(f64::total_cmp);
    let at = |share: f64| took[((took.len() as f64 * share) as usize).min(took.len() - 1)];
    println!(
        "| {engine}: a single message, from our 202 to the provider's acceptance, idle | p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms |",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

/// Memory while a long campaign waits.
async fn memory(emulators: &Emulators, url: &str) {
    let bench = organizations_at(emulators, "memory", url, "1").await;
    let running = Running::start(&bench, &[ALLOW]);
    let crm = crm(&bench, &running, 0);
    crm.campaign(0, 10_000).await;
    let early = process::memory(running.id()).0;
    crm.campaign(10_000, WAITING - 10_000).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (now, highest) = process::memory(running.id());
    let other = self::crm(&bench, &running, 1);
    let mut took: Vec<f64> = Vec::new();
    for number in 0..30 {
        took.push(one(&other, emulators, 4_000_000 + number).await);
    }
    took.sort_by(f64::total_cmp);
    println!(
        "| PostgreSQL: another organization's single message meanwhile, from our 202 to the provider's acceptance | p50 {:.1} ms, max {:.1} ms |",
        took[took.len() / 2],
        took[took.len() - 1]
    );
    println!(
        "| PostgreSQL: memory while {WAITING} messages wait | {now:.0} MB ({early:.0} MB at 10,000, highest {highest:.0} MB) |"
    );
}

/// How long claiming takes with few and with a million messages queued.
async fn claiming(emulators: &Emulators) {
    let url = prepare::database("claiming").await;
    let bench = organizations_at(emulators, "claiming", &url, "1000").await;
    let organization = bench.organizations[0].id;
    let mut owner = PgConnection::connect(&url).await.unwrap();
    let mut times = Vec::new();
    for (from, to) in [(0, 10_000), (10_000, 1_000_000)] {
        queue_up(&mut owner, organization, from, to).await;
        times.push(claim_time(&bench, organization).await);
    }
    println!(
        "| PostgreSQL: claiming 64 messages, 10,000 and 1,000,000 queued | {:.2} ms and {:.2} ms: {:.2} times |",
        times[0],
        times[1],
        times[1] / times[0]
    );
}

async fn queue_up(owner: &mut PgConnection, organization: OrganizationId, from: i64, to: i64) {
    let range = format!("generate_series({from}, {})", to - 1);
    let statements = [
        format!(
            "insert into contact_identities (organization_id, id, contact_id, kind, value, match_key, created_at)
             select '{organization}', md5('i' || n)::uuid, md5('c' || n)::uuid, 'phone', '+5511' || n, '5511' || n, now()
             from {range} n"
        ),
        format!(
            "insert into outbound (organization_id, message_id, channel, identity_id, state, bulk, due_at, expires_at,
                 content, created_at, updated_at)
             select '{organization}', md5('m' || n)::uuid, 'whatsapp', md5('i' || n)::uuid, 'due', true,
                 now() - interval '1 hour' + n * interval '1 millisecond', now() + interval '1 day',
                 '{{\"kind\": \"text\", \"body\": \"Bom dia!\"}}', now(), now() from {range} n"
        ),
        "vacuum analyze outbound".to_owned(),
    ];
    for sql in statements {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *owner).await.unwrap();
    }
}

/// The median of claims that are rolled back.
async fn claim_time(bench: &Bench, organization: OrganizationId) -> f64 {
    let overrides =
        [format!("data.dir={}", bench.folder.display()), format!("database.url={}", bench.url)];
    let config = Config::load(None, &overrides).unwrap();
    let store = switchboard::gateway::open_store(&config).await.unwrap();
    let lane = Lane { organization_id: organization, channel: Channel::Whatsapp };
    let mut times = Vec::new();
    for _ in 0..200 {
        let now = Clock::System.now();
        let id = ClaimId { worker: uuid::Uuid::nil(), claim: uuid::Uuid::nil() };
        let how = Claim {
            id,
            now,
            limit: 64,
            held_back_since: now - chrono::TimeDelta::minutes(10),
            step_back_to: now,
        };
        let mut session = store.write(organization).await.unwrap();
        let began = Instant::now();
        let (claimed, _) = claim::claim(&mut session, lane, &how).await.unwrap();
        let next = claim::next_due(&mut session, lane).await.unwrap();
        times.push(began.elapsed().as_secs_f64() * 1_000.0);
        assert_eq!((claimed.len(), next.is_some()), (64, true));
        drop(session);
    }
    store.close().await;
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Sends one message; returns the milliseconds from our 202 to the provider's acceptance.
async fn one(crm: &Crm, emulators: &Emulators, number: usize) -> f64 {
    let accepted = crm.post("/api/v1/messages", &message(number)).await;
    let answered = Clock::System.now();
    let id = accepted["id"].as_str().unwrap().to_owned();
    let url = format!("{}/control/messages?ours={id}", emulators.base);
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        assert!(Instant::now() < deadline, "message {id} is not sent");
        let found: Value = crm.http.get(&url).send().await.unwrap().json().await.unwrap();
        let found = found.as_array().or(found["messages"].as_array()).cloned().unwrap_or_default();
        if let Some(at) = found.first().and_then(|message| message["at"].as_str()) {
            let at = at.parse::<Timestamp>().unwrap();
            return (at - answered).num_microseconds().unwrap_or_default() as f64 / 1_000.0;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
