//! One state of the directory: accounts and routes, and by what webhooks name them. The next one is made from it and shares all
//! that stays the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use providers::{Account as OpenAccount, Address, Channel, KeyId, Provider};

use super::keyring::Fingerprints;
use super::shards::Shards;
use crate::clock::Timestamp;
use crate::model::{AccountId, KeyFingerprint, OrganizationId, Route, RouteState};
use crate::transport::Behalf;

/// One state of the directory.
#[derive(Debug, Default, Clone)]
pub struct Snapshot {
    version: i64,
    accounts: Shards<AccountId, Arc<Entry>>,
    /// Their ids, oldest first.
    in_order: Arc<Vec<AccountId>>,
    by_key: Shards<KeyId, Vec<Arc<DirectoryAccount>>>,
    by_identifier: Shards<(&'static str, String), Vec<AccountId>>,
    by_handle: Shards<(&'static str, String), Vec<RoutedLine>>,
    by_address: Shards<(&'static str, String), Vec<RoutedLine>>,
    /// Accounts that must be read again although nothing is written: when their rotation ends, or when what could not be
    /// opened is tried again.
    again: BTreeMap<AccountId, (OrganizationId, Timestamp)>,
    /// When all of them must be.
    whole_again: Option<Timestamp>,
    /// Accounts whose credentials cannot be opened, and their providers.
    locked: BTreeMap<AccountId, String>,
}

/// An account and its lines.
#[derive(Debug)]
struct Entry {
    account: Arc<DirectoryAccount>,
    /// Each with the provider's handle of it.
    lines: Vec<(Option<String>, RoutedLine)>,
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

/// A line of ours that receives. Lines are in the order of their accounts' ages.
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

    pub(super) fn with(mut self, fingerprints: Option<&Fingerprints>) -> Self {
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
        self.accounts.get(&id).map(|entry| &entry.account)
    }

    /// Whether there is such an account and its credentials cannot be opened.
    pub fn is_locked(&self, provider: &Provider, id: AccountId) -> bool {
        self.locked.get(&id).is_some_and(|of| of == provider.name)
    }

    /// The same of an account of any provider.
    pub fn cannot_open(&self, id: AccountId) -> bool {
        self.locked.contains_key(&id)
    }

    /// Whether a provider has accounts whose credentials cannot be opened.
    pub fn has_locked(&self, provider: &Provider) -> bool {
        self.locked.values().any(|of| of == provider.name)
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
        let accounts = self.in_order.iter().filter_map(|id| self.account(*id));
        accounts.filter(move |account| std::ptr::eq(account.provider, provider))
    }

    /// The accounts of a provider that hold that key, oldest first.
    pub fn holders(
        &self,
        provider: &'static Provider,
        key: KeyId,
    ) -> impl Iterator<Item = &Arc<DirectoryAccount>> {
        let accounts = self.by_key.get(&key).map_or(&[][..], Vec::as_slice);
        accounts.iter().filter(move |account| std::ptr::eq(account.provider, provider))
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

    /// Says which version this is.
    pub(super) fn set_version(&mut self, version: i64) {
        self.version = version;
    }

    /// Whether all of it must be read again, although nothing was written.
    pub(super) fn must_be_read(&self, now: Timestamp) -> bool {
        self.whole_again.is_some_and(|at| at <= now)
    }

    pub(super) fn read_whole_again(&mut self, at: Timestamp) {
        self.whole_again = Some(at);
    }

    /// The accounts that must be read again, although nothing was written.
    pub(super) fn due(&self, now: Timestamp) -> Vec<(OrganizationId, AccountId)> {
        let due = self.again.iter().filter(|(_, (_, at))| *at <= now);
        due.map(|(id, (organization, _))| (*organization, *id)).collect()
    }

    pub(super) fn read_again(&mut self, whose: OrganizationId, id: AccountId, at: Timestamp) {
        self.again.insert(id, (whose, at));
    }

    /// Notes that an account's credentials cannot be opened.
    pub(super) fn lock(&mut self, id: AccountId, provider: String) {
        self.locked.insert(id, provider);
    }

    /// Puts an account there that is not there.
    pub(super) fn put(&mut self, account: DirectoryAccount, routes: Vec<Route>) {
        let (id, provider) = (account.id, account.provider.name);
        let account = Arc::new(account);
        for identifier in account.account.identifiers() {
            self.by_identifier.add((provider, identifier), id, |id| *id);
        }
        for key in &account.keys {
            self.by_key.add(*key, Arc::clone(&account), |other| other.id);
        }
        let routes = routes.into_iter().filter(|route| route.state != RouteState::Retired);
        let lines: Vec<_> = routes.map(line_of).collect();
        for (handle, line) in &lines {
            if let Some(handle) = handle {
                self.by_handle.add((provider, handle.clone()), line.clone(), age);
            }
            self.by_address.add((provider, line_key(&line.address)), line.clone(), age);
        }
        if let Err(place) = self.in_order.binary_search(&id) {
            Arc::make_mut(&mut self.in_order).insert(place, id);
        }
        self.accounts.insert(id, Arc::new(Entry { account, lines }));
    }

    /// Takes an account away, with all that names it.
    pub(super) fn take(&mut self, id: AccountId) {
        self.again.remove(&id);
        self.locked.remove(&id);
        let Some(entry) = self.accounts.remove(&id) else { return };
        let provider = entry.account.provider.name;
        for identifier in entry.account.account.identifiers() {
            self.by_identifier.retain(&(provider, identifier), |other| *other != id);
        }
        for key in &entry.account.keys {
            self.by_key.retain(key, |other| other.id != id);
        }
        let is_others = |line: &RoutedLine| line.account_id != id;
        for (handle, line) in &entry.lines {
            if let Some(handle) = handle {
                self.by_handle.retain(&(provider, handle.clone()), is_others);
            }
            self.by_address.retain(&(provider, line_key(&line.address)), is_others);
        }
        if let Ok(place) = self.in_order.binary_search(&id) {
            Arc::make_mut(&mut self.in_order).remove(place);
        }
    }
}

/// A line is as old as the account that carries it.
fn age(line: &RoutedLine) -> AccountId {
    line.account_id
}

fn line_of(route: Route) -> (Option<String>, RoutedLine) {
    let line = RoutedLine {
        organization_id: route.organization_id,
        account_id: route.account_id,
        channel: route.channel,
        address: route.address,
    };
    (route.handle, line)
}

/// What all spellings of a line of ours have in common.
pub(crate) fn line_key(address: &str) -> String {
    Address::of(address)
        .map_or_else(|| address.to_owned(), |address| address.match_key().into_owned())
}
