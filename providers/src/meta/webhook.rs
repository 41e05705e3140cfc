//! Verification of Meta's webhooks, and the check that Meta makes when a webhook URL is registered.
//! <https://developers.facebook.com/docs/graph-api/webhooks/getting-started>

use bytes::Bytes;
use http::Method;
use secrecy::ExposeSecret;

use super::envelope;
use crate::signature::{hmac_sha256, same, single_header};
use crate::{Batch, Inbound, KeyId, Rejection, Reply, Secret, Timestamp, Unverified};

const SIGNATURE_HEADER: &str = "x-hub-signature-256";

pub(super) fn receive(
    app_secrets: &[Secret],
    verify_token: &Secret,
    inbound: &Inbound,
) -> Result<Batch, Rejection> {
    let (at, request) = inbound.parts();
    match *request.method() {
        Method::GET => challenge(verify_token, at, request),
        Method::POST => {
            let signed_with = match inbound {
                Inbound::Webhook { .. } => Some(verify(app_secrets, request)?),
                Inbound::Kept { .. } => None,
            };
            Ok(envelope::read(request.body(), at, signed_with))
        }
        _ => Err(Rejection::MethodNotUsed),
    }
}

/// Answers the check that Meta makes when the URL is registered.
fn challenge(
    verify_token: &Secret,
    at: Timestamp,
    request: &http::Request<Bytes>,
) -> Result<Batch, Rejection> {
    let query = request.uri().query().unwrap_or_default();
    let (mut mode, mut token, mut answer) = (None, None, None);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "hub.mode" => mode = Some(value),
            "hub.verify_token" => token = Some(value),
            "hub.challenge" => answer = Some(value),
            _ => {}
        }
    }
    let token = token.ok_or(Rejection::ChallengeMalformed)?;
    if !same(token.as_bytes(), verify_token.expose_secret().as_bytes()) {
        return Err(Rejection::TokenMismatch);
    }
    // Meta sends digits. Nothing but a short word is echoed, so that nobody can make us serve a page of theirs.
    let is_challenge = |text: &str| {
        !text.is_empty()
            && text.len() <= 64
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let answer = answer.filter(|text| is_challenge(text)).ok_or(Rejection::ChallengeMalformed)?;
    if mode.as_deref() != Some("subscribe") {
        return Err(Rejection::ChallengeMalformed);
    }
    Ok(Batch::empty(Reply::text(answer.into_owned()), None, at))
}

/// A notification has a signature. The check of a URL has none.
pub(super) fn precheck(request: &Unverified<'_>, _at: Timestamp) -> Result<(), Rejection> {
    match *request.method {
        Method::GET => Ok(()),
        _ => signature(request.headers).map(drop),
    }
}

/// What the header says: `sha256=` and 64 digits of lower-case hex. The older `X-Hub-Signature` (SHA-1) proves nothing.
fn signature(headers: &http::HeaderMap) -> Result<[u8; 32], Rejection> {
    let hex = single_header(headers, SIGNATURE_HEADER)
        .ok_or(Rejection::SignatureMissing)?
        .strip_prefix("sha256=")
        .filter(|hex| !hex.bytes().any(|byte| byte.is_ascii_uppercase()))
        .ok_or(Rejection::SignatureMalformed)?;
    let mut given = [0; 32];
    hex::decode_to_slice(hex, &mut given).map_err(|_| Rejection::SignatureMalformed)?;
    Ok(given)
}

/// HMAC-SHA256 of the raw body under the app secret.
fn verify(app_secrets: &[Secret], request: &http::Request<Bytes>) -> Result<KeyId, Rejection> {
    let given = signature(request.headers())?;
    app_secrets
        .iter()
        .find(|secret| same(&hmac_sha256(secret, &[request.body()]), &given))
        .map(KeyId::of_secret)
        .ok_or(Rejection::SignatureMismatch)
}

/// Signs a request as Meta does, with the app secret.
pub(super) fn sign(
    app_secret: &Secret,
    _at: Timestamp,
    mut request: http::Request<Bytes>,
) -> http::Request<Bytes> {
    let mac = hex::encode(hmac_sha256(app_secret, &[request.body()]));
    let value = http::HeaderValue::from_str(&format!("sha256={mac}"));
    request
        .headers_mut()
        .insert(SIGNATURE_HEADER, value.unwrap_or_else(|_| unreachable!("hex is a header value")));
    request
}
