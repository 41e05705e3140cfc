//! `switchboard queue` and the metrics of sending, with the real program and the sandbox in the provider's place.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use switchboard::sandbox::{Fault, FaultKind, Inbound, On, Sandbox, SandboxOptions};

use crate::support::program::{Program, must, run};
use crate::support::{Database, Kind, recorded_account};

const PERSON: &str = "+5511987654321";

/// Aurora, with its Meta account at the sandbox, and somebody who has just written.
struct Desk {
    base: String,
    organization: String,
    key: String,
    sandbox: Sandbox,
    http: reqwest::Client,
}

impl Desk {
    async fn open(database: &Database, program: &Program) -> Self {
        let organization = must(database, &["org", "create", "--name", "Aurora"]);
        let made = ["key", "create", "--org", &organization, "--name", "test", "--role", "owner"];
        let key = must(database, &made);
        let options =
            SandboxOptions { webhooks: Some(program.base.clone()), ..SandboxOptions::default() };
        let sandbox = Sandbox::start(options).await.unwrap();
        let (base, http) = (program.base.clone(), reqwest::Client::new());
        let desk = Self { base, organization, key, sandbox, http };
        let account = recorded_account(&providers::meta::PROVIDER, "aurora");
        let mut settings = account.settings.clone();
        settings.insert("base_url".to_owned(), desk.sandbox.base_url("meta"));
        let body = json!({ "provider": "meta", "name": "Meta", "settings": settings, "credentials": account.secrets });
        let created = desk.post("/api/v1/accounts", body).await;
        let route = &account.routes[0];
        let body = json!({ "account_id": created["id"], "channel": route.channel, "address": route.address,
                           "handle": route.handle, "state": "active" });
        desk.post("/api/v1/routes", body).await;
        let inbound = Inbound {
            provider: "meta".to_owned(),
            to: Some(route.address.clone()),
            from: PERSON.to_owned(),
            text: Some("Oi".to_owned()),
            ..Inbound::default()
        };
        assert_eq!(desk.sandbox.inbound(&inbound).await.unwrap().1, [Some(200)]);
        desk
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.base)).bearer_auth(&self.key);
        let request = request.header("x-org-id", &self.organization).json(&body);
        let response = request.send().await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Sends a text; returns its id.
    async fn send(&self, words: &str) -> String {
        let body = json!({ "channel": "whatsapp", "to": PERSON, "content": { "kind": "text", "body": words } });
        self.post("/api/v1/messages", body).await["id"].as_str().unwrap().to_owned()
    }

    /// Waits until a message has one of these statuses.
    async fn until(&self, id: &str, wanted: &[&str]) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let request = self.http.get(format!("{}/api/v1/messages/{id}", self.base));
            let request = request.bearer_auth(&self.key).header("x-org-id", &self.organization);
            let message: Value = request.send().await.unwrap().json().await.unwrap();
            if wanted.contains(&message["status"].as_str().unwrap()) {
                return;
            }
            assert!(Instant::now() < deadline, "{message}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn breaks(&self, kind: FaultKind) {
        let (provider, on) = ("meta".to_owned(), On::Send);
        assert!(self.sandbox.fault(Fault {
            provider,
            account: None,
            to: None,
            next: 1,
            always: false,
            on,
            kind
        }));
    }
}

/// Waits until a command prints this.
async fn shows(database: &Database, arguments: &[&str], part: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let printed = must(database, arguments);
        if printed.contains(part) {
            return printed;
        }
        assert!(Instant::now() < deadline, "{part} is missing from:\n{printed}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn the_queue_is_shown_and_decided_about(kind: Kind) {
    let database = Database::create(kind).await;
    let settings = ["outgoing.allow=127.0.0.1", "metrics.token=for-metrics"];
    let program = Program::serve(&database, &settings).await;
    let desk = Desk::open(&database, &program).await;
    let org = desk.organization.clone();
    let arrived = ["delivered", "read"];
    let first = desk.send("one").await;
    desk.until(&first, &arrived).await;

    // Meta refuses the words of two messages: they are given up.
    for words in ["two", "three"] {
        desk.breaks(FaultKind::Status { status: 400, code: Some(131_009), retry_after: None });
        let id = desk.send(words).await;
        desk.until(&id, &["failed"]).await;
    }
    let dead = must(&database, &["queue", "dead", "--org", &org]);
    assert_eq!(dead.matches(" 131009 ").count(), 2, "{dead}");
    let id = dead.lines().last().unwrap().split_whitespace().nth(1).unwrap().to_owned();
    assert_eq!(must(&database, &["queue", "retry", "--org", &org, &id]), "1 to be sent again");
    desk.until(&id, &arrived).await;
    assert_eq!(desk.sandbox.count_of(&id), 1);
    let again = run(&database, &["queue", "retry", "--org", &org, &id]);
    assert!(!again.status.success(), "what was sent is not sent again");
    let discarded = must(&database, &["queue", "discard", "--org", &org, "--all"]);
    assert_eq!(discarded, "1 discarded");
    assert!(!must(&database, &["queue", "dead"]).contains("131009"));

    // The token is refused: the lane rests, and goes on when it is told to.
    desk.breaks(FaultKind::RevokedToken);
    let held = desk.send("four").await;
    let shown = shows(&database, &["queue"], "the account cannot send").await;
    let row = shown.lines().find(|line| line.contains(&org)).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(cells[1..4], ["Aurora", "whatsapp", "1"], "{shown}");
    assert_eq!(
        must(&database, &["queue", "resume", "--org", &org, "--channel", "whatsapp"]),
        "resumed"
    );
    desk.until(&held, &arrived).await;
    let shown = must(&database, &["queue", "--org", &org]);
    let row: Vec<&str> = shown.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(row[3..], ["0", "0", "0", "0", "3", "3", "100", "%"], "{shown}");
    let nobody = "0197d0a0-0000-7000-8000-000000000000";
    assert!(!run(&database, &["queue", "--org", nobody]).status.success());

    let metrics = reqwest::Client::new().get(format!("{}/metrics", program.base));
    let metrics = metrics.bearer_auth("for-metrics").send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for line in [
        "switchboard_send_attempts_total{provider=\"meta\",outcome=\"sent\"} 3",
        "switchboard_send_attempts_total{provider=\"meta\",outcome=\"permanent\"} 3",
        "switchboard_send_lag_seconds_count{provider=\"meta\"} 6",
        "switchboard_outbound_messages{state=\"dead\"}",
        "switchboard_outbound_oldest_seconds",
        "switchboard_lanes{state=\"unwell\"}",
    ] {
        assert!(metrics.contains(line), "{line} is missing from:\n{metrics}");
    }
}

#[tokio::test]
async fn the_queue_is_shown_and_decided_about_on_sqlite() {
    the_queue_is_shown_and_decided_about(Kind::Sqlite).await;
}

#[tokio::test]
async fn the_queue_is_shown_and_decided_about_on_postgres() {
    the_queue_is_shown_and_decided_about(Kind::Postgres).await;
}
