//! Changes of a request that need no knowledge of how it is proven: of its body, its fields, its URL, its method and its type.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri};

use super::origin::Origin;
use crate::hostile::dice::Dice;

/// A change, made with the help of chance and of the provider's other genuine requests. It may happen to change nothing.
pub type Change = fn(&mut Dice, &Origin, &[Origin], &mut Request<Bytes>);

pub const CHANGES: [(&str, Change); 12] = [
    ("bytes", bytes),
    ("bytes", bytes),
    ("fields", fields),
    ("fields", fields),
    ("members", members),
    ("the body of another", body_of_another),
    ("another encoding", encoding),
    ("the query", query),
    ("the path", path),
    ("the host", host),
    ("the method", method),
    ("the content type", content_type),
];

fn bytes(dice: &mut Dice, _: &Origin, _: &[Origin], request: &mut Request<Bytes>) {
    let mut body = request.body().to_vec();
    let (at, byte) = (dice.below(body.len()), dice.byte());
    match dice.below(10) {
        _ if body.is_empty() => body.push(byte),
        0 | 1 => body[at] ^= 1 << (byte % 8),
        2 => drop(body.remove(at)),
        3 => body.insert(at, byte),
        4 => body.truncate(at),
        5 => body.push(dice.choose(b" \n\0&={x")),
        6 => body[at] = byte,
        7 => {
            let other = dice.below(body.len());
            body.swap(at, other);
        }
        8 => {
            let length = dice.below(40).min(body.len() - at);
            body.extend_from_within(at..at + length);
        }
        _ => body.clear(),
    }
    *request.body_mut() = body.into();
}

/// Changes a form: the body, or the query where there is no body.
fn fields(dice: &mut Dice, _: &Origin, _: &[Origin], request: &mut Request<Bytes>) {
    if request.body().is_empty() {
        let query = request.uri().query().unwrap_or_default().as_bytes().to_vec();
        let query = String::from_utf8_lossy(&changed_fields(dice, &query)).into_owned();
        set_url(request, |url| format!("{}?{query}", before_query(url)));
    } else {
        let body = changed_fields(dice, request.body());
        *request.body_mut() = body.into();
    }
}

fn changed_fields(dice: &mut Dice, form: &[u8]) -> Vec<u8> {
    let mut fields: Vec<Vec<u8>> = form.split(|byte| *byte == b'&').map(<[u8]>::to_vec).collect();
    let at = dice.below(fields.len());
    let field = fields[at].clone();
    let equals = field.iter().position(|byte| *byte == b'=');
    let letters: Vec<usize> =
        (0..field.len()).filter(|at| field[*at].is_ascii_alphanumeric()).collect();
    match (dice.below(14), equals) {
        (0, _) => fields.insert(at, field),
        (1, _) => fields.push([field, b"x".to_vec()].concat()),
        (2, _) => drop(fields.remove(at)),
        (3, _) => {
            let other = dice.below(fields.len());
            fields.swap(at, other);
        }
        (4 | 5, Some(equals)) => drop(fields[at].remove(equals)),
        // The name ends somewhere else.
        (6 | 7, Some(equals)) => {
            fields[at].remove(equals);
            let elsewhere = dice.below(field.len());
            fields[at].insert(elsewhere, b'=');
        }
        // Two fields become one.
        (8, _) if fields.len() > 1 => {
            let mut next = fields.remove((at + 1) % fields.len());
            let next: Vec<u8> = match dice.once_in(2) {
                true => next.into_iter().filter(|byte| *byte != b'=').collect(),
                false => std::mem::take(&mut next),
            };
            let at = at.min(fields.len() - 1);
            fields[at].extend(next);
        }
        (9, _) if !letters.is_empty() => {
            let letter = dice.choose(&letters);
            let escape = format!("%{:02x}", field[letter]).into_bytes();
            fields[at].splice(letter..=letter, escape);
        }
        (10, _) => fields[at] = field.iter().map(u8::to_ascii_lowercase).collect(),
        (11, _) => fields[at].extend_from_slice(dice.choose(&[
            &b"%00"[..],
            b"%",
            b"%e",
            b"%ff",
            b"+",
            b"=",
        ])),
        (12, _) => {
            let added: [&[u8]; 6] =
                [b"From=%2B1", b"a=", b"a", b"", b"bodySHA256=", b"CallStatus=completed"];
            fields.insert(at, dice.choose(&added).to_vec());
        }
        _ => fields.retain(|field| !field.is_empty()),
    }
    fields.join(&b'&')
}

/// Changes JSON in ways that leave it good, or nearly so.
fn members(dice: &mut Dice, _: &Origin, _: &[Origin], request: &mut Request<Bytes>) {
    let text = String::from_utf8_lossy(request.body()).into_owned();
    let changed = match dice.below(7) {
        0 => text.replacen('{', "{\"event\":\"message\",", 1),
        1 => text.replacen('{', "{ ", 1),
        2 => text.replacen("\":", "\" :", 1),
        3 => text.replacen("true", "false", 1),
        4 => text.replacen('1', "2", 1 + dice.below(4)),
        5 => format!("{text}{text}"),
        _ => match text.rfind('}') {
            Some(end) => format!("{},\"id\":\"forged\"}}", &text[..end]),
            None => format!("{{\"a\":{text}}}"),
        },
    };
    *request.body_mut() = changed.into();
}

fn body_of_another(dice: &mut Dice, _: &Origin, all: &[Origin], request: &mut Request<Bytes>) {
    request.body_mut().clone_from(dice.pick(all).genuine.body());
}

/// The same text in other bytes.
fn encoding(dice: &mut Dice, _: &Origin, _: &[Origin], request: &mut Request<Bytes>) {
    let text = String::from_utf8_lossy(request.body()).into_owned();
    let (bytes, charset): (Vec<u8>, _) = match dice.below(4) {
        0 => (text.encode_utf16().flat_map(u16::to_le_bytes).collect(), "utf-16le"),
        1 => ([&b"\xef\xbb\xbf"[..], text.as_bytes()].concat(), "utf-8"),
        2 => (
            text.chars().map(|one| u8::try_from(u32::from(one)).unwrap_or(b'?')).collect(),
            "iso-8859-1",
        ),
        _ => (text.replace('+', "+-").into_bytes(), "utf-7"),
    };
    *request.body_mut() = bytes.into();
    let kind = request.headers().get("content-type").and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or("application/json");
    let kind = HeaderValue::from_str(&format!("{kind}; charset={charset}")).unwrap();
    request.headers_mut().insert("content-type", kind);
}

fn query(dice: &mut Dice, _: &Origin, _: &[Origin], request: &mut Request<Bytes>) {
    let choice = dice.below(6);
    set_url(request, |url| match (choice, url.split_once('?')) {
        (0, Some((before, _))) => before.to_owned(),
        (1, Some((before, query))) => format!("{before}?x=1&{query}"),
        (2, Some((before, query))) => format!("{before}?{query}&{query}"),
        (3, Some((before, query))) => format!("{before}?{}", query.to_ascii_uppercase()),
        (4, _) => format!("{url}#x"),
        (_, Some(_)) => format!("{url}&x=1"),
        (_, None) => format!("{url}?message=019a8f3e-7c21-7d40-9f55-3b8a1c2d4e6f"),
    });
}

fn path(dice: &mut Dice, _: &Origin, _: &[Origin], request: &mut Request<Bytes>) {
    let choice = dice.below(7);
    set_url(request, |url| {
        let end = before_query(url).len();
        let path = url[..end].find("/hooks").unwrap_or(end);
        let (host, path, query) = (&url[..path], &url[path..end], &url[end..]);
        let path = match choice {
            0 => format!("{path}/"),
            1 => path.replacen("/hooks", "//hooks", 1),
            2 => path.replacen("/hooks/", "/hooks/./", 1),
            3 => path.replacen("/hooks/", "/hooks//", 1),
            4 => path.replacen("/hooks", "/%68ooks", 1),
            5 => path.to_ascii_uppercase(),
            _ => "/hooks/twilio/00000000-0000-7000-8000-000000000000".to_owned(),
        };
        format!("{host}{path}{query}")
    });
}

fn host(dice: &mut Dice, _: &Origin, _: &[Origin], request: &mut Request<Bytes>) {
    let choice = dice.below(7);
    set_url(request, |url| {
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        match choice {
            0 => format!("http://{host}{path}"),
            1 => format!("{scheme}://evil.example{path}"),
            2 => format!("{scheme}://{host}:443{path}"),
            3 => format!("{scheme}://{host}.{path}"),
            4 => format!("{scheme}://me@{host}{path}"),
            5 => format!("{scheme}://{}{path}", host.to_ascii_uppercase()),
            _ => format!("wss://{host}{path}"),
        }
    });
}

fn method(dice: &mut Dice, _: &Origin, _: &[Origin], request: &mut Request<Bytes>) {
    let methods = [Method::GET, Method::POST, Method::PUT, Method::HEAD, Method::PATCH];
    dice.pick(&methods).clone_into(request.method_mut());
    // What a client would do along with it.
    if dice.once_in(3) {
        request.body_mut().clear();
    }
    if dice.once_in(3) {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert("content-type", form);
    }
    if dice.once_in(3) {
        request.headers_mut().insert("upgrade", HeaderValue::from_static("websocket"));
    }
}

fn content_type(dice: &mut Dice, _: &Origin, _: &[Origin], request: &mut Request<Bytes>) {
    let headers = request.headers_mut();
    match dice.below(6) {
        0 => drop(headers.remove("content-type")),
        1 => drop(headers.insert("content-type", HeaderValue::from_static("application/json"))),
        2 => {
            let form =
                HeaderValue::from_static("Application/X-WWW-Form-URLencoded ; charset=utf-7");
            headers.insert("content-type", form);
        }
        3 => drop(headers.append("content-type", HeaderValue::from_static("text/plain"))),
        4 => drop(headers.insert("content-encoding", HeaderValue::from_static("gzip"))),
        _ => drop(headers.insert("i-twilio-idempotency-token", HeaderValue::from_static("forged"))),
    }
}

fn before_query(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

/// Sets another URL, unless it is none.
fn set_url(request: &mut Request<Bytes>, change: impl FnOnce(&str) -> String) {
    if let Ok(url) = change(&request.uri().to_string()).parse::<Uri>() {
        *request.uri_mut() = url;
    }
}
