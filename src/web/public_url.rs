//! The URL of a request as the world saw it: what providers sign.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};

use super::App;
use crate::config::Server;

/// What the URLs begin with that we tell: the same as of the URLs that we will be called by.
#[derive(Debug)]
pub(super) struct Base(pub(super) String);

impl FromRequestParts<App> for Base {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        let base = base(parts, &app.gateway.config.server, peer);
        Ok(Self(base.unwrap_or_else(|| "http://localhost".to_owned())))
    }
}

/// The absolute public URL of a request. With `server.public_url` configured, that and nothing the request says; else what
/// our own proxies say; else the request's own host.
pub(super) fn of(parts: &Parts, server: &Server, peer: Option<IpAddr>) -> Option<Uri> {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    format!("{}{path}", base(parts, server, peer)?).parse().ok()
}

/// The same without path and query: what every path of ours begins with.
pub(super) fn base(parts: &Parts, server: &Server, peer: Option<IpAddr>) -> Option<String> {
    let configured = server.public_url.trim_end_matches('/');
    if !configured.is_empty() {
        return Some(configured.to_owned());
    }
    let trusted = peer.is_some_and(|peer| is_trusted(peer, server));
    let forwarded = |name: &str| {
        if trusted { first(&parts.headers, name) } else { None }
    };
    let scheme = forwarded("x-forwarded-proto").filter(|scheme| ["http", "https"].contains(scheme));
    let host = forwarded("x-forwarded-host").or_else(|| first(&parts.headers, "host"));
    let host = host.or(parts.uri.authority().map(http::uri::Authority::as_str))?;
    Some(format!("{}://{host}", scheme.unwrap_or("http")))
}

/// Where the request came from, by our own proxies' word if they are the peer.
pub(super) fn client(headers: &HeaderMap, server: &Server, peer: Option<IpAddr>) -> Option<IpAddr> {
    let peer = peer?;
    if !is_trusted(peer, server) {
        return Some(peer);
    }
    // From the right: each proxy appends whom it saw; the first that is none of ours is the client.
    let header = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    let hops = header.unwrap_or_default().rsplit(',').filter_map(|hop| hop.trim().parse().ok());
    hops.into_iter().find(|hop: &IpAddr| !is_trusted(*hop, server)).or(Some(peer))
}

fn is_trusted(peer: IpAddr, server: &Server) -> bool {
    let peer = peer.to_canonical();
    server.trusted_proxies.iter().any(|network| network.contains(&peer))
}

fn first<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let value = headers.get(name)?.to_str().ok()?;
    value.split(',').next().map(str::trim).filter(|value| !value.is_empty())
}
