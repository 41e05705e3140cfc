//! The listener: accepts connections within bounds, and lets them finish when it is told to stop.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::{App, Front};

/// How long a connection may be idle and a client may take to send a request's head; hyper knows one limit for both. Longer
/// than the minute for which proxies keep their connections: one that is closed just as it is used again costs a webhook.
const HEAD_TIMEOUT: Duration = Duration::from_secs(90);

/// How long to wait after `accept` failed, for example because file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
    error: std::io::Error,
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

    /// Serves until `stop` resolves, and then until every request that was begun is answered, but no longer than
    /// `server.shutdown_ms`.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let settings = &self.app.gateway.config.server;
        let (room, patience) = (settings.max_connections, settings.shutdown_ms);
        let room = Arc::new(Semaphore::new(room));
        let front = Front::new(self.app);
        let graceful = GracefulShutdown::new();
        let builder = builder();
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
                Ok((stream, peer)) => {
                    let _ = stream.set_nodelay(true);
                    let front = front.clone();
                    let service = service_fn(move |request: hyper::Request<Incoming>| {
                        let front = front.clone();
                        async move { Ok::<_, Infallible>(front.call(request, Some(peer)).await) }
                    });
                    let connection = builder.serve_connection(TokioIo::new(stream), service);
                    let connection = graceful.watch(connection.into_owned());
                    tokio::spawn(async move {
                        let _place = place;
                        if let Err(error) = connection.await {
                            tracing::debug!(%peer, %error, "a connection ended badly");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        if tokio::time::timeout(Duration::from_millis(patience), graceful.shutdown()).await.is_err()
        {
            tracing::warn!(patience_ms = patience, "some connections were not finished in time");
        }
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).keep_alive(true);
    builder
}
