//! The listener: accepts connections within bounds, and lets them finish when it is told to stop.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::{HeaderValue, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{App, Front};

/// How long a connection may be idle and a client may take to send a request's head; hyper knows one limit for both. Longer
/// than the minute for which proxies keep their connections: one that is closed just as it is used again costs a webhook.
const HEAD_TIMEOUT: Duration = Duration::from_secs(90);

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
        let (room, patience) = (settings.max_connections, settings.shutdown_ms);
        let room = Arc::new(Semaphore::new(room));
        let connections = Connections::new(self.app);
        let mut stop = std::pin::pin!(stop);
        loop {
            // A connection that has no place waits in the kernel's queue, not in our memory.
            let place = tokio::select! {
                () = &mut stop => break,
                place = Arc::clone(&room).acquire_owned() => place,
            };
            let Ok(place) = place else { break };
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => connections.serve(stream, peer, place),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        connections.stopping.store(true, Ordering::Relaxed);
        if let Err(error) = connections.serve_the_last(self.listener, &room) {
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
    front: Front,
    builder: auto::Builder<TokioExecutor>,
    graceful: GracefulShutdown,
    /// Whether every answer is its connection's last.
    stopping: Arc<AtomicBool>,
}

impl Connections {
    fn new(app: App) -> Self {
        Self {
            front: Front::new(app),
            builder: builder(),
            graceful: GracefulShutdown::new(),
            stopping: Arc::default(),
        }
    }

    /// Serves a connection until it ends, and then gives its place back.
    fn serve(&self, stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
        let _ = stream.set_nodelay(true);
        let (front, stopping) = (self.front.clone(), Arc::clone(&self.stopping));
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let (front, stopping) = (front.clone(), Arc::clone(&stopping));
            async move {
                let mut response = front.call(request, Some(peer)).await;
                if stopping.load(Ordering::Relaxed) {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
                Ok::<_, Infallible>(response)
            }
        });
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        let connection = self.graceful.watch(connection.into_owned());
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = connection.await {
                tracing::debug!(%peer, %error, "a connection ended badly");
            }
        });
    }

    /// Serves what is in the kernel's queue, as far as there is room, and listens no longer: what is in the queue then is
    /// reset, with the requests that it may have brought.
    fn serve_the_last(&self, listener: TcpListener, room: &Arc<Semaphore>) -> io::Result<()> {
        // Not by the runtime: what it knows of the queue may be a moment old.
        let listener = listener.into_std()?;
        // No more than there is room for now: who connects while others leave could keep this from ending.
        for _ in 0..room.available_permits() {
            let Ok(place) = Arc::clone(room).try_acquire_owned() else { break };
            match listener.accept() {
                Ok((stream, peer)) => {
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

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).keep_alive(true);
    builder
}
