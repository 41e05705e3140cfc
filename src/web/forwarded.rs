//! What our own proxies say a request was before it came through them: `Forwarded` (RFC 7239), or the headers that were there
//! before it.
//!
//! Only for requests whose peer is one of `server.trusted_proxies`. Where any of `X-Forwarded-For`, `-Proto`, `-Host` and
//! `-Port` is there, they are what the proxies write, and `Forwarded` is not looked at: most proxies let pass what a
//! client writes into the kind that they do not use.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

/// The headers that were there before `Forwarded`.
const OLDER: [&str; 4] =
    ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"];

/// What the client called, as far as our proxies say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Called {
    /// `http` or `https`.
    pub(super) scheme: Option<&'static str>,
    /// The host, perhaps with a port.
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    /// What a proxy has taken off the beginning of the path: empty, or a slash and more, with none at its end.
    pub(super) prefix: String,
}

/// What the client called.
pub(super) fn called(headers: &HeaderMap, is_ours: impl Fn(IpAddr) -> bool) -> Called {
    let told = match is_older(headers) {
        true => Called {
            scheme: first(headers, "x-forwarded-proto").and_then(scheme),
            host: first(headers, "x-forwarded-host").map(ToOwned::to_owned),
            port: first(headers, "x-forwarded-port").and_then(|port| port.parse().ok()),
            prefix: String::new(),
        },
        false => walk(headers, is_ours).0,
    };
    Called { prefix: prefix(headers), ..told }
}

/// Who called, if our proxies say so.
pub(super) fn client(headers: &HeaderMap, is_ours: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    if !is_older(headers) {
        return walk(headers, is_ours).1;
    }
    // From the right: each proxy appends whom it saw; the first that is none of ours is the client.
    let header = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    let mut hops = header.unwrap_or_default().rsplit(',').filter_map(|hop| hop.trim().parse().ok());
    hops.find(|hop| !is_ours(*hop))
}

fn is_older(headers: &HeaderMap) -> bool {
    OLDER.iter().any(|name| headers.contains_key(*name))
}

/// Goes through `Forwarded` from the right, as long as an element tells of a request that one of our proxies made: further left
/// stands what the client may have written itself. The leftmost of these elements tells what the client called.
fn walk(headers: &HeaderMap, is_ours: impl Fn(IpAddr) -> bool) -> (Called, Option<IpAddr>) {
    let (mut called, mut client) = (Called::default(), None);
    let lines = headers.get_all("forwarded").iter().filter_map(|value| value.to_str().ok());
    let lines: Vec<&str> = lines.collect();
    for element in lines.iter().rev().flat_map(|line| {
        let elements: Vec<&str> = unquoted_split(line, ',').collect();
        elements.into_iter().rev()
    }) {
        let mut seen = None;
        for pair in unquoted_split(element, ';') {
            let Some((name, value)) = pair.split_once('=') else { continue };
            let value = unquoted(value.trim());
            match name.trim().to_ascii_lowercase().as_str() {
                "for" => seen = node(&value),
                "proto" => called.scheme = scheme(&value).or(called.scheme),
                "host" if !value.is_empty() => called.host = Some(value),
                _ => {}
            }
        }
        let Some(seen) = seen else { break };
        if !is_ours(seen) {
            client = Some(seen);
            break;
        }
    }
    (called, client)
}

/// The parts between separators that stand in no quotation.
fn unquoted_split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |c| {
        let ends = c == separator && !is_quoted;
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ => {}
        }
        ends
    })
}

fn unquoted(value: &str) -> String {
    let Some(inside) = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut text = String::with_capacity(inside.len());
    let mut characters = inside.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => text.extend(characters.next()),
            c => text.push(c),
        }
    }
    text
}

/// The address of a node: with or without a port, in brackets if it is IPv6. None of what is hidden or not known.
fn node(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|node| node.ip()))
}

fn scheme(text: &str) -> Option<&'static str> {
    ["https", "http"].into_iter().find(|known| text.eq_ignore_ascii_case(known))
}

/// `X-Forwarded-Prefix`: each proxy writes what it has taken off after what was taken off before it. One that is no path
/// is not believed at all.
fn prefix(headers: &HeaderMap) -> String {
    let parts = headers.get_all("x-forwarded-prefix").iter();
    let mut prefix = String::new();
    for part in parts.flat_map(|value| value.to_str().unwrap_or("?").split(',')) {
        let part = part.trim().trim_end_matches('/');
        let is_path = part.starts_with('/')
            && !part.contains("//")
            && part.bytes().all(|b| b.is_ascii_graphic() && !b"?#\\\"<>^`{|}".contains(&b));
        match (part.is_empty(), is_path) {
            (true, _) => {}
            (false, true) => prefix.push_str(part),
            (false, false) => return String::new(),
        }
    }
    prefix
}

fn first<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let value = headers.get(name)?.to_str().ok()?;
    value.split(',').next().map(str::trim).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(given: &[(&'static str, &'static str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        given.iter().map(header).collect()
    }

    fn is_ours(address: IpAddr) -> bool {
        address.to_string().starts_with("10.")
    }

    fn told(given: &[(&'static str, &'static str)]) -> (String, Option<String>) {
        let headers = headers(given);
        let Called { scheme, host, port, prefix } = called(&headers, is_ours);
        let text = format!("{scheme:?} {host:?} {port:?} {prefix}");
        let text = text.replace("Some(", "").replace([')', '"'], "");
        (text, client(&headers, is_ours).map(|client| client.to_string()))
    }

    #[test]
    fn forwarded_is_believed_as_far_as_our_proxies_wrote_it() {
        let cases = [
            (
                "for=192.0.2.60;proto=https;host=gw.example.com",
                "https gw.example.com None ",
                Some("192.0.2.60"),
            ),
            (
                "For=\"[2001:db8::1]:4711\" ; Proto=HTTPS;host=\"gw:8443\";by=_x",
                "https gw:8443 None ",
                Some("2001:db8::1"),
            ),
            // What the client wrote stands to the left of what our outermost proxy saw.
            (
                "for=1.1.1.1;host=evil;proto=http, for=192.0.2.60;host=gw;proto=https, for=10.0.0.2;host=inner",
                "https gw None ",
                Some("192.0.2.60"),
            ),
            (
                "for=\"1.1.1.1, for=10.0.0.1\";host=evil, for=192.0.2.43:47011;host=\"g\\w\"",
                "None gw None ",
                Some("192.0.2.43"),
            ),
            ("for=unknown;host=gw", "None gw None ", None),
            ("host=evil, for=_hidden;proto=https", "https None None ", None),
            ("", "None None None ", None),
            ("nonsense;;,=,\"", "None None None ", None),
        ];
        for (header, called, client) in cases {
            let told = told(&[("forwarded", header)]);
            assert_eq!((told.0.as_str(), told.1.as_deref()), (called, client), "{header}");
        }
    }

    #[test]
    fn the_older_headers_stand_above_it() {
        let (called, client) = told(&[
            ("forwarded", "for=192.0.2.60;proto=http;host=evil"),
            ("x-forwarded-for", "1.1.1.1, 192.0.2.1, 10.0.0.1"),
            ("x-forwarded-proto", "HTTPS"),
            ("x-forwarded-port", "8443"),
        ]);
        assert_eq!((called.as_str(), client.as_deref()), ("https None 8443 ", Some("192.0.2.1")));
    }

    #[test]
    fn a_prefix_is_a_path() {
        for (header, expected) in [
            ("/gw", "/gw"),
            ("/gw/", "/gw"),
            ("/", ""),
            ("/a/b, /c", "/a/b/c"),
            ("gw", ""),
            ("//evil.example", ""),
            ("/a, b", ""),
            ("/a?b", ""),
        ] {
            let headers = headers(&[("x-forwarded-prefix", header)]);
            assert_eq!(called(&headers, is_ours).prefix, expected, "{header}");
        }
    }
}
