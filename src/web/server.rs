//! The listener: accepts connections within bounds, and lets them finish when it is told to stop.

mod house;
mod seat;
mod told;
mod wire;

pub mod descriptors;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::{HeaderValue, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};

use self::house::{Admission, House, Place};
use self::seat::Patience;
use self::told::{Answered, Asked};
use self::wire::Wire;
use super::{App, Front, public_url};

/// The largest head of a request, in bytes. Those of providers have hundreds.
const HEAD_BYTES: usize = 32 << 10;

/// What is said to a connection whose peer has its share.
const TURNED_AWAY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// How often it is said that there are no places.
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// How long to wait after `accept` failed, for example because file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// For how long connections are still read after a stop: hyper closes an idle connection without looking whether a request
/// has arrived on it. Whoever sends another meanwhile is told in its answer that the connection ends.
const LAST_LOOK: Duration = Duration::from_millis(100);

/// A listener that serves the app.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    app: App,
}

/// Why the gateway cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {error}")]
pub struct ServerError {
    address: SocketAddr,
    error: io::Error,
}

impl Server {
    /// Takes the address of the settings.
    pub async fn bind(app: App) -> Result<Self, ServerError> {
        let address = app.gateway.config.server.listen;
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| ServerError { address, error })?;
        Ok(Self { listener, app })
    }

    /// The address that was taken: its port is known even if the settings left it open.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Serves until `stop` resolves, and then until every request that had arrived is answered, but no longer than
    /// `server.shutdown_ms`.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let settings = &self.app.gateway.config.server;
        let patience = settings.shutdown_ms;
        let places = descriptors::places(settings.max_connections, descriptors::limits().0);
        if places < settings.max_connections {
            let wanted = settings.max_connections;
            tracing::warn!(
                places,
                wanted,
                "the limit of open files allows fewer connections than server.max_connections; raise it (ulimit -n, LimitNOFILE)"
            );
        }
        let house = House::new(places);
        let connections = Connections::new(self.app);
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                // First the connection: what has been accepted and can have a place is served, stop or no stop.
                Ok((stream, peer)) => tokio::select! {
                    biased;
                    () = connections.take_in(&house, stream, peer) => {}
                    () = &mut stop => break,
                },
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    house.dismiss_one();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        connections.stopping.store(true, Ordering::Relaxed);
        if let Err(error) = connections.serve_the_last(self.listener, &house) {
            tracing::warn!(%error, "connections that were waiting could not be accepted");
        }
        let finished = async {
            tokio::time::sleep(LAST_LOOK.min(Duration::from_millis(patience / 2))).await;
            connections.graceful.shutdown().await;
        };
        if tokio::time::timeout(Duration::from_millis(patience), finished).await.is_err() {
            tracing::warn!(patience_ms = patience, "some connections were not finished in time");
        }
    }
}

/// The connections that are served.
struct Connections {
    app: App,
    front: Front,
    builder: http1::Builder,
    patience: Patience,
    graceful: GracefulShutdown,
    /// Whether every answer is its connection's last.
    stopping: Arc<AtomicBool>,
    /// When it was last said that there are no places.
    said: std::sync::Mutex<Option<std::time::Instant>>,
}

impl Connections {
    fn new(app: App) -> Self {
        let settings = &app.gateway.config.server;
        let patience = Patience {
            head: Duration::from_millis(settings.head_timeout_ms),
            between: Duration::from_millis(settings.idle_timeout_ms),
        };
        Self {
            front: Front::new(app.clone()),
            app,
            builder: builder(patience),
            patience,
            graceful: GracefulShutdown::new(),
            stopping: Arc::default(),
            said: std::sync::Mutex::default(),
        }
    }

    /// Serves a connection that was accepted, as soon as it has a place. Until then no other is accepted: they wait in the
    /// kernel's queue, not in our memory.
    async fn take_in(&self, house: &Arc<House>, stream: TcpStream, peer: SocketAddr) {
        loop {
            match self.admit(house, peer) {
                Admission::Placed(place) => return self.serve(stream, peer, place),
                Admission::OverShare => {
                    self.say(peer, "a peer has its share of the connections, all at work");
                    let _ = stream.try_write(TURNED_AWAY);
                    return;
                }
                Admission::Full => {
                    self.say(peer, "all connections are at work; others wait");
                    house.changes().await;
                }
            }
        }
    }

    fn admit(&self, house: &Arc<House>, peer: SocketAddr) -> Admission {
        let is_ours = public_url::is_trusted(peer.ip(), &self.app.gateway.config.server);
        house.admit(peer.ip(), is_ours)
    }

    /// Leaves a line, not for each connection.
    fn say(&self, peer: SocketAddr, what: &str) {
        let mut said = self.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if said.is_none_or(|at| at.elapsed() >= SAY_AGAIN) {
            *said = Some(std::time::Instant::now());
            tracing::warn!(%peer, "{what}");
        }
    }

    /// Serves a connection until it ends or is told to go, and then gives its place back.
    fn serve(&self, stream: TcpStream, peer: SocketAddr, place: Place) {
        let _ = stream.set_nodelay(true);
        let (front, stopping) = (self.front.clone(), Arc::clone(&self.stopping));
        let seat = Arc::clone(&place.seat);
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let (front, stopping, seat) = (front.clone(), Arc::clone(&stopping), Arc::clone(&seat));
            let begins = seat.begin();
            async move {
                if !begins {
                    return Err(io::Error::other("it was told to go"));
                }
                let request = request.map(|body| Asked::new(body, &seat));
                let mut response = front.call(request, Some(peer)).await;
                if stopping.load(Ordering::Relaxed) {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
                Ok(response.map(|body| Answered::new(body, seat)))
            }
        });
        let wire = Wire::new(stream, Arc::clone(&place.seat), self.patience);
        let connection = self.builder.serve_connection(TokioIo::new(wire), service);
        let connection = self.graceful.watch(connection);
        tokio::spawn(async move {
            let place = place;
            tokio::select! {
                ended = connection => {
                    if let Err(error) = ended {
                        tracing::debug!(%peer, %error, "a connection ended badly");
                    }
                }
                () = place.seat.dismissed() => {
                    tracing::debug!(%peer, "an idle connection was closed for another");
                }
            }
        });
    }

    /// Serves what is in the kernel's queue, as far as there is room, and listens no longer: what is in the queue then is
    /// reset, with the requests that it may have brought.
    fn serve_the_last(&self, listener: TcpListener, house: &Arc<House>) -> io::Result<()> {
        // Not by the runtime: what it knows of the queue may be a moment old.
        let listener = listener.into_std()?;
        // No more than there is room for now: who connects while others leave could keep this from ending.
        for _ in 0..house.free() {
            match listener.accept() {
                Ok((stream, peer)) => {
                    let Admission::Placed(place) = self.admit(house, peer) else { continue };
                    stream.set_nonblocking(true)?;
                    self.serve(TcpStream::from_std(stream)?, peer, place);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Its client gave up while it waited, or something else ails this one.
                Err(_) => {}
            }
        }
        Ok(())
    }
}

/// hyper knows one limit from the end of one request to the end of the next one's head. Ours are in [`Wire`]; its own lies
/// beyond them, and is there because with one it reads on at once after an answer, which arms ours.
fn builder(patience: Patience) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(patience.between + patience.head + Duration::from_secs(1))
        .max_header_size(HEAD_BYTES)
        .keep_alive(true);
    builder
}
