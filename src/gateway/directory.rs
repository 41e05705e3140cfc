//! Accounts and routes in memory: what a webhook needs to know before anything is written.
//!
//! The directory has a version in the database, which grows with every change, and every account has the version in which it or
//! its routes were changed last. So the accounts that changed are read anew, and no others: at once in the process that changed
//! them, within a second in all others. The account is the unit, and what has not changed is shared with the state before.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use providers::{Secret, Settings};

use super::keyring::Fingerprints;
use super::snapshot::{DirectoryAccount, Snapshot};
use super::{Keyring, KeyringError};
use crate::clock::Timestamp;
use crate::model::{Account, AccountId, OrganizationId, Route};
use crate::store::accounts::{self, SealedAccount};
use crate::store::{Session, Store, StoreError, organizations, routes};

/// What the names of credentials begin with that were replaced; providers find them under it ([`providers::Field::rotates`]).
const PREVIOUS: &str = "previous_";

/// How many accounts are read one by one. Where more have changed, all are read at once.
const ONE_BY_ONE: usize = 100;

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

    /// Reads anew what has changed since it was read, if the version has grown, and the accounts whose rotation has ended.
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
        let mut stale = known.due(now);
        if version == known.version() && stale.is_empty() && !known.must_be_read(now) {
            return Ok(());
        }
        if version != known.version() {
            let most = i64::try_from(ONE_BY_ONE).unwrap_or(i64::MAX) + 1;
            let changed = accounts::changed_since(&mut session, known.version(), most).await?;
            stale.extend(changed);
        }
        let fresh = match stale.len() > ONE_BY_ONE || known.must_be_read(now) {
            true => read(&mut session, keys, now).await?,
            false => renew(&mut session, keys, now, &known, version, stale).await?,
        };
        *self.snapshot.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(fresh);
        Ok(())
    }
}

/// Reads everything.
async fn read(
    session: &mut Session,
    keys: &Keyring,
    now: Timestamp,
) -> Result<Snapshot, StoreError> {
    // The version first: what changes while the rest is read makes the version grow, and is read next time.
    let version = organizations::directory_version(session).await?;
    let mut snapshot = Snapshot::default();
    snapshot.set_version(version);
    let fingerprints = fingerprints(session, keys, now, &mut snapshot).await?;
    let mut lines: HashMap<AccountId, Vec<Route>> = HashMap::new();
    for route in routes::list_all(session).await? {
        lines.entry(route.account_id).or_default().push(route);
    }
    for sealed in accounts::list_all(session).await? {
        let routes = lines.remove(&sealed.account.id).unwrap_or_default();
        add(session, keys, now, &mut snapshot, fingerprints.as_ref(), sealed, routes).await?;
    }
    Ok(snapshot)
}

/// Reads these accounts, and takes all others from the state before.
async fn renew(
    session: &mut Session,
    keys: &Keyring,
    now: Timestamp,
    before: &Snapshot,
    version: i64,
    stale: Vec<(OrganizationId, AccountId)>,
) -> Result<Snapshot, StoreError> {
    let mut snapshot = before.clone();
    snapshot.set_version(version);
    if stale.is_empty() {
        return Ok(snapshot);
    }
    let fingerprints = fingerprints(session, keys, now, &mut snapshot).await?;
    for (organization, id) in stale {
        snapshot.take(id);
        let Some(sealed) = accounts::get(session, organization, id).await? else { continue };
        let routes = routes::list_of_account(session, organization, id).await?;
        add(session, keys, now, &mut snapshot, fingerprints.as_ref(), sealed, routes).await?;
    }
    Ok(snapshot)
}

async fn fingerprints(
    session: &mut Session,
    keys: &Keyring,
    now: Timestamp,
    snapshot: &mut Snapshot,
) -> Result<Option<Fingerprints>, StoreError> {
    match keys.fingerprints(session).await {
        Ok(fingerprints) => Ok(fingerprints),
        Err(KeyringError::Store(error)) => Err(error),
        Err(error) => {
            tracing::error!(%error, "the key that makes fingerprints of keys cannot be opened");
            snapshot.read_whole_again(now + OPEN_AGAIN);
            Ok(None)
        }
    }
}

/// Opens an account and puts it there.
async fn add(
    session: &mut Session,
    keys: &Keyring,
    now: Timestamp,
    snapshot: &mut Snapshot,
    fingerprints: Option<&Fingerprints>,
    sealed: SealedAccount,
    routes: Vec<Route>,
) -> Result<(), StoreError> {
    let (id, organization) = (sealed.account.id, sealed.account.organization_id);
    if let Some(at) = sealed.account.previous_expires_at.filter(|at| *at > now) {
        snapshot.read_again(organization, id, at);
    }
    match open(session, keys, &sealed, now).await {
        Ok(account) => snapshot.put(account.with(fingerprints), routes),
        Err(KeyringError::Store(error)) => return Err(error),
        Err(error) => {
            tracing::error!(account = %id, %organization, %error, "an account cannot be opened");
            snapshot.lock(id, sealed.account.provider);
            snapshot.read_again(organization, id, now + OPEN_AGAIN);
        }
    }
    Ok(())
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
