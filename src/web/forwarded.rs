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
    // From the right: each proxy appends whom it saw; the first that is none of ours is the client. What stands left of one that
    // names nobody may have been written by anybody.
    for line in headers.get_all("x-forwarded-for").iter().rev() {
        for hop in line.to_str().ok()?.rsplit(',') {
            let hop = node(hop.trim())?;
            if !is_ours(hop) {
                return Some(hop);
            }
        }
    }
    None
}

fn is_older(headers: &HeaderMap) -> bool {
    OLDER.iter().any(|name| headers.contains_key(*name))
}

/// Goes through `Forwarded` from the right, as long as an element tells of a request that one of our proxies made: further left
/// stands what the client may have written itself. The leftmost of these elements tells what the client called. A line that
/// cannot be read ends it with nothing: where our proxy's own element begins in it is not known.
fn walk(headers: &HeaderMap, is_ours: impl Fn(IpAddr) -> bool) -> (Called, Option<IpAddr>) {
    let mut called = Called::default();
    for line in headers.get_all("forwarded").iter().rev() {
        let Some(line) = line.to_str().ok().filter(|line| is_quoted_well(line)) else {
            return (Called::default(), None);
        };
        let elements: Vec<&str> = unquoted_split(line, ',').collect();
        for element in elements.into_iter().rev() {
            let Some(seen) = element_of(element, &mut called) else { return (called, None) };
            if !is_ours(seen) {
                return (called, Some(seen));
            }
        }
    }
    (called, None)
}

/// Reads an element: whom it saw, and into `called` what it says was called.
fn element_of(element: &str, called: &mut Called) -> Option<IpAddr> {
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
    seen
}

/// Whether every quotation is a whole value: it begins behind `=`, and ends where the pair does. Else a quotation mark of the
/// client's would make one quotation with those of our proxy's.
fn is_quoted_well(line: &str) -> bool {
    let mut rest = line;
    while let Some((before, quotation)) = rest.split_once('"') {
        let mut is_escaped = false;
        let end = quotation.find(|c| {
            let ends = c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            ends
        });
        let Some(end) = end.filter(|_| before.ends_with('=')) else { return false };
        rest = &quotation[end + 1..];
        if !rest.trim_start().is_empty() && !rest.trim_start().starts_with([',', ';']) {
            return false;
        }
    }
    true
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
            // A quotation that the client began, and ours would end or be swallowed by.
            ("for=\"1.1.1.1, for=192.0.2.60;host=gw;proto=https", "None None None ", None),
            ("for=1.1.1.1;host=evil;x=\", for=192.0.2.60;host=gw", "None None None ", None),
            (
                "host=evil;for=1.1.1.1;x=\", for=\"[2001:db8::1]\";host=\"g\\\"w\"",
                "None None None ",
                None,
            ),
            ("host=evil;for=1.1.1.1;x\", for=192.0.2.60;by=\"_y", "None None None ", None),
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
    fn a_line_that_cannot_be_read_hides_nothing_behind_it() {
        let evil = "for=1.1.1.1;host=evil";
        let last = "for=\"x, for=192.0.2.60;host=gw";
        assert_eq!(told(&[("forwarded", evil), ("forwarded", last)]), told(&[]));
        for name in ["forwarded", "x-forwarded-for"] {
            let mut headers =
                headers(&[(name, if name == "forwarded" { evil } else { "1.1.1.1" })]);
            headers.append(name, HeaderValue::from_bytes(b"\xff, for=192.0.2.60").unwrap());
            assert_eq!(called(&headers, is_ours), Called::default(), "{name}");
            assert_eq!(client(&headers, is_ours), None, "{name}");
        }
        // Each line is of one hop; the last is ours.
        let (called, client) =
            told(&[("forwarded", last), ("forwarded", "for=192.0.2.61;host=outer;proto=https")]);
        assert_eq!((called.as_str(), client.as_deref()), ("https outer None ", Some("192.0.2.61")));
    }

    #[test]
    fn the_older_header_is_believed_as_far_as_our_proxies_wrote_it() {
        let cases: [(&[&'static str], Option<&str>); 9] = [
            (&["1.1.1.1", "192.0.2.60"], Some("192.0.2.60")),
            (&["1.1.1.1, 192.0.2.60", "10.0.0.1, 10.0.0.2"], Some("192.0.2.60")),
            (&["1.1.1.1, 192.0.2.60:5678"], Some("192.0.2.60")),
            (&["1.1.1.1, 192.0.2.60:5678, 10.0.0.2:80"], Some("192.0.2.60")),
            (&["1.1.1.1, [2001:db8::1]:80"], Some("2001:db8::1")),
            (&["1.1.1.1, [2001:db8::1]", "10.0.0.2"], Some("2001:db8::1")),
            (&["1.1.1.1, unknown"], None),
            (&["1.1.1.1", "unknown, 10.0.0.1"], None),
            (&["1.1.1.1, "], None),
        ];
        for (lines, expected) in cases {
            let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
            assert_eq!(told(&lines).1.as_deref(), expected, "{lines:?}");
        }
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
