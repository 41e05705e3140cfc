//! Authenticated encryption of small secrets.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use secrecy::zeroize::Zeroizing;
use sha2::Sha256;
use subtle::ConstantTimeEq;

const KEY_LENGTH: usize = 32;
const NONCE_LENGTH: usize = 24;

/// How long a tag is, in bytes.
const TAG_LENGTH: usize = 16;

/// The first byte of everything sealed, so that the form can change.
const FORM: u8 = 1;

/// A key that seals. Wiped when dropped, silent in `Debug`.
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; KEY_LENGTH]>);

/// Why something cannot be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The machine gave no randomness.
    #[error("the operating system gave no random bytes")]
    Randomness,
    /// Not something that was sealed by us.
    #[error("the sealed value is damaged or of an unknown form")]
    Form,
    /// Another key, another place, or tampered with.
    #[error("the sealed value does not open with this key")]
    Refused,
}

impl DataKey {
    /// A new random key.
    pub fn random() -> Result<Self, SealError> {
        let mut bytes = Zeroizing::new([0; KEY_LENGTH]);
        getrandom::fill(bytes.as_mut()).map_err(|_| SealError::Randomness)?;
        Ok(Self(bytes))
    }

    /// The key of these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealError> {
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        if bytes.len() != KEY_LENGTH {
            return Err(SealError::Form);
        }
        key.copy_from_slice(bytes);
        Ok(Self(key))
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_LENGTH] {
        &self.0
    }

    /// Seals `plain`. `place` says what it is and whose (it is authenticated, not stored): a value moved to another
    /// row or organization does not open.
    pub fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LENGTH];
        getrandom::fill(&mut nonce).map_err(|_| SealError::Randomness)?;
        let payload = Payload { msg: plain, aad: place.as_bytes() };
        let cipher = XChaCha20Poly1305::new(&Key::from(*self.0));
        let sealed =
            cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::Refused)?;
        Ok([&[FORM], &nonce[..], &sealed].concat())
    }

    /// Opens what [`DataKey::seal`] made for the same `place`.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (form, rest) = sealed.split_first().ok_or(SealError::Form)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LENGTH).ok_or(SealError::Form)?;
        if *form != FORM {
            return Err(SealError::Form);
        }
        let nonce: [u8; NONCE_LENGTH] = nonce.try_into().map_err(|_| SealError::Form)?;
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        let cipher = XChaCha20Poly1305::new(&Key::from(*self.0));
        let plain = cipher.decrypt(&XNonce::from(nonce), payload);
        plain.map(Zeroizing::new).map_err(|_| SealError::Refused)
    }

    /// A tag that proves that `data` comes from a holder of this key, who made it for `purpose`.
    pub fn tag(&self, purpose: &str, data: &[u8]) -> [u8; TAG_LENGTH] {
        let mut tag = [0; TAG_LENGTH];
        let derived = Hkdf::<Sha256>::new(None, self.bytes());
        // It fails for outputs of many kilobytes only; then the tag is one that is never accepted.
        if derived.expand(&[purpose.as_bytes(), &[0], data].concat(), &mut tag).is_err() {
            return [0; TAG_LENGTH];
        }
        tag
    }

    /// Whether the tag is the one for this purpose and data, in constant time.
    pub fn has_tag(&self, purpose: &str, data: &[u8], tag: &[u8]) -> bool {
        let expected = self.tag(purpose, data);
        expected != [0; TAG_LENGTH] && bool::from(expected.ct_eq(tag))
    }
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        let key = DataKey::random().unwrap();
        let sealed = key.seal("accounts/1", b"token").unwrap();
        assert_eq!(key.open("accounts/1", &sealed).unwrap().as_slice(), b"token");
        assert_eq!(key.open("accounts/2", &sealed), Err(SealError::Refused));
        assert_eq!(DataKey::random().unwrap().open("accounts/1", &sealed), Err(SealError::Refused));
        assert_ne!(key.seal("accounts/1", b"token").unwrap(), sealed, "nonces repeat");
    }

    #[test]
    fn a_tag_is_good_for_one_key_one_purpose_and_one_text() {
        let key = DataKey::random().unwrap();
        let tag = key.tag("links", b"text");
        assert!(key.has_tag("links", b"text", &tag));
        assert!(!key.has_tag("letters", b"text", &tag));
        assert!(!key.has_tag("links", b"texts", &tag));
        assert!(!key.has_tag("links", b"text", &tag[..8]));
        assert!(!DataKey::random().unwrap().has_tag("links", b"text", &tag));
    }

    #[test]
    fn no_changed_byte_opens() {
        let key = DataKey::random().unwrap();
        let sealed = key.seal("p", b"token").unwrap();
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(key.open("p", &changed).is_err(), "byte {index}");
            assert!(key.open("p", &sealed[..index]).is_err(), "cut at {index}");
        }
    }
}
