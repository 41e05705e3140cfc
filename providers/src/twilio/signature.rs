//! `X-Twilio-Signature`: HMAC-SHA1 under the auth token of the URL and, for forms, of every parameter.
//! <https://www.twilio.com/docs/usage/webhooks/webhooks-security>
//!
//! Nothing here knows what a request says; it only knows which of its bytes are proven.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri};
use sha2::{Digest, Sha256};

use super::urls;
use crate::signature::{hmac_sha1, same, single_header};
use crate::{KeyId, Rejection, Secret, Timestamp};

const SIGNATURE_HEADER: &str = "x-twilio-signature";

/// The query parameter in which Twilio puts the SHA-256 of a body that is no form.
const BODY_HASH: &str = "bodySHA256";

/// How many parameters a form may have to be verified. Twilio's have a few dozen.
const FORM_PARAMETERS: usize = 1_000;

/// How the parts of a request that are not its URL are covered by the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// `GET`: there is none, and whatever stands there is not proven and must not be read.
    None,
    /// Its parameters follow the URL.
    Form,
    /// Its hash is part of the URL.
    Hashed,
}

impl Body {
    /// The kind of a request's body. It decides how the request is verified and, alike, how it is read.
    pub(super) fn of(request: &http::Request<Bytes>) -> Self {
        match *request.method() {
            Method::GET => Body::None,
            _ if is_form(request.headers()) => Body::Form,
            _ => Body::Hashed,
        }
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = single_header(headers, "content-type").unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Proves that the request was signed with one of the tokens, and tells with which.
pub(super) fn verify(
    auth_tokens: &[Secret],
    request: &http::Request<Bytes>,
) -> Result<KeyId, Rejection> {
    if !request.headers().contains_key(SIGNATURE_HEADER) {
        return Err(Rejection::SignatureMissing);
    }
    // 20 bytes are 28 characters of base64. The texts are compared, not the bytes, since several texts may stand
    // for the same bytes.
    let given = single_header(request.headers(), SIGNATURE_HEADER)
        .filter(|value| value.len() == 28)
        .ok_or(Rejection::SignatureMalformed)?;
    let body = Body::of(request);
    match body {
        Body::None => {}
        Body::Form => check_size(request.body())?,
        Body::Hashed => verify_hash(request)?,
    }
    let parameters = signed_parameters(body, request.body());
    let urls = urls::candidates(request);
    let signs = |token: &&Secret| {
        urls.iter().any(|url| {
            let expected = signature(token, url, &parameters);
            same(expected.as_bytes(), given.as_bytes())
        })
    };
    let token = auth_tokens.iter().find(signs);
    token.map(KeyId::of_secret).ok_or(Rejection::SignatureMismatch)
}

/// A form must be sorted before anything of it is proven, so one with more parameters than any of Twilio's is not looked
/// at.
fn check_size(form: &[u8]) -> Result<(), Rejection> {
    match form.split(|&byte| byte == b'&').nth(FORM_PARAMETERS) {
        None => Ok(()),
        Some(_) => Err(Rejection::SignatureMalformed),
    }
}

/// A body that is no form is proven by its hash in the URL, which is signed. Without the hash nothing proves it.
fn verify_hash(request: &http::Request<Bytes>) -> Result<(), Rejection> {
    let mut hashes = body_hashes(request.uri());
    let (Some(given), None) = (hashes.next(), hashes.next()) else {
        return Err(Rejection::SignatureMalformed);
    };
    let expected = hex::encode(Sha256::digest(request.body()));
    if same(expected.as_bytes(), given.to_ascii_lowercase().as_bytes()) {
        Ok(())
    } else {
        Err(Rejection::SignatureMismatch)
    }
}

fn body_hashes(uri: &Uri) -> impl Iterator<Item = String> {
    let query = uri.query().unwrap_or_default().as_bytes();
    url::form_urlencoded::parse(query)
        .filter(|(name, _)| name == BODY_HASH)
        .map(|(_, value)| value.into_owned())
}

/// Signs a request as Twilio does, over the URL as it stands. A body that is no form has its hash put into the URL,
/// unless there is one.
pub(super) fn sign(
    auth_token: &Secret,
    _at: Timestamp,
    mut request: http::Request<Bytes>,
) -> http::Request<Bytes> {
    let body = Body::of(&request);
    if body == Body::Hashed && body_hashes(request.uri()).next().is_none() {
        let hash = hex::encode(Sha256::digest(request.body()));
        let joint = if request.uri().query().is_some() { '&' } else { '?' };
        let url = format!("{}{joint}{BODY_HASH}={hash}", request.uri());
        // Only a URL near the length limit fails here; it stays as it was and will not be believed.
        if let Ok(uri) = url.parse() {
            *request.uri_mut() = uri;
        }
    }
    let parameters = signed_parameters(body, request.body());
    let value = signature(auth_token, &request.uri().to_string(), &parameters);
    let value = HeaderValue::from_str(&value);
    request.headers_mut().insert(
        SIGNATURE_HEADER,
        value.unwrap_or_else(|_| unreachable!("base64 is a header value")),
    );
    request
}

fn signature(auth_token: &Secret, url: &str, parameters: &[u8]) -> String {
    BASE64.encode(hmac_sha1(auth_token, &[url.as_bytes(), parameters]))
}

/// Every parameter that came, sorted by name: name and value without anything between. A repeated name stands there
/// once for each of its different values.
fn signed_parameters(body: Body, bytes: &[u8]) -> Vec<u8> {
    if body != Body::Form {
        return Vec::new();
    }
    let field = |field: &[u8]| {
        let mut halves = field.splitn(2, |&byte| byte == b'=');
        let mut half = || decode(halves.next().unwrap_or_default());
        (half(), half())
    };
    let mut fields: Vec<(Vec<u8>, Vec<u8>)> =
        bytes.split(|&byte| byte == b'&').map(field).collect();
    fields.sort_unstable();
    fields.dedup();
    fields.into_iter().flat_map(|(name, value)| [name, value]).flatten().collect()
}

/// Undoes the encoding of a form to the very bytes. A decoder that replaces what is no UTF-8 would take different
/// forms for the same.
fn decode(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        let byte = match (first, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match hex_digit(*high).zip(hex_digit(*low)) {
                Some((high, low)) => {
                    rest = after;
                    high * 16 + low
                }
                None => b'%',
            },
            (byte, _) => *byte,
        };
        bytes.push(byte);
    }
    bytes
}

fn hex_digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}
