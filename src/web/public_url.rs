//! The URL of a request as the world saw it: what providers sign.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::HOST;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};

use super::App;
use super::forwarded::{self, Called};
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
    let told = match peer.is_some_and(|peer| is_trusted(peer, server)) {
        true => forwarded::called(&parts.headers, |address| is_trusted(address, server)),
        false => Called::default(),
    };
    let host = parts.headers.get(HOST).and_then(|value| value.to_str().ok()).map(str::trim);
    let host = host.filter(|host| !host.is_empty());
    let own = host.or(parts.uri.authority().map(http::uri::Authority::as_str));
    let Called { scheme, host, port, prefix } = told;
    let scheme = scheme.unwrap_or(if port == Some(443) { "https" } else { "http" });
    let (standard, other) = if scheme == "https" { (443, 80) } else { (80, 443) };
    // The other scheme's port is one between our own proxies.
    let port = port.filter(|port| *port != other);
    // A port that was told takes the place of the one in `Host`, which may be between the proxy and us.
    let (name, port) = match (host.as_deref().or(own)?, port) {
        (told, Some(_)) if host.is_some() && has_port(told) => (told, None),
        (named, Some(port)) => (without_port(named), Some(port)),
        (named, None) => (named, None),
    };
    let port = port.filter(|port| *port != standard).map(|port| format!(":{port}"));
    Some(format!("{scheme}://{name}{}{prefix}", port.unwrap_or_default()))
}

/// Where the request came from, by our own proxies' word if they are the peer.
pub(super) fn client(headers: &HeaderMap, server: &Server, peer: Option<IpAddr>) -> Option<IpAddr> {
    let peer = peer?;
    if !is_trusted(peer, server) {
        return Some(peer);
    }
    forwarded::client(headers, |address| is_trusted(address, server)).or(Some(peer))
}

/// Whether an address is one of our own proxies'.
pub(super) fn is_trusted(peer: IpAddr, server: &Server) -> bool {
    let peer = peer.to_canonical();
    server.trusted_proxies.iter().any(|network| network.contains(&peer))
}

fn has_port(host: &str) -> bool {
    without_port(host).len() < host.len()
}

/// A host without its port; the colons of an IPv6 address stand in brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}
