//! A gateway under test that listens on a socket, and clients that speak to it byte by byte.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use switchboard::web::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::TestGateway;

/// How long anything may take that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A listener in this process.
pub struct Listening {
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// One connection of a client.
pub struct Wire(pub TcpStream);

impl Listening {
    /// Serves a gateway whose settings name a port that is left open.
    pub async fn start(gateway: &TestGateway) -> Self {
        let server = Server::bind(gateway.app.clone()).await.unwrap();
        let address = server.address().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            let _ = stopped.await;
        };
        Self { address, stop, task: tokio::spawn(server.run(stopped)) }
    }

    pub async fn stop(self) {
        let _ = self.stop.send(());
        tokio::time::timeout(PATIENCE, self.task).await.expect("it stops").unwrap();
    }

    pub async fn connect(&self) -> Wire {
        Wire(TcpStream::connect(self.address).await.unwrap())
    }

    /// From another address of this machine.
    pub async fn connect_from(&self, from: [u8; 4]) -> Wire {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((IpAddr::from(from), 0).into()).unwrap();
        Wire(socket.connect(self.address).await.unwrap())
    }
}

impl Wire {
    pub async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// The status of the next answer and its body; `None` if the connection ends before one.
    pub async fn answer(&mut self) -> Option<(u16, String)> {
        tokio::time::timeout(PATIENCE, self.try_answer()).await.expect("it is answered or closed")
    }

    async fn try_answer(&mut self) -> Option<(u16, String)> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.ok()?);
        }
        let head = String::from_utf8_lossy(&head).to_lowercase();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
        self.0.read_exact(&mut body).await.ok()?;
        Some((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// Whether the other side has closed, or does within this time.
    pub async fn ends_within(&mut self, time: Duration) -> bool {
        let read = tokio::time::timeout(time, self.0.read_u8()).await;
        read.is_ok_and(|byte| byte.is_err())
    }

    /// Asks whether the gateway is alive; it must be, on this connection.
    pub async fn ask(&mut self) -> Option<u16> {
        self.0.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await.ok()?;
        self.answer().await.map(|(status, _)| status)
    }
}

/// The bytes of a request.
pub fn wire(request: &Request<Bytes>) -> Vec<u8> {
    [head(request, request.body().len()), request.body().to_vec()].concat()
}

/// The bytes of its head, with a body of this length announced.
pub fn head(request: &Request<Bytes>, length: usize) -> Vec<u8> {
    let path = request.uri().path_and_query().unwrap();
    let mut wire = format!("{} {path} HTTP/1.1\r\nhost: localhost\r\n", request.method());
    for (name, value) in request.headers() {
        let _ = write!(wire, "{name}: {}\r\n", value.to_str().unwrap());
    }
    let _ = write!(wire, "content-length: {length}\r\n\r\n");
    wire.into_bytes()
}
