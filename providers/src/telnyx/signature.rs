//! Telnyx's signature: Ed25519 over `<timestamp>|<raw body>`.
//! <https://developers.telnyx.com/development/api-fundamentals/webhooks/receiving-webhooks>
//!
//! TeXML requests carry the same two headers over the raw form body. A TeXML fetch by GET has no body, and Telnyx
//! does not sign its query: such a request is proven to come from Telnyx, what it says is not. There is nothing on
//! the wire to check it against, so it is refused unless the account asks for it (`texml_by_get`).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use http::HeaderValue;
use secrecy::ExposeSecret;

use crate::signature::single_header;
use crate::{KeyId, Rejection, Secret, Timestamp, Unverified};

const SIGNATURE_HEADER: &str = "telnyx-signature-ed25519";
const TIMESTAMP_HEADER: &str = "telnyx-timestamp";

/// How far the signed timestamp may be from our clock, either way, in seconds.
const TOLERANCE: u64 = 300;

/// A key that Telnyx may have signed with.
pub(super) struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads base64 of 32 bytes that are a point of the curve. The error is a reason for the person who typed it.
    pub(super) fn parse(text: &Secret) -> Result<Self, &'static str> {
        let bytes = STANDARD.decode(text.expose_secret().trim()).map_err(|_| "is not base64")?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| "must be 32 bytes")?;
        let key = VerifyingKey::from_bytes(&bytes)
            .ok()
            .filter(|key| !key.is_weak())
            .ok_or("is no Ed25519 public key")?;
        Ok(Self(key))
    }

    /// The key's fingerprint.
    pub(super) fn id(&self) -> KeyId {
        KeyId::of_bytes(self.0.as_bytes())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(..)")
    }
}

/// The signature and the time beside it are there, and the time is near ours: what is too old needs no key to be refused.
pub(super) fn precheck(request: &Unverified<'_>, at: Timestamp) -> Result<(), Rejection> {
    Signed::of(request.headers)?.is_timely(at)
}

/// What the headers say.
struct Signed<'r> {
    signature: Signature,
    /// As it was signed.
    timestamp: &'r str,
    seconds: i64,
}

impl<'r> Signed<'r> {
    fn of(headers: &'r http::HeaderMap) -> Result<Self, Rejection> {
        let header = |name| {
            if headers.get_all(name).iter().count() == 1 {
                single_header(headers, name).ok_or(Rejection::SignatureMalformed)
            } else {
                Err(Rejection::SignatureMissing)
            }
        };
        let (signature, timestamp) = (header(SIGNATURE_HEADER)?, header(TIMESTAMP_HEADER)?);
        let signature = STANDARD
            .decode(signature)
            .ok()
            .and_then(|bytes| Signature::from_slice(&bytes).ok())
            .ok_or(Rejection::SignatureMalformed)?;
        let seconds = seconds(timestamp).ok_or(Rejection::SignatureMalformed)?;
        Ok(Self { signature, timestamp, seconds })
    }

    fn is_timely(&self, at: Timestamp) -> Result<(), Rejection> {
        if at.timestamp().abs_diff(self.seconds) > TOLERANCE {
            return Err(Rejection::TimestampOutsideTolerance);
        }
        Ok(())
    }
}

/// Which of `keys` signed the request that reached us `at`.
pub(super) fn verify(
    keys: &[PublicKey],
    at: Timestamp,
    request: &http::Request<Bytes>,
) -> Result<KeyId, Rejection> {
    let signed = Signed::of(request.headers())?;
    let message = message(signed.timestamp, request.body());
    let key = keys
        .iter()
        .find(|key| key.0.verify_strict(&message, &signed.signature).is_ok())
        .ok_or(Rejection::SignatureMismatch)?;
    signed.is_timely(at)?;
    Ok(key.id())
}

/// Unix seconds as Telnyx writes them: digits only.
fn seconds(text: &str) -> Option<i64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain { text.parse().ok() } else { None }
}

fn message(timestamp: &str, body: &[u8]) -> Vec<u8> {
    [timestamp.as_bytes(), b"|", body].concat()
}

/// Signs a request as Telnyx does. `seed` is the private key's 32-byte seed in hex; with anything else the request
/// stays unsigned.
pub(super) fn sign(
    seed: &Secret,
    at: Timestamp,
    mut request: http::Request<Bytes>,
) -> http::Request<Bytes> {
    let mut bytes = [0; 32];
    if hex::decode_to_slice(seed.expose_secret(), &mut bytes).is_err() {
        return request;
    }
    let timestamp = at.timestamp().to_string();
    let signature = SigningKey::from_bytes(&bytes).sign(&message(&timestamp, request.body()));
    let signature = STANDARD.encode(signature.to_bytes());
    for (name, value) in [(SIGNATURE_HEADER, signature), (TIMESTAMP_HEADER, timestamp)] {
        let value = HeaderValue::try_from(value);
        request.headers_mut().insert(
            name,
            value.unwrap_or_else(|_| unreachable!("base64 and digits are header values")),
        );
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_none_is_refused() {
        let reason = |text: &str| PublicKey::parse(&Secret::from(text)).map(|_| ()).err();
        assert_eq!(reason("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="), None);
        assert_eq!(reason(" 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"), None);
        let short = STANDARD.encode([7; 31]);
        assert_eq!(reason(&short), Some("must be 32 bytes"));
        assert_eq!(reason("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo="), Some("is not base64"));
        // A point of small order would make signatures that fit every message.
        let weak = STANDARD.encode([0; 32]);
        assert_eq!(reason(&weak), Some("is no Ed25519 public key"));
    }

    #[test]
    fn without_a_seed_nothing_is_signed() {
        let request = http::Request::new(Bytes::from_static(b"{}"));
        let signed = sign(&Secret::from("no seed"), Timestamp::UNIX_EPOCH, request);
        assert!(signed.headers().is_empty());
    }
}
