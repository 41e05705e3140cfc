//! Sealing: how credentials are kept. Knows keys and ciphertexts, and nothing of organizations' tables.
//!
//! Every organization has a data key, a random XChaCha20-Poly1305 key that seals its credentials. Data keys are kept
//! wrapped by a master key, which comes from the environment or a file and never enters the database. Rotating the
//! master key re-wraps the data keys and touches nothing that is sealed.

pub mod file;
mod master;
mod seal;

pub use master::{MasterKeyError, MasterKeyId, MasterKeys};
pub use seal::{DataKey, SealError};
