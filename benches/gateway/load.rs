//! The load generator: keep-alive connections, one request under way on each, a process of its own.
//!
//! It speaks just enough HTTP/1.1 to send a request and see where its answer ends, so that it takes little of the
//! machine from what is measured. Every webhook it sends is distinct, and signed as Meta signs.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What to send.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    pub port: u16,
    pub connections: usize,
    pub warm_up: Duration,
    pub measured: Duration,
    /// Requests a second over all connections, each measured from when it was due; 0: each connection's next one follows its last.
    pub per_second: u32,
    pub what: What,
}

/// The kinds of requests.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum What {
    /// Webhooks for these numbers, from `people` people for each of them; 0: every webhook is from somebody new.
    Webhooks { path: String, secret: String, numbers: Vec<String>, people: u64, seed: u64 },
    /// These GET requests, in turn.
    Gets { requests: Vec<String> },
}

/// What was measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Result {
    pub answered: u64,
    pub refused: u64,
    pub seconds: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    /// CPU seconds of the load generator itself while it measured.
    pub cpu: f64,
}

impl Result {
    pub fn rate(&self) -> f64 {
        self.answered as f64 / self.seconds
    }
}

/// Runs the load generator in a process of its own; `begun` is called when it begins to measure.
pub fn generate(order: &Order, begun: impl FnOnce()) -> Result {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("load")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    serde_json::to_writer(child.stdin.take().unwrap(), order).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "measuring");
    begun();
    let result = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    child.wait().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    result
}

/// The child process: reads its order from its input, prints when it begins to measure, and then the result.
pub async fn run() {
    let order: Order = serde_json::from_reader(std::io::stdin()).unwrap();
    let order = Arc::new(order);
    let start = Instant::now() + order.warm_up;
    let end = start + order.measured;
    let mut connections = tokio::task::JoinSet::new();
    for number in 0..order.connections {
        connections.spawn(connection(Arc::clone(&order), number as u64, start, end));
    }
    tokio::time::sleep_until(start.into()).await;
    println!("measuring");
    std::io::stdout().flush().unwrap();
    let before = crate::process::cpu(std::process::id());
    tokio::time::sleep_until(end.into()).await;
    let cpu = crate::process::cpu(std::process::id()) - before;
    let mut latencies: Vec<u32> = Vec::new();
    let mut refused = 0;
    for (own, bad) in connections.join_all().await {
        latencies.extend(own);
        refused += bad;
    }
    latencies.sort_unstable();
    let at = |share: f64| {
        let index =
            ((latencies.len() as f64 * share) as usize).min(latencies.len().saturating_sub(1));
        f64::from(latencies.get(index).copied().unwrap_or_default()) / 1_000.0
    };
    let result = Result {
        answered: latencies.len() as u64,
        refused,
        seconds: order.measured.as_secs_f64(),
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        max_ms: at(1.0),
        cpu,
    };
    println!("{}", serde_json::to_string(&result).unwrap());
}

/// One connection; returns the latencies in microseconds of what was answered 200 while measuring, and how many were not.
async fn connection(
    order: Arc<Order>,
    number: u64,
    start: Instant,
    end: Instant,
) -> (Vec<u32>, u64) {
    let mut stream = TcpStream::connect(("127.0.0.1", order.port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut latencies, mut refused) = (Vec::with_capacity(1 << 18), 0);
    let mut request = Vec::with_capacity(4_096);
    let mut answer = Vec::with_capacity(1 << 16);
    let mut count = 0_u64;
    loop {
        order.what.write(&mut request, number, count);
        let due = order.due(number, count, start);
        if let Some(due) = due {
            tokio::time::sleep_until(due.into()).await;
        }
        let sent = due.unwrap_or_else(Instant::now);
        count += 1;
        if sent >= end {
            return (latencies, refused);
        }
        stream.write_all(&request).await.unwrap();
        let ok = read_answer(&mut stream, &mut answer).await;
        if sent >= start {
            match ok {
                true => {
                    latencies.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
                }
                false => refused += 1,
            }
        }
    }
}

impl Order {
    /// When a connection's next request is due, where there is a rate: connections take turns.
    fn due(&self, connection: u64, count: u64, start: Instant) -> Option<Instant> {
        (self.per_second > 0).then(|| {
            let place = count * self.connections as u64 + connection;
            let since = Duration::from_secs_f64(place as f64 / f64::from(self.per_second));
            (start + since).checked_sub(self.warm_up).unwrap_or(start)
        })
    }
}

/// Reads one answer to its end; whether it was 200.
async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> bool {
    answer.clear();
    loop {
        assert!(stream.read_buf(answer).await.unwrap() > 0, "the gateway closed the connection");
        let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let head_text = std::str::from_utf8(&answer[..head]).unwrap().to_ascii_lowercase();
        let length = head_text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.trim().parse::<usize>().unwrap());
        while answer.len() < head + 4 + length {
            assert!(
                stream.read_buf(answer).await.unwrap() > 0,
                "the gateway closed the connection"
            );
        }
        return head_text.starts_with("http/1.1 200");
    }
}

impl What {
    fn write(&self, request: &mut Vec<u8>, connection: u64, count: u64) {
        request.clear();
        match self {
            What::Webhooks { path, secret, numbers, people, seed } => {
                let serial = (connection << 32) + count;
                let number = &numbers[(mix(serial ^ seed) % numbers.len() as u64) as usize];
                let body = webhook(number, *people, *seed, serial);
                let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
                mac.update(body.as_bytes());
                let signature = hex::encode(mac.finalize().into_bytes());
                write!(
                    request,
                    "POST {path} HTTP/1.1\r\nhost: gateway.example.com\r\ncontent-type: application/json\r\n\
                     x-hub-signature-256: sha256={signature}\r\nuser-agent: facebookexternalua\r\n\
                     content-length: {}\r\n\r\n{body}",
                    body.len()
                )
                .unwrap();
            }
            What::Gets { requests } => {
                let index = mix((connection << 32) + count) % requests.len() as u64;
                request.extend_from_slice(requests[index as usize].as_bytes());
            }
        }
    }
}

/// A text message of 1.5 kilobytes, as Meta sends it: ids, contact, context, and words with escapes.
pub fn webhook(number: &str, people: u64, seed: u64, serial: u64) -> String {
    let person = if people == 0 {
        mix(serial.wrapping_add(seed)) % 100_000_000
    } else {
        mix(serial) % people
    };
    let from = format!("5511{:08}", 60_000_000 + person % 40_000_000);
    let id = format!(
        "wamid.HBgNNTUxMTk4NzY1NDMyMRUCABIYFjNFQjBDMUQ{:08X}{serial:016X}AA==",
        seed & 0xffff_ffff
    );
    let words = "Bom dia! Gostaria de confirmar a consulta de amanh\\u00e3 \\u00e0s 14h30 e saber se preciso levar os \
                 exames anteriores. Obrigada! \\ud83d\\ude0a ";
    format!(
        "{{\"object\":\"whatsapp_business_account\",\"entry\":[{{\"id\":\"102290129340398\",\"changes\":[{{\"value\":{{\
         \"messaging_product\":\"whatsapp\",\"metadata\":{{\"display_phone_number\":\"551140028922\",\"phone_number_id\":\
         \"{number}\"}},\"contacts\":[{{\"profile\":{{\"name\":\"Person {person}\"}},\"wa_id\":\"{from}\"}}],\"messages\":[{{\
         \"from\":\"{from}\",\"id\":\"{id}\",\"timestamp\":\"{}\",\"text\":{{\"body\":\"{}\"}},\"type\":\"text\"}}]}},\
         \"field\":\"messages\"}}]}}]}}",
        1_793_534_400 + serial % 86_400,
        words.repeat(7),
    )
}

/// Scatters numbers (the finalizer of `SplitMix64`).
pub fn mix(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
