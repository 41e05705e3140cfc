//! Which account proves a webhook to be genuine.
//!
//! Until a key fits, nothing that a request says is believed; it only tells which keys to try first. What it may make us
//! compute is bounded, and no organization can use up the bound for the others.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use providers::{Batch, Inbound, KeyId, Line, Provider, Rejection, Unverified};

use crate::gateway::{DirectoryAccount, RoutedLine, Snapshot};
use crate::model::{AccountId, OrganizationId};

/// How many keys of one organization are tried.
const KEYS_OF_ONE: u32 = 4;

/// How much work one unverified request may make, in bytes that are hashed.
const WORK: usize = 4 << 20;

/// What a key costs besides the body that is hashed with it, in the same measure.
const WORK_OF_SECRET: usize = 1 << 10;
const WORK_OF_PUBLIC_KEY: usize = 64 << 10;

/// Where a webhook was called.
#[derive(Debug, Clone, Copy)]
pub enum Endpoint {
    /// At an account's own URL.
    Account(&'static Provider, AccountId),
    /// At the URL that all accounts of a provider share.
    Shared(&'static Provider),
}

/// Why nobody proves a request.
#[derive(Debug)]
pub(super) enum Unproven {
    /// No key fits.
    Rejected(Rejection),
    /// There is no such account.
    UnknownAccount,
    /// The account, or any that could be meant, is there and its credentials cannot be opened.
    Locked,
}

/// The account that proves the request, and what it says.
pub(super) fn verify(
    snapshot: &Snapshot,
    endpoint: Endpoint,
    inbound: &Inbound,
) -> Result<(Arc<DirectoryAccount>, Batch), Unproven> {
    let provider = match endpoint {
        Endpoint::Account(provider, id) => return by_account(snapshot, provider, id, inbound),
        Endpoint::Shared(provider) => provider,
    };
    let (Inbound::Webhook { at, request, .. } | Inbound::Kept { at, request, .. }) = inbound;
    // Before the body is parsed for whom it names.
    (provider.precheck)(&Unverified::whole(request), *at).map_err(Unproven::Rejected)?;
    let mut tries = Tries::new(provider, request);
    let mut rejection = Rejection::SignatureMismatch;
    let claimed = claimed(snapshot, provider, request);
    // What names nobody that we know may still be genuine: then it is kept for whoever has the key. What names somebody
    // must be proven with their key.
    let nobody = claimed.is_empty().then(|| snapshot.accounts_in_order(provider));
    for account in claimed.into_iter().chain(nobody.into_iter().flatten()) {
        if !tries.may(account) {
            continue;
        }
        match receive(account, inbound) {
            Ok(batch) => return Ok((Arc::clone(account), batch)),
            // Of all reasons, the one that every account would give.
            Err(reason) => rejection = reason,
        }
    }
    match snapshot.has_locked(provider) {
        // It may be genuine, and must come again once its key can be opened.
        true if rejection == Rejection::SignatureMismatch => Err(Unproven::Locked),
        _ => Err(Unproven::Rejected(rejection)),
    }
}

fn by_account(
    snapshot: &Snapshot,
    provider: &Provider,
    id: AccountId,
    inbound: &Inbound,
) -> Result<(Arc<DirectoryAccount>, Batch), Unproven> {
    let account = snapshot.account(id).filter(|a| std::ptr::eq(a.provider, provider));
    let Some(account) = account else {
        let locked = snapshot.is_locked(provider, id);
        return Err(if locked { Unproven::Locked } else { Unproven::UnknownAccount });
    };
    let batch = receive(account, inbound).map_err(Unproven::Rejected)?;
    Ok((Arc::clone(account), batch))
}

fn receive(account: &DirectoryAccount, inbound: &Inbound) -> Result<Batch, Rejection> {
    let webhooks = account.account.webhooks().ok_or(Rejection::SignatureMismatch)?;
    webhooks.receive(inbound)
}

/// The accounts that the request names, the likeliest first.
fn claimed<'s>(
    snapshot: &'s Snapshot,
    provider: &Provider,
    request: &http::Request<Bytes>,
) -> Vec<&'s Arc<DirectoryAccount>> {
    let mut found = Vec::new();
    for line in (provider.claims)(request) {
        let ids: Vec<AccountId> = match &line {
            Line::Handle(handle) => ids_of(snapshot.by_handle(provider, handle)),
            Line::Address(address) => ids_of(snapshot.by_address(provider, address)),
            Line::Account(id) => snapshot.by_identifier(provider, id).to_vec(),
            Line::Either(..) | Line::Unnamed => Vec::new(),
        };
        found.extend(ids.into_iter().filter_map(|id| snapshot.account(id)));
    }
    found
}

fn ids_of(lines: &[RoutedLine]) -> Vec<AccountId> {
    lines.iter().map(|line| line.account_id).collect()
}

/// What has been tried for one request.
struct Tries<'s> {
    left: usize,
    cost: usize,
    /// A subscription check is proven by an account's own token, which is none of its keys.
    by_account: bool,
    keys: HashSet<&'s [KeyId]>,
    accounts: HashSet<AccountId>,
    organizations: HashMap<OrganizationId, u32>,
}

impl<'s> Tries<'s> {
    fn new(provider: &Provider, request: &http::Request<Bytes>) -> Self {
        let key = if provider.key_is_secret { WORK_OF_SECRET } else { WORK_OF_PUBLIC_KEY };
        Self {
            left: WORK,
            cost: request.body().len() + key,
            by_account: request.method() == http::Method::GET,
            keys: HashSet::new(),
            accounts: HashSet::new(),
            organizations: HashMap::new(),
        }
    }

    /// Whether an account is to be tried: not one whose keys were, and not more than the bounds allow. The first is
    /// always tried.
    fn may(&mut self, account: &'s Arc<DirectoryAccount>) -> bool {
        let is_new = match self.by_account {
            true => self.accounts.insert(account.id),
            false => self.keys.insert(&account.keys),
        };
        let of_one = self.organizations.entry(account.organization_id).or_default();
        if !is_new || *of_one >= KEYS_OF_ONE || self.left == 0 {
            return false;
        }
        *of_one += 1;
        self.left = self.left.saturating_sub(self.cost);
        true
    }
}

impl Endpoint {
    /// The provider that calls there.
    pub fn provider(self) -> &'static Provider {
        match self {
            Endpoint::Account(provider, _) | Endpoint::Shared(provider) => provider,
        }
    }
}
