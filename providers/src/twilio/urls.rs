//! The URLs that Twilio may have signed for one request.
//!
//! Twilio's back ends do not agree on whether a port belongs to the URL and how its query is written, so its own
//! libraries try several forms. Each form asks for the same thing, so that accepting any of them opens no door.
//! <https://www.twilio.com/docs/usage/webhooks/webhooks-security>

use std::collections::BTreeMap;
use std::fmt::Write;

use bytes::Bytes;
use http::header::UPGRADE;
use http::{Method, Uri};
use url::{Position, Url};

/// All forms of the request's URL, likeliest first, each once. None if the URL is not absolute.
pub(super) fn candidates(request: &http::Request<Bytes>) -> Vec<String> {
    let uri = request.uri();
    let mut urls: Vec<String> = Vec::new();
    for scheme in schemes(request) {
        for url in forms(scheme, uri).unwrap_or_default() {
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
    }
    urls
}

/// A media stream opens a web socket with a `GET`, which some stacks see as `wss` and some as `https`.
fn schemes(request: &http::Request<Bytes>) -> Vec<&str> {
    let upgrade = request.headers().get(UPGRADE);
    let upgrades = upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    match request.uri().scheme_str() {
        Some(scheme) if request.method() != Method::GET => vec![scheme],
        Some("wss") => vec!["wss", "https"],
        Some("ws") => vec!["ws", "http"],
        Some("https") if upgrades => vec!["https", "wss"],
        Some("http") if upgrades => vec!["http", "ws"],
        Some(scheme) => vec![scheme],
        None => Vec::new(),
    }
}

/// Without a port and with one: as received, as a browser would write it, and with the query as Node wrote it once.
fn forms(scheme: &str, uri: &Uri) -> Option<Vec<String>> {
    let authority = uri.authority()?;
    let standard_port = if matches!(scheme, "https" | "wss") { 443 } else { 80 };
    let user = authority.as_str().rsplit_once('@').map(|(user, _)| user);
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    let host = authority.host();
    let port = authority.port_u16().unwrap_or(standard_port);
    let rest = uri.path_and_query().map_or("/", |rest| rest.as_str());
    let without_port = format!("{scheme}://{user}{host}{rest}");
    let with_port = format!("{scheme}://{user}{host}:{port}{rest}");
    let mut forms = vec![without_port, with_port];
    if let Ok(mut url) = Url::parse(&forms[1]) {
        let port = url.port().unwrap_or(standard_port);
        let with_port =
            format!("{}:{port}{}", &url[..Position::AfterHost], &url[Position::BeforePath..]);
        // Only URLs without a host refuse this, and these have one.
        let _ = url.set_port(None);
        let without_port = String::from(url);
        let rewritten = [&without_port, &with_port].map(|url| with_rewritten_query(url));
        forms.extend([without_port, with_port]);
        forms.extend(rewritten.into_iter().flatten());
    }
    Some(forms)
}

/// The query decoded and encoded again, the values of a repeated name next to each other. Nothing of it is left out
/// however long it is, or else parameters beyond the limit would pass unsigned.
fn with_rewritten_query(url: &str) -> Option<String> {
    let (before, query) = url.split_once('?').filter(|(_, query)| !query.is_empty())?;
    let mut names = Vec::new();
    let mut values: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let known = values.entry(name.clone()).or_default();
        if known.is_empty() {
            names.push(name);
        }
        known.push(value);
    }
    let mut rewritten = format!("{before}?");
    for name in names {
        for value in values.get(&name).into_iter().flatten() {
            if !rewritten.ends_with('?') {
                rewritten.push('&');
            }
            escape(&mut rewritten, &name);
            rewritten.push('=');
            escape(&mut rewritten, value);
        }
    }
    Some(rewritten)
}

/// Percent-encodes everything but what JavaScript's `encodeURIComponent` leaves alone.
fn escape(target: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => target.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' => {
                target.push(char::from(byte));
            }
            // Writing to a text cannot fail.
            _ => drop(write!(target, "%{byte:02X}")),
        }
    }
}
