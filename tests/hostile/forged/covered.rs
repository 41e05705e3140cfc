//! What the proof of a request covers, worked out anew: it shares no code with the providers, so that it can judge them.
//!
//! A forged request for which this is the same as for a genuine one has the same text signed: no check of its proof can tell
//! them apart. Everything else must be refused.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request};
use serde_json::Value;
use sha2::{Digest, Sha256};
use switchboard::clock::Timestamp;
use url::Url;

/// The proof as it was given, and all that it covers.
pub type Covered = Vec<Vec<u8>>;

/// The names and values of a query.
type Pairs = Vec<(String, String)>;

/// What the proof of a request that came at `at` covers; `None` where it can prove nothing.
pub fn covered(provider: &str, request: &Request<Bytes>, at: Timestamp) -> Option<Covered> {
    match provider {
        "meta" => meta(request),
        "twilio" => twilio(request),
        "telnyx" => telnyx(request, at),
        "waha" => waha(request),
        "evolution" => evolution(request, at),
        other => panic!("{other}: say here what its proof covers"),
    }
}

/// The method of a request that has a body. No provider signs it; what was posted must not be believed as anything else.
fn posted(request: &Request<Bytes>) -> Option<Vec<u8>> {
    (request.method() == Method::POST).then(|| b"POST".to_vec())
}

/// The one header of that name.
fn single(request: &Request<Bytes>, name: &str) -> Option<Vec<u8>> {
    let mut values = request.headers().get_all(name).iter();
    let value = values.next()?.as_bytes().to_vec();
    values.next().is_none().then_some(value)
}

fn body(request: &Request<Bytes>) -> Vec<u8> {
    request.body().to_vec()
}

/// HMAC of the body. A check of the URL is proven by its token, and what it asks to hear again by nothing.
fn meta(request: &Request<Bytes>) -> Option<Covered> {
    if request.method() == Method::GET {
        let query = request.uri().query()?.as_bytes();
        let last = |name: &str| {
            let values = url::form_urlencoded::parse(query).filter(|(given, _)| given == name);
            values.last().map(|(_, value)| value.as_bytes().to_vec())
        };
        return Some(vec![last("hub.verify_token")?, last("hub.mode")?]);
    }
    Some(vec![single(request, "x-hub-signature-256")?, posted(request)?, body(request)])
}

/// HMAC of the body.
fn waha(request: &Request<Bytes>) -> Option<Covered> {
    let mut algorithms = request.headers().get_all("x-webhook-hmac-algorithm").iter();
    let known = algorithms.all(|value| value == "sha512");
    known.then_some(vec![single(request, "x-webhook-hmac")?, posted(request)?, body(request)])
}

/// A signature of timestamp and body. Of a `GET` nothing but that it is one of theirs is proven, and it has no body: a `POST`
/// without one says nothing, and cannot be told from it.
fn telnyx(request: &Request<Bytes>, at: Timestamp) -> Option<Covered> {
    let timestamp = single(request, "telnyx-timestamp")?;
    let told: i64 = std::str::from_utf8(&timestamp).ok()?.parse().ok()?;
    let timely = told.abs_diff(at.timestamp()) <= 300;
    let says_nothing = request.method() == Method::GET && request.body().is_empty();
    if !says_nothing {
        posted(request)?;
    }
    timely.then_some(vec![single(request, "telnyx-signature-ed25519")?, timestamp, body(request)])
}

/// A secret, or a token made of it, and nothing of what is said.
fn evolution(request: &Request<Bytes>, at: Timestamp) -> Option<Covered> {
    let given = single(request, "authorization")?;
    if let Some(token) = given.strip_prefix(b"Bearer ") {
        let claims = token.split(|byte| *byte == b'.').nth(1)?;
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        if claims["exp"].as_i64()? + 60 < at.timestamp() {
            return None;
        }
    }
    Some(vec![given, posted(request)?])
}

/// HMAC of the URL and the sorted fields of a form, names and values with nothing between, or of the URL that has the hash of
/// another body. Another way to write the same fields or the same URL is no change.
fn twilio(request: &Request<Bytes>) -> Option<Covered> {
    let kind = single(request, "content-type").unwrap_or_default();
    let kind = String::from_utf8_lossy(&kind).to_ascii_lowercase();
    let is_form = kind.split(';').next()?.trim() == "application/x-www-form-urlencoded";
    let (pairs, url) = url(request)?;
    let hashes: Vec<&[u8]> = pairs
        .iter()
        .filter(|(name, _)| name == "bodySHA256")
        .map(|(_, value)| value.as_bytes())
        .collect();
    let (word, said) = match (request.method() == Method::GET, is_form) {
        // What has a hash in its URL is no GET and no form.
        (true, _) | (_, true) if !hashes.is_empty() => return None,
        (true, _) => ("url", Vec::new()),
        // It says nothing, and cannot be told from a GET.
        (false, true) if request.body().is_empty() => ("url", posted(request).map(|_| Vec::new())?),
        (false, true) => ("form", posted(request).and(fields(request.body()))?),
        (false, false) => {
            posted(request)?;
            let hash = hex::encode(Sha256::digest(request.body()));
            let fits = hashes.len() == 1 && hashes[0].eq_ignore_ascii_case(hash.as_bytes());
            ("hash", fits.then(Vec::new)?)
        }
    };
    let proof = single(request, "x-twilio-signature")?;
    Some(vec![proof, settings(request)?, word.into(), url, said])
}

/// Which key, and which algorithm.
fn settings(request: &Request<Bytes>) -> Option<Vec<u8>> {
    const NAME: &str = "x-twilio-webhooks-signature-settings";
    let auth_token = || Some(b"the auth token".to_vec());
    if !request.headers().contains_key(NAME) {
        return auth_token();
    }
    let text = String::from_utf8(single(request, NAME)?).ok()?;
    if text.trim().is_empty() {
        return auth_token();
    }
    let all = |name: &str| -> Vec<String> {
        let parts = text.split(',').map(|part| part.split_once('=').unwrap_or((part, "")));
        parts
            .filter(|(given, _)| given.trim() == name)
            .map(|(_, value)| value.trim().to_owned())
            .collect()
    };
    let (keys, algorithms) = (all("key"), all("algorithm"));
    let algorithm = match algorithms.as_slice() {
        [] => "HMAC_SHA1",
        [one] if one.is_empty() => "HMAC_SHA1",
        [one] => one,
        _ => return None,
    };
    let [key] = keys.as_slice() else { return None };
    Some(format!("{key} {}", algorithm.to_ascii_uppercase()).into())
}

/// The query as pairs, and all of the URL but its port, in the one form that all ways to write it have in common.
fn url(request: &Request<Bytes>) -> Option<(Pairs, Vec<u8>)> {
    let uri = request.uri();
    let authority = uri.authority()?;
    let user = authority.as_str().rsplit_once('@').map_or("", |(user, _)| user);
    let (host, path) = (authority.host(), uri.path_and_query()?);
    let url = Url::parse(&format!("{}://{user}@{host}{path}", uri.scheme_str()?)).ok()?;
    let pairs: Pairs = url.query_pairs().into_owned().collect();
    let scheme = match (request.method() == Method::GET, url.scheme()) {
        (true, "ws") => "http",
        (true, "wss") => "https",
        (_, other) => other,
    };
    let mut grouped: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, value) in &pairs {
        match grouped.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => values.push(value),
            None => grouped.push((name, vec![value])),
        }
    }
    let parts = (scheme, url.username(), url.password(), url.host_str(), url.path(), &grouped);
    let text = format!("{parts:?}");
    Some((pairs, text.into()))
}

/// The signed text of a form. Where a `=` is missing, or a name has characters that no name of Twilio's has, the fields may be
/// others than those that were signed, so that nothing is proven.
fn fields(form: &[u8]) -> Option<Vec<u8>> {
    let mut fields = Vec::new();
    for field in form.split(|byte| *byte == b'&') {
        let split = field.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (decoded(&field[..split]), decoded(&field[split + 1..]));
        let of_a_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
        if name.is_empty() || !name.iter().all(of_a_name) {
            return None;
        }
        fields.push((name, value));
    }
    fields.sort();
    fields.dedup();
    Some(fields.into_iter().flat_map(|(name, value)| [name, value].concat()).collect())
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let escape = text.get(at + 1..at + 3).and_then(|digits| hex::decode(digits).ok());
        match (text[at], escape) {
            (b'%', Some(byte)) => {
                bytes.extend(byte);
                at += 3;
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(other),
        }
        at += 1;
    }
    bytes
}
