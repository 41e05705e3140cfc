//! `X-Twilio-Signature`: an HMAC of the URL and, for forms, of every parameter. Under the auth token it is HMAC-SHA1. A
//! request that names a shared key in `X-Twilio-Webhooks-Signature-Settings` is signed with that key instead, by the
//! algorithm that stands beside it. That header is not signed: it chooses a key, and proves nothing.
//! <https://www.twilio.com/docs/usage/webhooks/webhooks-security>
//!
//! Nothing here knows what a request says; it only knows which of its bytes are proven.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::urls;
use crate::signature::{hmac_sha1, hmac_sha256, same, single_header};
use crate::{KeyId, Rejection, Secret, Timestamp, Unverified};

const SIGNATURE_HEADER: &str = "x-twilio-signature";

/// `key=webhooks_sharedkey_…,algorithm=HMAC_SHA256`
const SETTINGS_HEADER: &str = "x-twilio-webhooks-signature-settings";

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
        Self::by(request.method(), request.headers())
    }

    fn by(method: &Method, headers: &HeaderMap) -> Self {
        match *method {
            Method::GET => Body::None,
            _ if is_form(headers) => Body::Form,
            _ => Body::Hashed,
        }
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = single_header(headers, "content-type").unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// What an account's webhooks may be signed with.
#[derive(Debug)]
pub(super) struct Keys {
    /// The current auth token and, while a rotation lasts, the one before.
    pub(super) auth_tokens: Vec<Secret>,
    /// The same of the shared key, if there is one.
    pub(super) shared: Vec<SharedKey>,
}

/// A key that is made for nothing but signing webhooks. `Debug` shows nothing of it.
pub(super) struct SharedKey {
    /// What the settings header calls it.
    pub(super) id: String,
    pub(super) secret: Secret,
}

impl std::fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedKey(..)")
    }
}

impl SharedKey {
    /// Its fingerprint. The id is part of it: under another id the same secret proves nothing.
    fn key_id(&self) -> KeyId {
        KeyId::of_bytes(format!("{}\n{}", self.id, self.secret.expose_secret()).as_bytes())
    }
}

impl Keys {
    /// The fingerprints of all keys.
    pub(super) fn ids(&self) -> Vec<KeyId> {
        let tokens = self.auth_tokens.iter().map(KeyId::of_secret);
        tokens.chain(self.shared.iter().map(SharedKey::key_id)).collect()
    }

    /// The keys by which a request with these settings may be signed.
    fn named(&self, settings: &Settings<'_>) -> Vec<(&Secret, KeyId)> {
        match settings.key {
            None => self.auth_tokens.iter().map(|token| (token, KeyId::of_secret(token))).collect(),
            Some(id) => {
                let named = self.shared.iter().filter(|key| key.id == id);
                named.map(|key| (&key.secret, key.key_id())).collect()
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    HmacSha1,
    HmacSha256,
}

/// How a request says that it was signed.
#[derive(Debug, Clone, Copy)]
struct Settings<'r> {
    /// The shared key; without one it is the auth token.
    key: Option<&'r str>,
    algorithm: Algorithm,
}

impl<'r> Settings<'r> {
    /// What the header says; without it, or where it is blank, the auth token signs. A header that names no key, an unknown
    /// algorithm, or either more than once is malformed.
    fn of(headers: &'r HeaderMap) -> Result<Self, Rejection> {
        let mut settings = Self { key: None, algorithm: Algorithm::HmacSha1 };
        if !headers.contains_key(SETTINGS_HEADER) {
            return Ok(settings);
        }
        let text = single_header(headers, SETTINGS_HEADER).ok_or(Rejection::SignatureMalformed)?;
        if text.trim().is_empty() {
            return Ok(settings);
        }
        let mut algorithm = None;
        for part in text.split(',') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let named = match name.trim() {
                "key" => settings.key.replace(value.trim()),
                "algorithm" => algorithm.replace(value.trim()),
                // What is said of a signature beyond this does not change how it is checked.
                _ => None,
            };
            if named.is_some() {
                return Err(Rejection::SignatureMalformed);
            }
        }
        settings.algorithm = match algorithm.unwrap_or_default() {
            "" => Algorithm::HmacSha1,
            name if name.eq_ignore_ascii_case("HMAC_SHA1") => Algorithm::HmacSha1,
            name if name.eq_ignore_ascii_case("HMAC_SHA256") => Algorithm::HmacSha256,
            _ => return Err(Rejection::SignatureMalformed),
        };
        match settings.key {
            None | Some("") => Err(Rejection::SignatureMalformed),
            Some(_) => Ok(settings),
        }
    }
}

/// The header of the signature has its form, a body that is no form has one hash in the URL, and that is the body's.
pub(super) fn precheck(request: &Unverified<'_>, _at: Timestamp) -> Result<(), Rejection> {
    let (_, given) = given(request.headers)?;
    BASE64.decode(given).map_err(|_| Rejection::SignatureMalformed)?;
    covers(Body::by(request.method, request.headers), request.uri, request.body)
}

/// What of a request's body needs no key to be judged.
fn covers(kind: Body, uri: &Uri, body: Option<&Bytes>) -> Result<(), Rejection> {
    match (kind, body) {
        (Body::None, _) | (Body::Form, None) => Ok(()),
        (Body::Form, Some(body)) => check_form(body),
        (Body::Hashed, body) => check_hash(uri, body),
    }
}

/// How the request says that it was signed, and the signature.
fn given(headers: &HeaderMap) -> Result<(Settings<'_>, &str), Rejection> {
    if !headers.contains_key(SIGNATURE_HEADER) {
        return Err(Rejection::SignatureMissing);
    }
    let settings = Settings::of(headers)?;
    // The texts are compared, not the bytes, since several texts may stand for the same bytes.
    let given = single_header(headers, SIGNATURE_HEADER)
        .filter(|value| value.len() == settings.algorithm.characters())
        .ok_or(Rejection::SignatureMalformed)?;
    Ok((settings, given))
}

/// Proves that the request was signed with one of the keys, and tells with which.
pub(super) fn verify(keys: &Keys, request: &http::Request<Bytes>) -> Result<KeyId, Rejection> {
    let (settings, given) = given(request.headers())?;
    let keys = keys.named(&settings);
    if keys.is_empty() {
        return Err(Rejection::SignatureMismatch);
    }
    let body = Body::of(request);
    covers(body, request.uri(), Some(request.body()))?;
    let parameters = signed_parameters(body, request.body());
    let urls = urls::candidates(request);
    let signs = |(key, _): &(&Secret, KeyId)| {
        urls.iter().any(|url| {
            let expected = settings.algorithm.signature(key, url, &parameters);
            same(expected.as_bytes(), given.as_bytes())
        })
    };
    let key = keys.into_iter().find(signs);
    key.map(|(_, id)| id).ok_or(Rejection::SignatureMismatch)
}

impl Algorithm {
    /// How many characters of base64 a signature has.
    fn characters(self) -> usize {
        match self {
            Algorithm::HmacSha1 => 28,
            Algorithm::HmacSha256 => 44,
        }
    }

    fn signature(self, key: &Secret, url: &str, parameters: &[u8]) -> String {
        let parts = [url.as_bytes(), parameters];
        match self {
            Algorithm::HmacSha1 => BASE64.encode(hmac_sha1(key, &parts)),
            Algorithm::HmacSha256 => BASE64.encode(hmac_sha256(key, &parts)),
        }
    }
}

/// A form must be sorted before anything of it is proven, so one with more parameters than any of Twilio's is not looked
/// at. What is signed is names and values with nothing between, so a form in which a `=` is missing, or stands where a name
/// would have characters that no name of Twilio's has, may be another one's text: it is refused. Which names there are is not
/// known: Twilio adds some at any time, and parameters of calls come under names of their own.
fn check_form(form: &[u8]) -> Result<(), Rejection> {
    if form.is_empty() {
        return Ok(());
    }
    let is_of_a_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let is_good = |field: &[u8]| {
        let name = field.iter().position(|&byte| byte == b'=').map(|end| decode(&field[..end]));
        name.is_some_and(|name| !name.is_empty() && name.iter().all(is_of_a_name))
    };
    let mut fields = form.split(|&byte| byte == b'&');
    let good = fields.by_ref().take(FORM_PARAMETERS).all(is_good);
    if good && fields.next().is_none() { Ok(()) } else { Err(Rejection::SignatureMalformed) }
}

/// A body that is no form is proven by its hash in the URL, which is signed. Without the hash nothing proves it.
fn check_hash(uri: &Uri, body: Option<&Bytes>) -> Result<(), Rejection> {
    let mut hashes = body_hashes(uri);
    let (Some(given), None) = (hashes.next(), hashes.next()) else {
        return Err(Rejection::SignatureMalformed);
    };
    let Some(body) = body else { return Ok(()) };
    let expected = hex::encode(Sha256::digest(body));
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
/// unless there is one. `key` is the auth token or, where the request's settings header names a shared key, that one's secret.
pub(super) fn sign(
    key: &Secret,
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
    let algorithm =
        Settings::of(request.headers()).map_or(Algorithm::HmacSha1, |settings| settings.algorithm);
    let value = algorithm.signature(key, &request.uri().to_string(), &parameters);
    let value = HeaderValue::from_str(&value);
    request.headers_mut().insert(
        SIGNATURE_HEADER,
        value.unwrap_or_else(|_| unreachable!("base64 is a header value")),
    );
    request
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

/// Stands for what is signed of a request: whoever plays one back can change what is not signed, and how the rest is
/// written, and this stays the same.
pub(super) fn digest(request: &http::Request<Bytes>) -> String {
    let query = request.uri().query().unwrap_or_default().as_bytes();
    let mut query: Vec<_> = url::form_urlencoded::parse(query).collect();
    query.sort_unstable();
    let mut digest = Sha256::new();
    for (name, value) in query {
        for text in [name, value] {
            digest.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(text.as_bytes());
        }
    }
    digest.update(b"\n");
    match Body::of(request) {
        Body::None => {}
        Body::Form => digest.update(signed_parameters(Body::Form, request.body())),
        Body::Hashed => digest.update(Sha256::digest(request.body())),
    }
    hex::encode(&digest.finalize()[..8])
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

/// Whether a request bears the signature of another kind of request. Neither method nor type is signed, and of one whose body has
/// its hash in the URL the signed text is the URL alone: the same as of a `GET` and of a form that says nothing.
pub(super) fn is_played_back(request: &http::Request<Bytes>) -> bool {
    Body::of(request) != Body::Hashed && body_hashes(request.uri()).next().is_some()
}
