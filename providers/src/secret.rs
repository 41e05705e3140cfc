//! Secrets that say nothing in `Debug`, errors or logs, and fingerprints by which two of them are compared.

use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

/// A credential. `Debug` prints `[REDACTED]`, there is no `Display`, and the memory is wiped when it is dropped.
pub type Secret = secrecy::SecretString;

/// A fingerprint of a verification key: the first 16 bytes of its SHA-256. It stays in memory, to recognize that two accounts
/// belong to one provider-side application: a weak key could be guessed from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; 16]);

impl KeyId {
    /// The fingerprint of a shared secret.
    pub fn of_secret(secret: &Secret) -> Self {
        Self::of_bytes(secret.expose_secret().as_bytes())
    }

    /// The fingerprint of a public key.
    pub fn of_bytes(key: &[u8]) -> Self {
        let digest = Sha256::digest(key);
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }

    /// Its bytes, of which another fingerprint may be made that can be kept: one that takes a secret to make.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl std::fmt::Debug for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyId(..)")
    }
}
