//! The keys that seal each organization's credentials, unwrapped once and kept.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use providers::Secret;
use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::model::{AccountId, OrganizationId};
use crate::store::organizations::{self, WrappedKey};
use crate::store::{Session, StoreError};
use crate::vault::{DataKey, MasterKeyError, MasterKeys, SealError};

/// The master keys, and the data keys that were opened with them.
#[derive(Debug)]
pub struct Keyring {
    master: MasterKeys,
    opened: Mutex<HashMap<OrganizationId, DataKey>>,
}

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
        Self { master, opened: Mutex::default() }
    }

    /// The master keys.
    pub fn master(&self) -> &MasterKeys {
        &self.master
    }

    /// Gives a new organization its data key. Needs the owner's rights.
    pub async fn create(
        &self,
        session: &mut Session,
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<(), KeyringError> {
        let key = DataKey::random()?;
        let wrapped = self.wrap(organization, &key)?;
        organizations::insert_key(session, &wrapped, now).await?;
        Ok(())
    }

    /// Wraps every data key anew under the current master key; returns how many were not yet. Needs the owner's rights.
    pub async fn rewrap_all(&self, session: &mut Session) -> Result<usize, KeyringError> {
        let mut rewrapped = 0;
        let current = self.master.current_id();
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

    fn opened(&self) -> std::sync::MutexGuard<'_, HashMap<OrganizationId, DataKey>> {
        self.opened.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn place(organization: OrganizationId, account: AccountId) -> String {
    format!("organizations/{organization}/accounts/{account}/credentials")
}

fn key_place(organization: OrganizationId) -> String {
    format!("organizations/{organization}/data-key")
}
