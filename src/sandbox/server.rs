//! The listener: takes requests, lets go wrong what shall go wrong, and hands the rest to the emulators.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::emulator::{self, Emulator};
use super::exchange::{Answer, Request};
use super::faults::{self, FaultKind, Occasion, On};
use super::journal::{BODY_BYTES, SeenRequest};
use super::world::World;
use super::{control, files};

/// The largest body: a document of 100 MB and its form.
const BODY_LIMIT: usize = 101 << 20;

/// How long a connection may be idle.
const IDLE: Duration = Duration::from_secs(90);

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut")]
struct Cut;

/// Serves until `stop` says so.
pub(super) async fn serve(
    listener: TcpListener,
    world: Arc<World>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Without file descriptors, accepting fails at once: wait for some to come back.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (world, mut stop) = (Arc::clone(&world), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| handle(Arc::clone(&world), request));
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(IDLE);
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => {}
                _ = connection => {}
            }
        });
    }
}

/// Takes the address, and a second one beside it for the providers' file servers.
pub(super) async fn bind(listen: SocketAddr) -> std::io::Result<(TcpListener, TcpListener)> {
    let main = TcpListener::bind(listen).await?;
    let files = TcpListener::bind((listen.ip(), 0)).await?;
    Ok((main, files))
}

async fn handle(
    world: Arc<World>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Cut> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_LIMIT).collect().await else {
        return Ok(write(Answer::empty(413)));
    };
    let request = Request {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        raw_query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: body.to_bytes(),
    };
    let first = request.segments(0).into_iter().next().unwrap_or_default();
    if first == "control" {
        return Ok(write(control::answer(&world, &request).await));
    }
    if first == "files" {
        return Ok(write(files::answer(&world, &request)));
    }
    let Some(emulator) = emulator::of(&first) else {
        return Ok(write(Answer::json(404, &control::contents(&world))));
    };
    let answer = emulate(&world, emulator, &request).await;
    let status = answer.as_ref().map_or(0, |answer| answer.status);
    world.journal().note(seen(&world, emulator.name, &request, status));
    answer.map(write)
}

async fn emulate(
    world: &Arc<World>,
    emulator: &Emulator,
    request: &Request,
) -> Result<Answer, Cut> {
    let sight = (emulator.sight)(world, request);
    let occasion = Occasion {
        provider: emulator.name,
        account: sight.account.as_deref(),
        on: sight.on,
        to: sight.to.as_deref(),
    };
    // What holds for one occasion must not outlive the lock that it was read under.
    let delay = world.faults().take(occasion, faults::delay_before);
    if let Some(delay) = delay {
        tokio::time::sleep(delay).await;
    }
    let is = |wanted: FaultKind| {
        world.faults().take(occasion, |kind| (*kind == wanted).then_some(())).is_some()
    };
    if is(FaultKind::DropBefore) {
        return Err(Cut);
    }
    if is(FaultKind::RevokedToken) {
        return Ok((emulator.refusal)(401, None));
    }
    if occasion.on == On::Media && is(FaultKind::ExpiredMedia) {
        return Ok((emulator.refusal)(404, None));
    }
    let refused = world.faults().take(occasion, |kind| match kind {
        FaultKind::Status { status, code, retry_after } => Some((*status, *code, *retry_after)),
        _ => None,
    });
    if let Some((status, code, retry_after)) = refused {
        let answer = (emulator.refusal)(status, code);
        return Ok(match retry_after {
            Some(seconds) => answer.with("retry-after", seconds.to_string()),
            None => answer,
        });
    }
    let answer = (emulator.answer)(world, request).unwrap_or_else(|answer| answer);
    if !answer.accepted && occasion.on == On::Send {
        return Ok(answer);
    }
    if is(FaultKind::DropAfter) {
        return Err(Cut);
    }
    let delay = world.faults().take(occasion, faults::delay_after);
    if let Some(delay) = delay {
        tokio::time::sleep(delay).await;
    }
    Ok(answer)
}

fn seen(world: &World, provider: &str, request: &Request, status: u16) -> SeenRequest {
    let secret = ["authorization", "x-api-key", "cookie"];
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        let value = match secret.contains(&name.as_str()) {
            true => "[REDACTED]".into(),
            false => String::from_utf8_lossy(value.as_bytes()).into_owned(),
        };
        (name.to_string(), value)
    };
    let body = &request.body[..request.body.len().min(BODY_BYTES)];
    let joint = if request.raw_query.is_empty() { "" } else { "?" };
    SeenRequest {
        at: world.now(),
        provider: provider.to_owned(),
        method: request.method.to_string(),
        path: format!("{}{joint}{}", request.path, request.raw_query),
        headers: request.headers.iter().map(header).collect(),
        body: String::from_utf8_lossy(body).into_owned(),
        status,
    }
}

fn write(answer: Answer) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(Full::new(answer.body)).unwrap_or_default()
}
