//! Accounts and routes in memory: what a webhook needs to know before anything is written.
//!
//! The whole directory is read at once and replaced at once. It is read anew when its version in the database has
//! grown: at once in the process that changed it, within a second in all others.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use providers::{Account as OpenAccount, Address, Channel, KeyId, Provider, Secret, Settings};

use super::keyring::Fingerprints;
use super::{Keyring, KeyringError};
use crate::clock::Timestamp;
use crate::model::{Account, AccountId, KeyFingerprint, OrganizationId, Route, RouteState};
use crate::store::accounts::{self, SealedAccount};
use crate::store::{Session, Store, StoreError, organizations, routes};
use crate::transport::Behalf;

/// What the names of credentials begin with that were replaced; providers find them under it ([`providers::Field::rotates`]).
const PREVIOUS: &str = "previous_";

/// The directory as it stands.
#[derive(Debug)]
pub struct Directory {
    snapshot: RwLock<Arc<Snapshot>>,
    reading: tokio::sync::Mutex<()>,
    /// When an unknown account or a failed signature last made us look.
    looked: Mutex<Option<Instant>>,
}

/// How long unknown accounts and failed signatures must wait before the next of them makes us look again: whoever sends
/// forgeries must not make us ask the database for each.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// How long what could not be opened rests before it is tried again: the master key may have come back meanwhile.
const OPEN_AGAIN: TimeDelta = TimeDelta::seconds(30);

/// One state of the directory.
#[derive(Debug, Default)]
pub struct Snapshot {
    version: i64,
    accounts: HashMap<AccountId, Arc<DirectoryAccount>>,
    /// Their ids, oldest first.
    in_order: Vec<AccountId>,
    by_identifier: HashMap<(&'static str, String), Vec<AccountId>>,
    by_handle: HashMap<(&'static str, String), Vec<RoutedLine>>,
    by_address: HashMap<(&'static str, String), Vec<RoutedLine>>,
    /// When the next rotation ends, or what could not be opened is tried again: then the directory must be read anew, although
    /// nothing was written.
    expires_at: Option<Timestamp>,
    /// Accounts whose credentials cannot be opened.
    locked: Vec<(AccountId, String)>,
}

/// An account, ready for use.
#[derive(Debug)]
pub struct DirectoryAccount {
    /// Its id.
    pub id: AccountId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Its provider.
    pub provider: &'static Provider,
    /// The account itself.
    pub account: Box<dyn OpenAccount>,
    /// Fingerprints of the keys its webhooks may be signed with.
    pub keys: Vec<KeyId>,
    /// Those that may be kept, in the same order; none if they cannot be made.
    pub fingerprints: Vec<KeyFingerprint>,
}

/// A line of ours that receives.
#[derive(Debug, Clone)]
pub struct RoutedLine {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The account that carries it.
    pub account_id: AccountId,
    /// What it carries.
    pub channel: Channel,
    /// Our number or mailbox.
    pub address: String,
}

impl Directory {
    /// Reads the directory.
    pub async fn load(store: &Store, keys: &Keyring, now: Timestamp) -> Result<Self, StoreError> {
        let snapshot = read(&mut store.read_all().await?, keys, now).await?;
        Ok(Self {
            snapshot: RwLock::new(Arc::new(snapshot)),
            reading: tokio::sync::Mutex::default(),
            looked: Mutex::default(),
        })
    }

    /// The directory as it stands now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Like [`Directory::refresh`], but not too often. Returns whether the directory has changed.
    pub async fn look_again(
        &self,
        store: &Store,
        keys: &Keyring,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        {
            let mut looked = self.looked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if looked.is_some_and(|at| at.elapsed() < LOOK_AGAIN) {
                return Ok(false);
            }
            *looked = Some(Instant::now());
        }
        let before = self.snapshot();
        self.refresh(store, keys, now).await?;
        Ok(!Arc::ptr_eq(&before, &self.snapshot()))
    }

    /// Reads the directory anew, if its version has grown or a rotation has ended.
    pub async fn refresh(
        &self,
        store: &Store,
        keys: &Keyring,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let _one_at_a_time = self.reading.lock().await;
        let mut session = store.read_all().await?;
        let known = self.snapshot();
        let version = organizations::directory_version(&mut session).await?;
        if version == known.version && known.expires_at.is_none_or(|at| at > now) {
            return Ok(());
        }
        let fresh = Arc::new(read(&mut session, keys, now).await?);
        *self.snapshot.write().unwrap_or_else(std::sync::PoisonError::into_inner) = fresh;
        Ok(())
    }
}

impl DirectoryAccount {
    /// The fingerprint that may be kept of one of its keys.
    pub fn fingerprint(&self, key: KeyId) -> Option<KeyFingerprint> {
        let mut known = self.keys.iter().zip(&self.fingerprints);
        known.find(|(known, _)| **known == key).map(|(_, fingerprint)| *fingerprint)
    }

    /// On whose behalf its requests leave.
    pub fn behalf(&self) -> Behalf {
        Behalf { organization: self.organization_id.0, homes: self.provider.homes }
    }

    fn with(mut self, fingerprints: Option<&Fingerprints>) -> Self {
        let of = |made: &Fingerprints| self.keys.iter().map(|key| made.of(*key)).collect();
        self.fingerprints = fingerprints.map(of).unwrap_or_default();
        self
    }
}

impl Snapshot {
    /// Grows with every change of an account or a route, and with every key that is taken back.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// The account of that id.
    pub fn account(&self, id: AccountId) -> Option<&Arc<DirectoryAccount>> {
        self.accounts.get(&id)
    }

    /// Whether there is such an account and its credentials cannot be opened.
    pub fn is_locked(&self, provider: &Provider, id: AccountId) -> bool {
        self.locked.iter().any(|(locked, of)| *locked == id && of == provider.name)
    }

    /// The same of an account of any provider.
    pub fn cannot_open(&self, id: AccountId) -> bool {
        self.locked.iter().any(|(locked, _)| *locked == id)
    }

    /// Whether a provider has accounts whose credentials cannot be opened.
    pub fn has_locked(&self, provider: &Provider) -> bool {
        self.locked.iter().any(|(_, of)| of == provider.name)
    }

    /// How many accounts' credentials cannot be opened.
    pub fn locked(&self) -> usize {
        self.locked.len()
    }

    /// The accounts of a provider, oldest first.
    pub fn accounts_in_order(
        &self,
        provider: &'static Provider,
    ) -> impl Iterator<Item = &Arc<DirectoryAccount>> {
        let accounts = self.in_order.iter().filter_map(|id| self.accounts.get(id));
        accounts.filter(move |account| std::ptr::eq(account.provider, provider))
    }

    /// The accounts of a provider.
    pub fn accounts_of<'s>(
        &'s self,
        provider: &'s Provider,
    ) -> impl Iterator<Item = &'s Arc<DirectoryAccount>> {
        self.accounts.values().filter(|account| std::ptr::eq(account.provider, provider))
    }

    /// The accounts that the provider calls by that id.
    pub fn by_identifier(&self, provider: &Provider, identifier: &str) -> &[AccountId] {
        self.by_identifier.get(&(provider.name, identifier.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// The lines that the provider calls by that handle.
    pub fn by_handle(&self, provider: &Provider, handle: &str) -> &[RoutedLine] {
        self.by_handle.get(&(provider.name, handle.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// The lines of that number or mailbox, in any spelling.
    pub fn by_address(&self, provider: &Provider, address: &Address) -> &[RoutedLine] {
        let key = (provider.name, address.match_key().into_owned());
        self.by_address.get(&key).map_or(&[], Vec::as_slice)
    }

    fn must_be_read_at(&mut self, at: Option<Timestamp>) {
        self.expires_at = self.expires_at.into_iter().chain(at).min();
    }

    fn add_account(&mut self, account: DirectoryAccount) {
        for identifier in account.account.identifiers() {
            self.by_identifier
                .entry((account.provider.name, identifier))
                .or_default()
                .push(account.id);
        }
        self.in_order.push(account.id);
        self.accounts.insert(account.id, Arc::new(account));
    }

    fn add_route(&mut self, route: Route) {
        let Some(account) = self.accounts.get(&route.account_id) else {
            return;
        };
        if route.state == RouteState::Retired {
            return;
        }
        let provider = account.provider.name;
        let line = RoutedLine {
            organization_id: route.organization_id,
            account_id: route.account_id,
            channel: route.channel,
            address: route.address.clone(),
        };
        if let Some(handle) = route.handle {
            self.by_handle.entry((provider, handle)).or_default().push(line.clone());
        }
        let key = line_key(&route.address);
        self.by_address.entry((provider, key)).or_default().push(line);
    }
}

/// What all spellings of a line of ours have in common.
pub(crate) fn line_key(address: &str) -> String {
    Address::caller(address)
        .map_or_else(|| address.to_owned(), |address| address.match_key().into_owned())
}

async fn read(
    session: &mut Session,
    keys: &Keyring,
    now: Timestamp,
) -> Result<Snapshot, StoreError> {
    // The version first: what changes while the rest is read makes the version grow, and is read next time.
    let version = organizations::directory_version(session).await?;
    let mut snapshot = Snapshot { version, ..Snapshot::default() };
    let fingerprints = match keys.fingerprints(session).await {
        Ok(fingerprints) => fingerprints,
        Err(KeyringError::Store(error)) => return Err(error),
        Err(error) => {
            tracing::error!(%error, "the key that makes fingerprints of keys cannot be opened");
            snapshot.must_be_read_at(Some(now + OPEN_AGAIN));
            None
        }
    };
    for sealed in accounts::list_all(session).await? {
        let expires_at = sealed.account.previous_expires_at.filter(|at| *at > now);
        snapshot.must_be_read_at(expires_at);
        let (id, organization) = (sealed.account.id, sealed.account.organization_id);
        match open(session, keys, &sealed, now).await {
            Ok(account) => snapshot.add_account(account.with(fingerprints.as_ref())),
            Err(KeyringError::Store(error)) => return Err(error),
            Err(error) => {
                tracing::error!(account = %id, %organization, %error, "an account cannot be opened");
                snapshot.locked.push((id, sealed.account.provider.clone()));
                snapshot.must_be_read_at(Some(now + OPEN_AGAIN));
            }
        }
    }
    for route in routes::list_all(session).await? {
        snapshot.add_route(route);
    }
    Ok(snapshot)
}

async fn open(
    session: &mut Session,
    keys: &Keyring,
    sealed: &SealedAccount,
    now: Timestamp,
) -> Result<DirectoryAccount, KeyringError> {
    let SealedAccount { account, sealed } = sealed;
    let credentials = keys.open(session, account.organization_id, account.id, sealed).await?;
    build(account, credentials, now).map_err(|error| {
        tracing::error!(account = %account.id, %error, "the account's settings are not usable");
        KeyringError::Unreadable
    })
}

/// Opens an account from its settings and credentials. Credentials before a rotation that has ended are left out.
pub(crate) fn build(
    account: &Account,
    mut credentials: BTreeMap<String, Secret>,
    now: Timestamp,
) -> Result<DirectoryAccount, providers::Misconfigured> {
    let provider = providers::provider(&account.provider)
        .ok_or_else(|| providers::Misconfigured::new("provider", "is not known"))?;
    drop_expired(account, &mut credentials, now);
    let opened = (provider.open)(&Settings::new(account.settings.clone(), credentials))?;
    let keys = opened.webhooks().map(providers::Webhooks::keys).unwrap_or_default();
    Ok(DirectoryAccount {
        id: account.id,
        organization_id: account.organization_id,
        provider,
        account: opened,
        keys,
        fingerprints: Vec::new(),
    })
}

/// The name under which the value of a credential before its rotation is kept.
pub(crate) fn previous(name: &str) -> String {
    format!("{PREVIOUS}{name}")
}

/// Whether that is such a name.
pub(crate) fn is_previous(name: &str) -> bool {
    name.starts_with(PREVIOUS)
}

/// Takes away the credentials before a rotation that has ended.
pub(crate) fn drop_expired(
    account: &Account,
    credentials: &mut BTreeMap<String, Secret>,
    now: Timestamp,
) {
    if account.previous_expires_at.is_none_or(|at| at <= now) {
        credentials.retain(|name, _| !is_previous(name));
    }
}
