//! How a webhook of Evolution proves where it comes from. Nothing signs the body: a request proves only that whoever sent
//! it knows the account's secret.
//!
//! Either the secret itself is the `authorization` header, or that header is a bearer token (JWT, HS256) made with it, which
//! ends after ten minutes. The token is harder to misuse by whoever once reads a request, but Evolution makes it once and
//! repeats it with each retry, so what we could not take for longer than that is refused and lost. Either way the body can
//! be changed by whoever stands in between: calls must come over TLS, and a reverse proxy that lets only the
//! bridge's addresses in is advisable.
//! <https://doc.evolution-api.com/v2/en/configuration/webhooks>

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use chrono::TimeDelta;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Request};
use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::outside;
use crate::signature::{hmac_sha256, same, single_header};
use crate::{KeyId, Rejection, Secret, Timestamp, Unverified};

/// The longest header that is looked at, in bytes.
const HEADER_BYTES: usize = 4_096;

/// How far the bridge's clock may be behind ours.
const SKEW: TimeDelta = TimeDelta::seconds(60);

/// The secret that a request's header proves, one of `secrets`.
pub(super) fn verify(
    secrets: &[Secret],
    at: Timestamp,
    headers: &HeaderMap,
) -> Result<KeyId, Rejection> {
    let given = given(headers)?;
    let is_given = |secret: &&Secret| same(secret.expose_secret().as_bytes(), given.as_bytes());
    if let Some(secret) = secrets.iter().find(is_given) {
        return Ok(KeyId::of_secret(secret));
    }
    let token = given.strip_prefix("Bearer ").ok_or(Rejection::SignatureMismatch)?;
    by_token(secrets, at, token)
}

pub(super) fn precheck(request: &Unverified<'_>, _at: Timestamp) -> Result<(), Rejection> {
    given(request.headers).map(drop)
}

/// The header. A secret has no form of its own.
fn given(headers: &HeaderMap) -> Result<&str, Rejection> {
    let given =
        single_header(headers, AUTHORIZATION.as_str()).ok_or(Rejection::SignatureMissing)?;
    match given.len() {
        1..=HEADER_BYTES => Ok(given),
        _ => Err(Rejection::SignatureMalformed),
    }
}

/// What the token's header must say. Any other algorithm, `none` before all, is refused.
#[derive(Deserialize)]
struct Head {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    app: String,
    action: String,
    /// Unix seconds.
    exp: i64,
}

fn by_token(secrets: &[Secret], at: Timestamp, token: &str) -> Result<KeyId, Rejection> {
    // A text that is no token at all is most likely another secret.
    let (signed, mac) = token.rsplit_once('.').ok_or(Rejection::SignatureMismatch)?;
    let (head, claims) = signed.split_once('.').ok_or(Rejection::SignatureMalformed)?;
    let malformed = |_| Rejection::SignatureMalformed;
    let mac = URL_SAFE_NO_PAD.decode(mac).map_err(malformed)?;
    let head = URL_SAFE_NO_PAD.decode(head).map_err(malformed)?;
    let head: Head = outside::read(&head).map_err(|_| Rejection::SignatureMalformed)?;
    if head.alg != "HS256" {
        return Err(Rejection::SignatureMalformed);
    }
    let fits = |secret: &&Secret| same(&hmac_sha256(secret, &[signed.as_bytes()]), &mac);
    let secret = secrets.iter().find(fits).ok_or(Rejection::SignatureMismatch)?;
    let claims = URL_SAFE_NO_PAD.decode(claims).map_err(malformed)?;
    let claims: Claims = outside::read(&claims).map_err(|_| Rejection::SignatureMalformed)?;
    // The same key may sign tokens for somebody else.
    if claims.app != "evolution" || claims.action != "webhook" {
        return Err(Rejection::SignatureMismatch);
    }
    if claims.exp < (at - SKEW).timestamp() {
        return Err(Rejection::TimestampOutsideTolerance);
    }
    Ok(KeyId::of_secret(secret))
}

/// Gives a request the header that Evolution was told to send. An empty secret proves nothing, and a secret that no header
/// can hold is never sent.
pub(super) fn sign(secret: &Secret, _at: Timestamp, mut request: Request<Bytes>) -> Request<Bytes> {
    let secret = secret.expose_secret();
    if let Ok(mut value) = HeaderValue::from_str(secret)
        && !secret.is_empty()
    {
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    request
}
