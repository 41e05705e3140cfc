//! What the running program tells of itself: its log and its metrics.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::client::Client;
use crate::support::meta::{self, AURORA};
use crate::support::program::Program;
use crate::support::{Database, Kind, recorded_account};

/// What nobody may read in a log or among the metrics.
const GENUINE: &str = "the genuine person's words";
const FORGED: &str = "the forger's words";
const TOKEN: &str = "a-token-for-metrics";

/// Posts a webhook with one text in it, signed with this secret; returns the answer's status and request id.
async fn post(
    client: &Client,
    secret: &str,
    request_id: Option<&str>,
    text: &str,
) -> (u16, String) {
    let change = meta::change(AURORA, &[meta::text("wamid.1", "5511987654321", text)], &[]);
    let body = serde_json::to_vec(&meta::notification(&[change])).unwrap();
    let (parts, body) = meta::signed_with(secret, "/hooks/meta", body).into_parts();
    let url = format!("{}/hooks/meta", client.base);
    let mut request = client.http.post(url).headers(parts.headers).body(body);
    if let Some(id) = request_id {
        request = request.header("x-request-id", id);
    }
    let answer = request.send().await.unwrap();
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    (answer.status().as_u16(), id)
}

/// The program's metrics, with this token.
async fn metrics(client: &Client, token: &str) -> (u16, String) {
    let request = client.http.get(format!("{}/metrics", client.base)).bearer_auth(token);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// The value of a series, whose labels may stand in any order.
fn series(metrics: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let is_it = |line: &&str| {
        let after = line.strip_prefix(name);
        after.is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    };
    let line = metrics.lines().find(is_it)?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Every line of the log, which must be JSON with a time, a level and a message.
fn log(database: &Database) -> Vec<Value> {
    let text = std::fs::read_to_string(database.folder.join("log")).unwrap();
    let read = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        for field in ["timestamp", "level", "message", "target"] {
            assert!(line[field].is_string(), "{field} is missing: {line}");
        }
        line
    };
    text.lines().map(read).collect()
}

/// A webhook whose body stops coming is given up in time, counted, and leaves a line that says which one it was.
#[tokio::test]
async fn a_webhook_that_takes_too_long_is_counted_and_logged() {
    let database = Database::create(Kind::Sqlite).await;
    let token = format!("metrics.token={TOKEN}");
    let settings = ["log.format=json", "server.request_timeout_ms=300", &token];
    let program = Program::serve(&database, &settings).await;
    let client = Client::aurora(&database, &program);
    let mut slow = TcpStream::connect(("127.0.0.1", program.port())).await.unwrap();
    // Without a signature its body would not even be waited for.
    let signature = "0".repeat(64);
    let head = format!(
        "POST /hooks/meta HTTP/1.1\r\nhost: localhost\r\nx-request-id: slow-1\r\n\
         x-hub-signature-256: sha256={signature}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{\"half\":"
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 1_024];
    let length = slow.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("slow-1"), "{answer}");
    let (_, told) = metrics(&client, TOKEN).await;
    let labels = ["provider=\"meta\"", "outcome=\"timed_out\""];
    assert_eq!(series(&told, "switchboard_webhooks_total", &labels), Some(1.0), "{told}");
    let lines = log(&database);
    let line = lines.iter().find(|line| line["id"] == "slow-1").unwrap();
    assert_eq!((&line["level"], &line["path"]), (&json!("WARN"), &json!("/hooks/meta")));
}

/// The program's metrics, once they have what is only measured from time to time.
async fn measured(client: &Client) -> String {
    for _ in 0..100 {
        let (status, told) = metrics(client, TOKEN).await;
        assert_eq!(status, 200);
        if told.contains("switchboard_quarantine_open_items ") {
            return told;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the quarantine is not measured");
}

/// One genuine webhook and one forged one can be told apart from outside, by their ids and by the figures, and what they
/// say and what opens the doors cannot be read there.
#[tokio::test]
async fn log_and_metrics_tell_what_happened_and_no_secret() {
    let database = Database::create(Kind::Sqlite).await;
    let token = format!("metrics.token={TOKEN}");
    let settings = ["log.format=json", "log.level=switchboard=debug,info", &token];
    let program = Program::serve(&database, &settings).await;
    let client = Client::aurora(&database, &program);
    let account = recorded_account(&providers::meta::PROVIDER, "aurora");
    let body = json!({ "provider": "meta", "name": "Meta", "settings": account.settings,
                       "credentials": account.secrets });
    let created = client.post("/api/v1/accounts", body).await;
    let route = &account.routes[0];
    let body = json!({ "account_id": created["id"], "channel": route.channel, "address": route.address,
                       "handle": route.handle });
    client.post("/api/v1/routes", body).await;

    let (status, genuine) = post(&client, &account.signing_secret, None, GENUINE).await;
    assert_eq!(status, 200);
    let wrong = "00112233445566778899aabbccddeeff";
    let (status, forged) = post(&client, wrong, Some("forged-1"), FORGED).await;
    assert_eq!((status, forged.as_str()), (401, "forged-1"));
    for wrong in ["", "another-token"] {
        let (status, told) = metrics(&client, wrong).await;
        assert!(status == 401 && !told.contains("switchboard_webhooks"), "{status}: {told}");
    }
    let told = measured(&client).await;
    assert_eq!(client.communications().await.len(), 1, "the forged one is not stored");

    has_figures(&told);
    let lines = log(&database);
    has_lines(&lines, &genuine, &forged);
    let written = std::fs::read_to_string(database.folder.join("log")).unwrap();
    let secrets = account.secrets.values().map(String::as_str).chain([
        account.signing_secret.as_str(),
        client.key.as_str(),
        TOKEN,
        GENUINE,
        FORGED,
        "5511987654321",
    ]);
    for secret in secrets {
        assert!(!written.contains(secret), "{secret} stands in the log:\n{written}");
        assert!(!told.contains(secret), "{secret} stands in the metrics:\n{told}");
    }
}

/// What the metrics tell after one genuine and one forged webhook.
#[track_caller]
fn has_figures(told: &str) {
    let of = |name, labels: &[&str]| series(told, name, labels);
    let meta = "provider=\"meta\"";
    let webhooks = |outcome| of("switchboard_webhooks_total", &[meta, outcome]);
    assert_eq!(webhooks("outcome=\"accepted\""), Some(1.0), "{told}");
    let refused = |line: &&str| {
        line.starts_with("switchboard_webhooks_total{") && !line.contains("\"accepted\"")
    };
    let refused: Vec<&str> = told.lines().filter(refused).collect();
    assert!(refused.len() == 1 && refused[0].contains(meta), "{refused:?}");
    assert!(
        refused[0].contains("outcome=\"signature_mismatch\"") && refused[0].ends_with(" 1"),
        "{refused:?}"
    );
    let all = "le=\"+Inf\"";
    assert_eq!(of("switchboard_webhook_seconds_bucket", &[meta, all]), Some(2.0), "{told}");
    assert_eq!(of("switchboard_webhook_seconds_count", &[meta]), Some(2.0));
    assert_eq!(of("switchboard_commit_batch_webhooks_bucket", &["le=\"1\""]), Some(1.0));
    assert_eq!(of("switchboard_commit_batch_webhooks_sum", &[]), Some(1.0));
    assert_eq!(of("switchboard_intake_queue_webhooks", &[]), Some(0.0));
    assert_eq!(of("switchboard_quarantine_open_items", &[]), Some(0.0));
}

/// What the log tells of a genuine webhook, a forged one and the API's requests.
#[track_caller]
fn has_lines(lines: &[Value], genuine: &str, forged: &str) {
    let of = |id: &str| -> Vec<&Value> {
        lines
            .iter()
            .filter(|line| line["id"].as_str().is_some_and(|found| found.contains(id)))
            .collect()
    };
    let refused = of(forged);
    assert_eq!(refused.len(), 1, "a refusal leaves one line: {lines:#?}");
    let line = refused[0];
    assert_eq!((&line["level"], &line["provider"]), (&json!("WARN"), &json!("meta")), "{line}");
    assert!(line["reason"].is_string() && line["client"] == "127.0.0.1", "{line}");
    let stored = of(genuine);
    assert_eq!(stored.len(), 1, "{lines:#?}");
    assert_eq!((&stored[0]["level"], &stored[0]["provider"]), (&json!("DEBUG"), &json!("meta")));
    let made =
        lines.iter().find(|line| line["method"] == "POST" && line["path"] == "/api/v1/accounts");
    let made = made.unwrap();
    assert_eq!((&made["level"], &made["status"]), (&json!("INFO"), &json!(201)), "{made}");
    assert!(made["took_ms"].is_number() && made["span"]["id"].is_string(), "{made}");
}
