//! A polite stop of the real program, at the worst moment: requests have arrived, and it has not read them yet.
#![cfg(unix)]

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::client::Client;
use crate::support::meta::{self, AURORA};
use crate::support::program::Program;
use crate::support::{Database, Kind, recorded_account};

const CONNECTIONS: usize = 8;

/// A webhook as it goes over the wire.
fn wire(id: &str) -> Vec<u8> {
    let change = meta::change(AURORA, &[meta::text(id, "5511987654321", id)], &[]);
    let body = serde_json::to_vec(&meta::notification(&[change])).unwrap();
    let request = meta::signed("/hooks/meta", body);
    let mut wire = b"POST /hooks/meta HTTP/1.1\r\nhost: localhost\r\n".to_vec();
    for (name, value) in request.headers() {
        wire.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    wire.extend(format!("content-length: {}\r\n\r\n", request.body().len()).into_bytes());
    wire.extend(request.body());
    wire
}

/// The status of an answer, if a whole head comes.
async fn status(connection: &mut TcpStream) -> Result<u16, String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // By bytes: a webhook's answer has no body worth reading.
        head.push(connection.read_u8().await.map_err(|error| error.to_string())?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    head.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or(head)
}

async fn connect(program: &Program) -> Vec<TcpStream> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let connection = TcpStream::connect(("127.0.0.1", program.port())).await.unwrap();
        connection.set_nodelay(true).unwrap();
        connections.push(connection);
    }
    connections
}

/// Requests on connections that were used before, on new ones, and on ones that the program has not even accepted: all were
/// sent before the program was told to stop, and are answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_polite_stop_answers_what_had_arrived_and_was_not_read() {
    let database = Database::create(Kind::Sqlite).await;
    let mut program = Program::serve(&database, &[]).await;
    let client = Client::aurora(&database, &program);
    let account = recorded_account(&providers::meta::PROVIDER, "aurora");
    let body = serde_json::json!({ "provider": "meta", "name": "Meta", "settings": account.settings,
                                   "credentials": account.secrets });
    client.post("/api/v1/accounts", body).await;

    let mut used = connect(&program).await;
    for (number, connection) in used.iter_mut().enumerate() {
        connection.write_all(&wire(&format!("wamid.first.{number}"))).await.unwrap();
        assert_eq!(status(connection).await, Ok(200));
    }
    let new = connect(&program).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    program.signal("STOP");
    let unaccepted = connect(&program).await;
    let mut asked = Vec::new();
    for (kind, connections) in [("used", used), ("new", new), ("unaccepted", unaccepted)] {
        for (number, mut connection) in connections.into_iter().enumerate() {
            let id = format!("wamid.{kind}.{number}");
            connection.write_all(&wire(&id)).await.unwrap();
            asked.push((id, connection));
        }
    }
    program.signal("TERM");
    program.signal("CONT");
    let mut unanswered = Vec::new();
    for (id, connection) in &mut asked {
        match status(connection).await {
            Ok(200 | 503) => {}
            other => unanswered.push(format!("{id}: {other:?}")),
        }
    }
    assert!(unanswered.is_empty(), "{unanswered:#?}");
    assert!(program.terminate().await, "it stops by itself, and well");
    let refused = TcpStream::connect(("127.0.0.1", program.port())).await;
    assert!(refused.is_err(), "nobody listens any more");
}
