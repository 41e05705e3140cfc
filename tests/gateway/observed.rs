//! What the running program tells of itself: its log and its metrics.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::client::Client;
use crate::support::program::Program;
use crate::support::{Database, Kind};

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
    let settings = ["log.format=json", "server.request_timeout_ms=300"];
    let program = Program::serve(&database, &settings).await;
    let client = Client::aurora(&database, &program);
    let mut slow = TcpStream::connect(("127.0.0.1", program.port())).await.unwrap();
    let head = "POST /hooks/meta HTTP/1.1\r\nhost: localhost\r\nx-request-id: slow-1\r\n\
                content-type: application/json\r\ncontent-length: 100\r\n\r\n{\"half\":";
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 1_024];
    let length = slow.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("slow-1"), "{answer}");
    let (_, told) = metrics(&client, "").await;
    let labels = ["provider=\"meta\"", "outcome=\"timed_out\""];
    assert_eq!(series(&told, "switchboard_webhooks_total", &labels), Some(1.0), "{told}");
    let lines = log(&database);
    let line = lines.iter().find(|line| line["id"] == "slow-1").unwrap();
    assert_eq!((&line["level"], &line["path"]), (&json!("WARN"), &json!("/hooks/meta")));
}
