//! The demonstration that keeps serving, as a newcomer runs it.
#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long the demonstration may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// Killed when dropped.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The lines that it prints, up to the first that holds `last`.
fn lines_until(lines: &mpsc::Receiver<String>, last: &str) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut read = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = lines.recv_timeout(left);
        read.push(line.unwrap_or_else(|error| panic!("no `{last}` ({error}) in {read:#?}")));
        if read.last().is_some_and(|line| line.contains(last)) {
            return read;
        }
    }
}

/// What stands between the first two quotes.
fn quoted(line: &str) -> &str {
    line.split('\'').nth(1).unwrap_or_else(|| panic!("nothing is quoted in: {line}"))
}

/// It prints the documentation's address and requests that are ready to be made; both are answered until it is told to
/// stop, and then it goes well and leaves nothing behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demonstration_serves_what_it_prints_until_it_is_told_to_stop() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    command.args(["demo", "--listen", "127.0.0.1:0"]).env_remove("DATABASE_URL");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut demo = Demo(child);
    let output = BufReader::new(demo.0.stdout.take().unwrap());
    let (tell, lines) = mpsc::channel();
    std::thread::spawn(move || {
        output.lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
    });
    let printed = tokio::task::block_in_place(|| lines_until(&lines, "The gateway keeps serving"));

    let client = reqwest::Client::new();
    let documentation = printed.iter().find(|line| line.contains("/docs")).unwrap();
    let documentation = documentation.split(' ').find(|word| word.starts_with("http")).unwrap();
    let documentation = documentation.trim_end_matches('.');
    assert_eq!(client.get(documentation).send().await.unwrap().status(), 200, "{documentation}");
    let start = printed.iter().position(|line| line.trim().starts_with("curl ")).unwrap();
    let mut request = client.get(quoted(&printed[start]));
    let headers = printed[start + 1..].iter().map(|line| line.trim());
    for line in headers.take_while(|line| line.starts_with("-H ")) {
        let (name, value) = quoted(line).split_once(": ").unwrap();
        request = request.header(name, value);
    }
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let timeline: serde_json::Value = answer.json().await.unwrap();
    let items = timeline["items"].as_array().unwrap();
    assert!(!items.is_empty(), "{timeline}");
    let times = items.iter().map(|item| item["occurred_at"].as_str().unwrap());
    assert!(times.is_sorted_by(|later, earlier| later >= earlier), "newest first: {timeline}");

    let id = demo.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let deadline = Instant::now() + Duration::from_secs(30);
    let status = loop {
        if let Some(status) = demo.0.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "the demonstration does not stop");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(status.code(), Some(0));
    let folder = printed.iter().find_map(|line| line.split("SQLite in ").nth(1)).unwrap();
    assert!(!std::path::Path::new(folder.trim()).exists(), "{folder} is left behind");
}
