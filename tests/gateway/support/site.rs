//! The real program as child processes, and the emulators they send through: what is killed here is really dead.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use switchboard::sandbox::{Sandbox, SandboxAccount, SandboxOptions, SandboxRoute, Strictness};

use super::client::Client;
use super::program::{Program, free_port};
use super::{Database, recorded_account};

/// How long anything may take that must happen.
const PATIENCE: Duration = Duration::from_secs(40);

/// Programs on one database, and Meta.
pub struct Site {
    pub database: Database,
    pub sandbox: Sandbox,
    pub client: Client,
    /// What accepts messages; empty while a program is dead.
    pub programs: Vec<Option<Program>>,
    ports: Vec<u16>,
    settings: Vec<String>,
}

/// What became of messages.
#[derive(Debug, Default)]
pub struct Tally {
    /// Answered 202.
    pub accepted: usize,
    /// By status.
    pub statuses: BTreeMap<String, usize>,
    /// Answered 202, and neither at the provider nor known to be in doubt.
    pub lost: Vec<String>,
    /// At the provider more than once.
    pub doubled: usize,
    /// In doubt at some time.
    pub ever_unknown: i64,
}

impl Site {
    /// So many programs on this database, and an account that may send so many messages a second.
    pub async fn start(database: Database, programs: usize, per_second: u32) -> Self {
        let ports: Vec<u16> = (0..programs).map(|_| free_port()).collect();
        let options = SandboxOptions {
            fixtures: false,
            status_delay_ms: (5, 40),
            retry_pause: Duration::from_millis(100),
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(options).await.unwrap();
        let base = format!("http://127.0.0.1:{}", ports[0]);
        let settings = [
            "outgoing.allow=127.0.0.1/32".to_owned(),
            "sending.worker_timeout_ms=3000".to_owned(),
            format!("server.public_url={base}"),
        ];
        let settings = settings.to_vec();
        let first = serve(&database, ports[0], &settings).await;
        let client = Client::aurora(&database, &first);
        let mut site =
            Self { database, sandbox, client, programs: vec![Some(first)], ports, settings };
        for place in 1..programs {
            site.programs.push(None);
            site.revive(place).await;
        }
        site.connect(per_second).await;
        site
    }

    async fn connect(&self, per_second: u32) {
        let mut account = recorded_account(&providers::meta::PROVIDER, "aurora");
        let route = account.routes.remove(0);
        let line = SandboxRoute {
            channel: route.channel.clone(),
            address: route.address.clone(),
            handle: route.handle.clone(),
        };
        let known = SandboxAccount {
            provider: "meta".to_owned(),
            settings: account.settings.clone(),
            secrets: account.secrets.clone(),
            signing_secret: account.signing_secret,
            routes: vec![line],
            webhook_url: Some(format!("{}/hooks/meta", self.client.base)),
            limits: Some(Strictness::NONE),
        };
        self.sandbox.add_account(known).unwrap();
        account.settings.insert("base_url".to_owned(), self.sandbox.base_url("meta"));
        account.settings.insert("messages_per_second".to_owned(), per_second.to_string());
        let body = json!({ "provider": "meta", "name": "Meta", "settings": account.settings,
                           "credentials": account.secrets });
        let created = self.client.post("/api/v1/accounts", body).await;
        let body = json!({ "account_id": created["id"], "channel": "whatsapp", "address": route.address,
                           "handle": route.handle, "state": "active" });
        self.client.post("/api/v1/routes", body).await;
    }

    /// `kill -9`.
    pub fn kill(&mut self, place: usize) {
        self.programs[place].take().unwrap().kill();
    }

    /// Starts a dead program again, where it was.
    pub async fn revive(&mut self, place: usize) {
        self.programs[place] = Some(serve(&self.database, self.ports[place], &self.settings).await);
    }

    /// The client of each program.
    pub fn clients(&self) -> Vec<Client> {
        let at =
            |port: &u16| Client { base: format!("http://127.0.0.1:{port}"), ..self.client.clone() };
        self.ports.iter().map(at).collect()
    }

    /// Accepts one template to somebody; returns its id.
    pub async fn send(&self, person: usize) -> String {
        let accepted = self.client.post("/api/v1/messages", template(person)).await;
        accepted["id"].as_str().unwrap().to_owned()
    }

    pub async fn status(&self, id: &str) -> String {
        let message = self.client.get(&format!("/api/v1/messages/{id}")).await;
        message["status"].as_str().unwrap().to_owned()
    }

    /// Returns when a message has this status.
    pub async fn reaches(&self, id: &str, status: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.status(id).await;
            if found == status {
                return;
            }
            assert!(Instant::now() < deadline, "{id} is {found} and not {status}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Returns when a count over the database is this one.
    pub async fn counts(&self, sql: &str, wanted: i64) {
        let deadline = Instant::now() + PATIENCE;
        while self.database.scalar(sql).await != wanted {
            assert!(Instant::now() < deadline, "{sql}: not {wanted}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until nothing is left to be sent and every webhook has come, and counts what became of these messages.
    pub async fn tally(&self, ids: &[String]) -> Tally {
        self.counts("select count(*) from outbound where state in ('due', 'claimed')", 0).await;
        let settled = tokio::time::timeout(PATIENCE, self.sandbox.settled()).await;
        settled.expect("webhooks are still to come");
        let indeterminate =
            "select count(distinct message_id) from send_attempts where outcome = 'indeterminate'";
        let mut tally = Tally {
            accepted: ids.len(),
            ever_unknown: self.database.scalar(indeterminate).await,
            doubled: self.sandbox.counts().doubled.len(),
            ..Tally::default()
        };
        let listed = self.client.communications().await;
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        let found: BTreeMap<String, String> =
            listed.iter().map(|item| (word(&item["id"]), word(&item["status"]))).collect();
        for id in ids {
            let status = found.get(id).map_or("missing", String::as_str);
            *tally.statuses.entry(status.to_owned()).or_default() += 1;
            let is_well = match (status, self.sandbox.count_of(id)) {
                ("sent" | "delivered" | "read", count) => count >= 1,
                // What the provider has tells of itself by its webhooks.
                ("unknown", count) => count == 0,
                _ => false,
            };
            if !is_well {
                tally.lost.push(format!("{id}: {status}"));
            }
        }
        tally
    }
}

impl Tally {
    /// Nothing lost, nothing doubled. With `--nocapture`, prints a line for the table of faults.
    #[expect(clippy::print_stdout, reason = "the figures are for people")]
    #[track_caller]
    pub fn check(&self, fault: &str, times: usize) {
        let unknown = self.statuses.get("unknown").copied().unwrap_or_default();
        println!(
            "| {fault} | {} messages, {times} times | lost {} | doubled {} | unknown {}, of which resolved {} | {:?} |",
            self.accepted,
            self.lost.len(),
            self.doubled,
            self.ever_unknown,
            self.ever_unknown - i64::try_from(unknown).unwrap(),
            self.statuses,
        );
        assert!(self.lost.is_empty(), "{:?}", self.lost);
        assert_eq!(self.doubled, 0);
    }
}

async fn serve(database: &Database, port: u16, settings: &[String]) -> Program {
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    Program::serve_at(database, port, &settings).await
}

/// A template to one of a hundred million people, as the API takes it.
pub fn template(person: usize) -> Value {
    json!({ "channel": "whatsapp", "to": format!("+55119{:08}", 80_000_000 + person),
            "content": { "kind": "template", "name": "hello_world", "language": "en_US" } })
}

/// Has messages accepted, each to somebody else, until there are so many and it is told to stop; returns the ids of those
/// that were answered 202. Programs may be dead meanwhile, and what was asked of them then is not known.
pub async fn campaign(clients: Vec<Client>, least: usize, stop: Arc<AtomicBool>) -> Vec<String> {
    let people = AtomicUsize::new(0);
    let mut ids = Vec::new();
    for client in clients.iter().cycle() {
        let first = people.fetch_add(20, Ordering::Relaxed);
        let messages: Vec<Value> = (first..first + 20).map(template).collect();
        let body = Some(json!({ "messages": messages }));
        let answer = client.try_call(reqwest::Method::POST, "/api/v1/messages/bulk", body).await;
        match answer {
            Some((202, body)) => {
                let results = body["results"].as_array().unwrap();
                ids.extend(results.iter().map(|one| one["id"].as_str().unwrap().to_owned()));
            }
            Some((status, body)) => assert_eq!(status, 503, "{body}"),
            None => {}
        }
        if ids.len() >= least && stop.load(Ordering::Relaxed) {
            break;
        }
        // The load goes on for as long as programs are killed.
        tokio::time::sleep(Duration::from_millis(if ids.len() >= least { 200 } else { 20 })).await;
    }
    ids
}
