//! Somebody else's HTTP server: answers on a real socket what it was told to, in that order, and remembers what it was
//! asked. What it has no answer for is answered the usual way, which is 404 unless said otherwise.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// An answer to be given once.
#[derive(Debug, Clone)]
pub struct PeerAnswer {
    /// 0: the connection is closed in its place. 1: nothing happens in its place.
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// What was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// With its query.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// The server; it stops when it is dropped.
#[derive(Debug)]
pub struct Peer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

/// What is answered when nothing was scripted, to the request of that number.
type Usual = fn(usize) -> PeerAnswer;

#[derive(Debug)]
struct State {
    answers: VecDeque<PeerAnswer>,
    usual: Usual,
    asked: Vec<Asked>,
}

impl PeerAnswer {
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// No answer at all: the request was read, and the connection is closed.
    pub fn hang_up() -> Self {
        Self::new(0)
    }

    /// No answer at all: the request was read, and the connection stays open.
    pub fn never() -> Self {
        Self::new(1)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Peer {
    pub async fn start(answers: Vec<PeerAnswer>) -> Self {
        Self::start_usually(answers, |_| PeerAnswer::new(404)).await
    }

    /// A server that answers in its own way what was not scripted.
    pub async fn start_usually(answers: Vec<PeerAnswer>, usual: Usual) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state =
            Arc::new(Mutex::new(State { answers: answers.into(), usual, asked: Vec::new() }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, state, task }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// One more answer, after those that still wait.
    pub fn will(&self, answer: PeerAnswer) {
        self.state.lock().unwrap().answers.push_back(answer);
    }

    pub fn requests(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves one connection until the client is done with it.
async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    while let Some(asked) = read(&mut stream).await {
        let answer = {
            let mut state = state.lock().unwrap();
            state.asked.push(asked);
            let count = state.asked.len();
            state.answers.pop_front().unwrap_or_else(|| (state.usual)(count))
        };
        if answer.status == 0 {
            return;
        }
        if answer.status == 1 {
            std::future::pending::<()>().await;
        }
        let mut head = format!("HTTP/1.1 {} Scripted\r\n", answer.status);
        for (name, value) in &answer.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let _ = write!(head, "content-length: {}\r\n\r\n", answer.body.len());
        let bytes = [head.as_bytes(), &answer.body].concat();
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut first = String::new();
    stream.read_line(&mut first).await.ok()?;
    let mut words = first.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Asked { method, path, headers, body })
}
