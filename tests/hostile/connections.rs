//! Silent and slow clients: they take no place from those who speak.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::{figure, scale};
use crate::support::client::Client;
use crate::support::listening::{Listening, Wire, wire};
use crate::support::meta::{self, AURORA};
use crate::support::program::Program;
use crate::support::{Database, Kind, TestGateway, recorded_account};

/// How long a genuine request may take while others are silent. It is answered in milliseconds, or not for minutes.
const SOON: Duration = Duration::from_secs(5);

/// A genuine webhook's bytes.
fn genuine(id: &str) -> Vec<u8> {
    let change = meta::change(AURORA, &[meta::text(id, "5511987654321", id)], &[]);
    wire(&meta::signed("/hooks/meta", serde_json::to_vec(&meta::notification(&[change])).unwrap()))
}

/// Connects to a program, and says nothing or begins to say something.
async fn silent(port: u16, count: usize) -> Vec<TcpStream> {
    let mut connections = Vec::new();
    for number in 0..count {
        let connect = TcpStream::connect(("127.0.0.1", port));
        // Where the program accepts no more, the kernel's queue is full at some time.
        let Ok(Ok(connection)) = tokio::time::timeout(SOON, connect).await else { break };
        if number % 2 == 0 {
            let _ = connection.try_write(b"POST /hooks/meta HTTP/1.1\r\nhost: ");
        }
        connections.push(connection);
    }
    connections
}

/// Delivers a genuine webhook on a connection of its own; returns how long it took.
async fn deliver(port: u16, id: &str) -> Option<Duration> {
    let started = Instant::now();
    let delivered = async {
        let mut wire = Wire(TcpStream::connect(("127.0.0.1", port)).await.ok()?);
        wire.say(genuine(id)).await;
        wire.answer().await
    };
    let answer = tokio::time::timeout(SOON, delivered).await.ok()??;
    (answer.0 == 200).then(|| started.elapsed())
}

async fn connect_meta(database: &Database, program: &Program) {
    let client = Client::aurora(database, program);
    let account = recorded_account(&providers::meta::PROVIDER, "aurora");
    let body = serde_json::json!({ "provider": "meta", "name": "Meta", "settings": account.settings,
                                   "credentials": account.secrets });
    client.post("/api/v1/accounts", body).await;
}

async fn is_served_in_spite_of(database: &Database, program: &Program, attackers: usize) {
    switchboard::web::descriptors::raise();
    connect_meta(database, program).await;
    let mut slowest = Duration::ZERO;
    for round in 0..scale() {
        let silent = silent(program.port(), attackers).await;
        assert_eq!(silent.len(), attackers, "everybody finds a place, for a while");
        for number in 0..5 {
            let took = deliver(program.port(), &format!("wamid.{round}.{number}")).await;
            slowest = slowest.max(took.expect("a genuine webhook is answered at once"));
        }
    }
    let genuine = 5 * scale();
    figure(
        format!("{attackers} silent connections"),
        format!("{genuine} genuine webhooks, answered all, the slowest in {slowest:.0?}"),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_silent_connections_of_one_client_keep_nobody_out() {
    let database = Database::create(Kind::Sqlite).await;
    let mut program = Program::serve(&database, &[]).await;
    is_served_in_spite_of(&database, &program, 2_600).await;
    assert!(program.terminate().await, "it stops, whoever is silent");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_descriptors_are_no_outage() {
    let database = Database::create(Kind::Sqlite).await;
    let mut program = Program::serve_with_descriptors(&database, 1_024, &[]).await;
    is_served_in_spite_of(&database, &program, 1_100).await;
    assert!(program.terminate().await);
    let log = std::fs::read_to_string(database.folder.join("log")).unwrap();
    assert!(log.contains("the limit of open files allows fewer connections"), "{log}");
    assert!(!log.contains("could not be accepted"), "there are always some left: {log}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_low_limit_is_raised_as_far_as_it_may_be_and_the_doctor_knows() {
    let database = Database::create(Kind::Sqlite).await;
    let doctor = |limit: &str| {
        let plain = crate::support::program::command(&database);
        let mut command = std::process::Command::new("sh");
        command.env_remove("DATABASE_URL").arg("-c").arg(format!("{limit} && exec \"$0\" \"$@\""));
        command.arg(plain.get_program()).args(plain.get_args()).arg("doctor");
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let low = doctor("ulimit -n 1000");
    assert!(low.contains("note  open files"), "{low}");
    assert!(low.contains("enough for 744 connections"), "{low}");
    let raised = doctor("ulimit -Sn 1000");
    assert!(raised.contains("ok    open files"), "{raised}");
}

async fn listening(settings: &[&str]) -> (TestGateway, Listening) {
    let settings = [&["server.listen=127.0.0.1:0"], settings].concat();
    let gateway = TestGateway::start(Kind::Sqlite, &settings).await;
    let listening = Listening::start(&gateway).await;
    (gateway, listening)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_must_be_complete_in_time_and_polite_connections_may_rest() {
    let (gateway, listening) = listening(&["server.head_timeout_ms=600"]).await;
    let mut polite = listening.connect().await;
    assert_eq!(polite.ask().await, Some(200));
    let (mut silent, mut trickling) = (listening.connect().await, listening.connect().await);
    let started = Instant::now();
    trickling.say(b"GET /health HTTP/1.1\r\nx: ").await;
    while trickling.0.try_write(b"x").is_ok() && started.elapsed() < SOON {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(500) && took < SOON, "{took:?}");
    assert!(silent.ends_within(SOON).await);
    // Longer than a head may take: between requests there is more time.
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(polite.ask().await, Some(200), "a connection that has served may rest");
    let started = Instant::now();
    polite.say(b"GET /health HTTP/1.1\r\n").await;
    assert!(polite.ends_within(SOON).await, "a further head has no longer than the first");
    assert!(started.elapsed() >= Duration::from_millis(500));
    listening.stop().await;
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_has_at_most_32_kib() {
    let (gateway, listening) = listening(&[]).await;
    let head = |bytes: usize| {
        let filling = "x".repeat(bytes - 60);
        format!("GET /health HTTP/1.1\r\nhost: localhost\r\nx: {filling}\r\n\r\n")
    };
    let mut wire = listening.connect().await;
    wire.say(head(31 << 10)).await;
    assert_eq!(wire.answer().await.map(|answer| answer.0), Some(200));
    wire.say(head(30 << 10)).await;
    assert_eq!(wire.answer().await.map(|answer| answer.0), Some(200), "and so may the next");
    for bytes in [34 << 10, 300 << 10] {
        let mut wire = listening.connect().await;
        wire.say(head(bytes)).await;
        assert_eq!(wire.answer().await.map(|answer| answer.0), Some(431), "{bytes} bytes");
        assert!(wire.ends_within(SOON).await);
    }
    listening.stop().await;
    gateway.end().await;
}

/// One address holds all places; another one's connections, which have been idle for longer, stay.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_takes_no_place_from_another() {
    let (gateway, listening) = listening(&["server.max_connections=32"]).await;
    let mut polite = listening.connect_from([127, 0, 0, 2]).await;
    assert_eq!(polite.ask().await, Some(200));
    let mut greedy = Vec::new();
    for _ in 0..200 * scale() {
        greedy.push(listening.connect_from([127, 0, 0, 3]).await);
    }
    assert_eq!(polite.ask().await, Some(200));
    let mut another = listening.connect_from([127, 0, 0, 4]).await;
    assert_eq!(another.ask().await, Some(200));
    let mut last = greedy.pop().unwrap();
    assert_eq!(last.ask().await, Some(200), "who is greedy loses its own oldest");
    assert!(greedy[0].ends_within(SOON).await);
    listening.stop().await;
    gateway.end().await;
}

/// All of a proxy's connections are at work or may be in a moment: one that is declared may have every place.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declared_proxy_has_no_share_to_keep_to() {
    let settings = ["server.max_connections=16", "server.trusted_proxies=127.0.0.2/32"];
    let (gateway, listening) = listening(&settings).await;
    for (last, stay) in [(2, 16), (3, 12)] {
        let mut connections = Vec::new();
        for _ in 0..16 {
            let mut connection = listening.connect_from([127, 0, 0, last]).await;
            assert_eq!(connection.ask().await, Some(200));
            connections.push(connection);
        }
        let mut open = 0;
        for connection in &mut connections {
            open += usize::from(!connection.ends_within(Duration::from_millis(20)).await);
        }
        assert_eq!(open, stay, "127.0.0.{last}");
        drop(connections);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    listening.stop().await;
    gateway.end().await;
}
