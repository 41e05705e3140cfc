//! Metrics at an address of their own: a listener that answers `GET /metrics` and nothing else.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, Response};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::{App, Problem, health};

/// How many connections are served at once: who reads metrics is one, or few.
const CONNECTIONS: usize = 16;

/// How long a request's head may take, and a connection be idle.
const IDLE: Duration = Duration::from_mins(2);

/// How long to wait after `accept` failed.
const PAUSE: Duration = Duration::from_millis(200);

/// A listener for metrics.
#[derive(Debug)]
pub struct Figures {
    listener: TcpListener,
    app: App,
}

impl Figures {
    /// Takes the address of the settings; `None` where they name none.
    ///
    /// # Errors
    /// The address cannot be taken.
    pub async fn bind(app: &App) -> io::Result<Option<Self>> {
        let Some(address) = app.gateway.config.metrics.address() else { return Ok(None) };
        let listener = TcpListener::bind(address).await?;
        Ok(Some(Self { listener, app: app.clone() }))
    }

    /// The address that was taken: its port is known even if the settings left it open.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Serves until it is dropped. Connections end with the process: nothing is lost with them.
    pub async fn run(self) {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection for metrics could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let app = self.app.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = answer(&app, &request);
                async move { Ok::<_, Infallible>(answer) }
            });
            tokio::spawn(async move {
                let _place = place;
                let mut builder = hyper::server::conn::http1::Builder::new();
                builder.timer(TokioTimer::new()).header_read_timeout(IDLE);
                // Whoever breaks off has told us nothing.
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }
}

fn answer(app: &App, request: &Request<Incoming>) -> Response<Body> {
    match (request.uri().path(), request.method()) {
        ("/metrics", &Method::GET) => health::own_metrics(app, request.headers()),
        ("/metrics", _) => Problem::method_not_allowed().into_response(),
        _ => Problem::not_found("page").into_response(),
    }
}
