//! A log that cannot be written: its reader is dead, reads nothing, or its disk is full. No request is dropped for it.
#![cfg(unix)]

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;

use super::figure;
use crate::support::client::Client;
use crate::support::meta::{self, AURORA};
use crate::support::program::{Program, command, free_port};
use crate::support::{Database, Kind, recorded_account};

/// How many requests are made, each of which leaves lines at the level at which the program logs here.
const REQUESTS: usize = 60;

/// What becomes of standard error once the program is up.
#[derive(Debug)]
enum Stderr {
    /// Its reader dies.
    Closed,
    /// Its reader lives and reads nothing.
    Unread,
    /// Each write says that the disk is full.
    Full,
}

/// A gateway that logs much, to such a standard error. `Client` is an organization's.
async fn serve(
    database: &Database,
    stderr: &Stderr,
) -> (Program, Option<std::process::ChildStderr>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let port = free_port();
    let mut command = command(database);
    command.arg("--listen").arg(format!("127.0.0.1:{port}"));
    command
        .args(["--set", "metrics.token=figures", "--set", "log.level=trace", "serve"])
        .stdout(Stdio::null());
    match stderr {
        Stderr::Closed | Stderr::Unread => command.stderr(Stdio::piped()),
        Stderr::Full => {
            command.stderr(std::fs::File::options().write(true).open("/dev/full").unwrap())
        }
    };
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stderr.take();
    if let Stderr::Closed = stderr {
        let mut first = [0; 64];
        pipe.take().unwrap().read_exact(&mut first).unwrap();
    }
    let program = Program { child, base: format!("http://127.0.0.1:{port}") };
    let http = reqwest::Client::new();
    let deadline = Instant::now() + Duration::from_secs(30);
    while http.get(format!("{}/health", program.base)).send().await.is_err() {
        assert!(Instant::now() < deadline, "the program does not answer");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (program, pipe)
}

async fn everything_is_answered(stderr: Stderr) {
    let database = Database::create(Kind::Sqlite).await;
    let (mut program, pipe) = serve(&database, &stderr).await;
    let mut client = Client::aurora(&database, &program);
    client.http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
    let account = recorded_account(&providers::meta::PROVIDER, "aurora");
    let body = json!({ "provider": "meta", "name": "Meta", "settings": account.settings,
                       "credentials": account.secrets });
    let account_id = client.post("/api/v1/accounts", body).await["id"].as_str().unwrap().to_owned();
    let route = account.routes.first().unwrap();
    let body = json!({ "account_id": account_id, "channel": route.channel, "address": route.address,
                       "handle": route.handle });
    client.post("/api/v1/routes", body).await;
    for number in 0..REQUESTS {
        let lead =
            json!({ "name": format!("Lead {number}"), "email": format!("{number}@example.com") });
        client.post("/api/v1/leads", lead).await;
        // Each leaves a warning.
        let (status, _) =
            client.try_call(Method::GET, "/api/v1/nowhere", None).await.expect("an answer");
        assert_eq!(status, 404);
        let id = format!("wamid.{number}");
        let change = meta::change(AURORA, &[meta::text(&id, "5511987654321", &id)], &[]);
        let signed = meta::signed(
            "/hooks/meta",
            serde_json::to_vec(&meta::notification(&[change])).unwrap(),
        );
        let sent = client
            .http
            .post(format!("{}/hooks/meta", client.base))
            .headers(signed.headers().clone());
        let answer = sent.body(signed.into_body()).send().await.expect("a webhook is answered");
        assert_eq!(answer.status(), 200);
        let forged = client.http.post(format!("{}/hooks/meta", client.base)).body("{}").send();
        assert_eq!(forged.await.expect("a forged one is answered").status(), 401);
    }
    assert_eq!(client.communications().await.len(), REQUESTS);
    let leads = client.get("/api/v1/leads?limit=200").await;
    assert_eq!(leads["items"].as_array().unwrap().len(), REQUESTS);
    let metrics = client.http.get(format!("{}/metrics", client.base)).bearer_auth("figures");
    let metrics = metrics.send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let lost =
        metrics.lines().find_map(|line| line.strip_prefix("switchboard_log_lines_lost_total "));
    let lost: u64 = lost.expect("lost lines are counted").parse().unwrap();
    match stderr {
        Stderr::Closed | Stderr::Full => assert!(lost > 100, "{lost}"),
        // Thousands of lines may wait before one is lost.
        Stderr::Unread => {}
    }
    figure(
        format!("log that is {stderr:?}"),
        format!("{} requests, answered all; {lost} lines of the log lost", 4 * REQUESTS),
    );
    assert!(program.terminate().await, "it stops by itself and well");
    drop(pipe);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reader_of_the_log_is_dead() {
    everything_is_answered(Stderr::Closed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reader_of_the_log_does_not_read() {
    everything_is_answered(Stderr::Unread).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disk_of_the_log_is_full() {
    everything_is_answered(Stderr::Full).await;
}

/// A program that cannot start says so, if anybody reads it, and ends in any case.
#[tokio::test]
async fn a_last_word_that_nobody_reads_ends_the_program_all_the_same() {
    let database = Database::create(Kind::Sqlite).await;
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let status =
        command(&database).args(["--set", "no.such=setting", "serve"]).stderr(full).status();
    assert_eq!(status.unwrap().code(), Some(1));
}
