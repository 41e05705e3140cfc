//! The keys that seal each organization's credentials, unwrapped once and kept.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, OnceLock};

use providers::{KeyId, Secret};
use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::model::{AccountId, KeyFingerprint, OrganizationId};
use crate::store::gateway_keys::{self, GatewayKey};
use crate::store::organizations::{self, WrappedKey};
use crate::store::{Session, Store, StoreError};
use crate::vault::{DataKey, MasterKeyError, MasterKeys, SealError};

/// What the key that makes fingerprints is called.
const FINGERPRINTS: &str = "fingerprints";

/// The master keys, and the data keys that were opened with them.
#[derive(Debug)]
pub struct Keyring {
    master: MasterKeys,
    opened: Mutex<HashMap<OrganizationId, DataKey>>,
    fingerprints: OnceLock<DataKey>,
}

/// What makes fingerprints of keys that may be kept.
#[derive(Debug, Clone)]
pub(super) struct Fingerprints(DataKey);

/// Why credentials cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The master key.
    #[error(transparent)]
    Master(#[from] MasterKeyError),
    /// The data key.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The organization has no data key: its row was made by something else than the gateway.
    #[error("organization {0} has no data key")]
    Missing(OrganizationId),
    /// What was opened is not what was sealed.
    #[error("the opened credentials are not readable")]
    Unreadable,
}

impl Keyring {
    /// A keyring with these master keys.
    pub fn new(master: MasterKeys) -> Self {
        Self { master, opened: Mutex::default(), fingerprints: OnceLock::new() }
    }

    /// The master keys.
    pub fn master(&self) -> &MasterKeys {
        &self.master
    }

    /// Gives a new organization its data key, and the gateway its own with the first one. Needs the owner's rights.
    pub async fn create(
        &self,
        session: &mut Session,
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<(), KeyringError> {
        let key = DataKey::random()?;
        let wrapped = self.wrap(organization, &key)?;
        organizations::insert_key(session, &wrapped, now).await?;
        self.make_fingerprints_key(session, now).await
    }

    /// Gives a gateway whose organizations are older than fingerprints the key that makes them. A master key that does not
    /// open what is there is the wrong one to wrap it with, so then there is none.
    pub(super) async fn complete(&self, store: &Store, now: Timestamp) -> Result<(), KeyringError> {
        let mut session = store.read_all().await?;
        if gateway_keys::get(&mut session, FINGERPRINTS).await?.is_some() {
            return Ok(());
        }
        let known = organizations::keys(&mut session).await?;
        drop(session);
        if !known.iter().any(|key| self.unwrap(key).is_ok()) {
            return Ok(());
        }
        let mut session = store.write_as_owner().await?;
        self.make_fingerprints_key(&mut session, now).await?;
        Ok(session.commit().await?)
    }

    async fn make_fingerprints_key(
        &self,
        session: &mut Session,
        now: Timestamp,
    ) -> Result<(), KeyringError> {
        let key = self.wrap_own(FINGERPRINTS, &DataKey::random()?)?;
        Ok(gateway_keys::insert(session, FINGERPRINTS, &key, now).await?)
    }

    /// What makes fingerprints.
    pub(super) async fn fingerprints(
        &self,
        session: &mut Session,
    ) -> Result<Option<Fingerprints>, KeyringError> {
        if let Some(key) = self.fingerprints.get() {
            return Ok(Some(Fingerprints(key.clone())));
        }
        let Some(wrapped) = gateway_keys::get(session, FINGERPRINTS).await? else {
            return Ok(None);
        };
        let key = self.unwrap_own(FINGERPRINTS, &wrapped)?;
        Ok(Some(Fingerprints(self.fingerprints.get_or_init(|| key).clone())))
    }

    /// Whether the gateway's own keys open.
    ///
    /// # Errors
    /// They do not, or the database cannot be read.
    pub async fn check_own(&self, session: &mut Session) -> Result<(), KeyringError> {
        self.fingerprints(session).await.map(drop)
    }

    /// Wraps every data key anew under the current master key, and the gateway's own; returns how many data keys were not
    /// yet. Needs the owner's rights.
    pub async fn rewrap_all(&self, session: &mut Session) -> Result<usize, KeyringError> {
        let mut rewrapped = 0;
        let current = self.master.current_id();
        if let Some(old) = gateway_keys::get(session, FINGERPRINTS).await?
            && old.master_key_id != current
        {
            let key = self.unwrap_own(FINGERPRINTS, &old)?;
            let wrapped = self.wrap_own(FINGERPRINTS, &key)?;
            gateway_keys::rewrap(session, FINGERPRINTS, &wrapped).await?;
        }
        for old in organizations::keys(session).await? {
            if old.master_key_id == current {
                continue;
            }
            let key = self.unwrap(&old)?;
            organizations::rewrap(session, &self.wrap(old.organization_id, &key)?).await?;
            rewrapped += 1;
        }
        Ok(rewrapped)
    }

    /// Seals an account's credentials.
    pub async fn seal(
        &self,
        session: &mut Session,
        organization: OrganizationId,
        account: AccountId,
        credentials: &BTreeMap<String, Secret>,
    ) -> Result<Vec<u8>, KeyringError> {
        let key = self.key(session, organization).await?;
        let exposed: BTreeMap<&str, &str> = credentials
            .iter()
            .map(|(name, secret)| (name.as_str(), secret.expose_secret()))
            .collect();
        let plain =
            Zeroizing::new(serde_json::to_vec(&exposed).map_err(|_| KeyringError::Unreadable)?);
        Ok(key.seal(&place(organization, account), &plain)?)
    }

    /// Opens an account's credentials.
    pub async fn open(
        &self,
        session: &mut Session,
        organization: OrganizationId,
        account: AccountId,
        sealed: &[u8],
    ) -> Result<BTreeMap<String, Secret>, KeyringError> {
        let key = self.key(session, organization).await?;
        let plain = key.open(&place(organization, account), sealed)?;
        let texts: BTreeMap<String, String> =
            serde_json::from_slice(&plain).map_err(|_| KeyringError::Unreadable)?;
        Ok(texts.into_iter().map(|(name, text)| (name, Secret::from(text))).collect())
    }

    /// The data key of an organization: what seals its files and signs links to them.
    pub async fn key(
        &self,
        session: &mut Session,
        organization: OrganizationId,
    ) -> Result<DataKey, KeyringError> {
        if let Some(key) = self.opened().get(&organization) {
            return Ok(key.clone());
        }
        let wrapped = organizations::key(session, organization).await?;
        let key = self.unwrap(&wrapped.ok_or(KeyringError::Missing(organization))?)?;
        self.opened().insert(organization, key.clone());
        Ok(key)
    }

    fn wrap(
        &self,
        organization_id: OrganizationId,
        key: &DataKey,
    ) -> Result<WrappedKey, MasterKeyError> {
        let (master_key_id, wrapped) = self.master.wrap(&key_place(organization_id), key)?;
        Ok(WrappedKey { organization_id, master_key_id, wrapped })
    }

    fn unwrap(&self, wrapped: &WrappedKey) -> Result<DataKey, MasterKeyError> {
        let place = key_place(wrapped.organization_id);
        self.master.unwrap(&place, &wrapped.master_key_id, &wrapped.wrapped)
    }

    fn wrap_own(&self, name: &str, key: &DataKey) -> Result<GatewayKey, MasterKeyError> {
        let (master_key_id, wrapped) = self.master.wrap(&own_place(name), key)?;
        Ok(GatewayKey { master_key_id, wrapped })
    }

    fn unwrap_own(&self, name: &str, key: &GatewayKey) -> Result<DataKey, MasterKeyError> {
        self.master.unwrap(&own_place(name), &key.master_key_id, &key.wrapped)
    }

    fn opened(&self) -> std::sync::MutexGuard<'_, HashMap<OrganizationId, DataKey>> {
        self.opened.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Fingerprints {
    /// The fingerprint of a key that webhooks are signed with.
    pub(super) fn of(&self, key: KeyId) -> KeyFingerprint {
        KeyFingerprint(self.0.tag("webhook-key", key.as_bytes()))
    }
}

fn own_place(name: &str) -> String {
    format!("gateway/{name}")
}

fn place(organization: OrganizationId, account: AccountId) -> String {
    format!("organizations/{organization}/accounts/{account}/credentials")
}

fn key_place(organization: OrganizationId) -> String {
    format!("organizations/{organization}/data-key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_tells_keys_apart_to_whoever_has_the_gateways_own() {
        let ours = Fingerprints(DataKey::random().unwrap());
        let [one, two] = ["one", "two"].map(|text| KeyId::of_secret(&Secret::from(text)));
        assert_eq!(ours.of(one), ours.of(one));
        assert_ne!(ours.of(one), ours.of(two));
        assert_ne!(ours.of(one), Fingerprints(DataKey::random().unwrap()).of(one));
        assert_ne!(&ours.of(one).0, one.as_bytes());
    }
}
