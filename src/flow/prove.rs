//! Which account proves a webhook to be genuine.
//!
//! Until a key fits, nothing that a request says is believed; it only tells which keys to try first. What it may make us
//! compute is bounded, and organizations have their shares of it in turns: the first key of each, then the second of each. So
//! whoever lets their accounts name another's line uses up nothing but their own share; and where there are more who name it than
//! can be asked, others are asked the next time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use providers::{Batch, Inbound, KeyId, Line, Proof, Provider, Rejection, Unverified};

use super::routing::line_name;
use crate::gateway::{DirectoryAccount, Proofs, RoutedLine, Snapshot};
use crate::model::{AccountId, OrganizationId};

/// How much work one unverified request may make, in bytes that are hashed: of the accounts that it names, and of the others.
const WORK: usize = 4 << 20;

/// What a key costs besides the body that is hashed with it, in the same measure.
const WORK_OF_SECRET: usize = 16 << 10;
const WORK_OF_PUBLIC_KEY: usize = 64 << 10;

/// In how many spellings a URL that is signed is tried with each key, at most.
const URL_SPELLINGS: usize = 12;

/// How many keys are tried however large the body is.
const NAMED_AT_LEAST: usize = 16;
const OTHERS_AT_LEAST: usize = 8;

/// From which size of a body on a verification is no work for a thread that serves others meanwhile, in bytes.
pub(super) const LARGE: usize = 256 << 10;

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
    proofs: &Proofs,
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
    let claims = (provider.claims)(request);
    let named = named(snapshot, provider, &claims);
    let mut tries = Tries::new(provider, inbound, request);
    // Nearly always there is one, and it is the one.
    let mut outcome = tries.through(named.first().copied());
    if outcome.is_none() {
        let line = claims.iter().find_map(line_name);
        let last = line.as_deref().and_then(|line| proofs.last(provider.name, line));
        let last = last.and_then(|id| snapshot.account(id));
        outcome = tries.through(last.filter(|account| std::ptr::eq(account.provider, provider)));
        if outcome.is_none() {
            outcome = tries.through_all(named, snapshot.accounts_in_order(provider), proofs);
            if let (Some(Ok((account, _))), Some(line)) = (&outcome, line) {
                proofs.note(provider.name, line, account.id);
            }
        }
    }
    match outcome.unwrap_or(Err(tries.rejection)) {
        Ok(proven) => Ok(proven),
        // It may be genuine, and must come again once its key can be opened.
        Err(Rejection::SignatureMismatch) if snapshot.has_locked(provider) => Err(Unproven::Locked),
        Err(rejection) => Err(Unproven::Rejected(rejection)),
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
fn named<'s>(
    snapshot: &'s Snapshot,
    provider: &Provider,
    claims: &[Line],
) -> Vec<&'s Arc<DirectoryAccount>> {
    let mut found = Vec::new();
    for line in claims {
        let ids: Vec<AccountId> = match line {
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

/// An account that proves a request, with what it says; or why nobody can.
type Outcome = Result<(Arc<DirectoryAccount>, Batch), Rejection>;

/// What has been tried for one request.
struct Tries<'s> {
    inbound: &'s Inbound,
    provider: &'static Provider,
    /// What one key costs.
    cost: usize,
    /// How many more keys may be tried.
    left: usize,
    /// A subscription check is proven by an account's own token, which is none of its keys.
    by_account: bool,
    keys: HashSet<&'s [KeyId]>,
    accounts: HashSet<AccountId>,
    /// Of all reasons, the last.
    rejection: Rejection,
}

impl<'s> Tries<'s> {
    fn new(
        provider: &'static Provider,
        inbound: &'s Inbound,
        request: &http::Request<Bytes>,
    ) -> Self {
        let key = if provider.key_is_secret { WORK_OF_SECRET } else { WORK_OF_PUBLIC_KEY };
        let url = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
        let cost = request.body().len() + key + url * URL_SPELLINGS;
        Self {
            inbound,
            provider,
            cost,
            left: (WORK / cost).max(NAMED_AT_LEAST),
            by_account: request.method() == http::Method::GET,
            keys: HashSet::new(),
            accounts: HashSet::new(),
            rejection: Rejection::SignatureMismatch,
        }
    }

    /// The accounts that are named, and then the others: what names nobody that we know, or somebody who only says so, may
    /// still be genuine, and is then kept for whoever has the key.
    fn through_all(
        &mut self,
        named: Vec<&'s Arc<DirectoryAccount>>,
        all: impl Iterator<Item = &'s Arc<DirectoryAccount>>,
        proofs: &Proofs,
    ) -> Option<Outcome> {
        let outcome = self.through(in_turns(named, self.left, proofs));
        if outcome.is_some() {
            return outcome;
        }
        self.left = (WORK / self.cost).max(OTHERS_AT_LEAST);
        let others: Vec<_> = all.filter(|account| !self.is_tried(account)).collect();
        self.through(in_turns(others, self.left, proofs))
    }

    /// Tries these accounts, until one proves the request, the request is shown to be nobody's, or no more may be tried.
    fn through(
        &mut self,
        accounts: impl IntoIterator<Item = &'s Arc<DirectoryAccount>>,
    ) -> Option<Outcome> {
        for account in accounts {
            if self.left == 0 {
                return None;
            }
            if self.is_tried(account) {
                continue;
            }
            match self.by_account {
                true => drop(self.accounts.insert(account.id)),
                false => drop(self.keys.insert(&account.keys)),
            }
            self.left -= 1;
            match receive(account, self.inbound) {
                Ok(batch) => return Some(Ok((Arc::clone(account), batch))),
                Err(reason) if self.is_final(reason) => return Some(Err(reason)),
                Err(reason) => {
                    if reason == Rejection::QueryNotSigned {
                        self.keys.remove(&*account.keys);
                    }
                    self.rejection = reason;
                }
            }
        }
        None
    }

    fn is_tried(&self, account: &DirectoryAccount) -> bool {
        match self.by_account {
            true => self.accounts.contains(&account.id),
            false => self.keys.contains(&*account.keys),
        }
    }

    /// Whether every other account would give the same reason, or the key did fit. A secret that goes along may have any form.
    fn is_final(&self, reason: Rejection) -> bool {
        match reason {
            // Whether a query is believed is each account's own setting.
            Rejection::SignatureMismatch | Rejection::TokenMismatch | Rejection::QueryNotSigned => {
                false
            }
            Rejection::SignatureMalformed => self.provider.proof == Proof::Request,
            _ => true,
        }
    }
}

/// Accounts in turns: the first of each organization, then the second of each, and so on. Where `room` is less than there
/// are, another organization comes first each time, with another account.
fn in_turns<'s>(
    accounts: Vec<&'s Arc<DirectoryAccount>>,
    room: usize,
    proofs: &Proofs,
) -> impl Iterator<Item = &'s Arc<DirectoryAccount>> {
    let is_crowded = accounts.len() > room;
    let mut places: HashMap<OrganizationId, usize> = HashMap::new();
    let mut shares: Vec<Vec<&Arc<DirectoryAccount>>> = Vec::new();
    for account in accounts {
        let place = *places.entry(account.organization_id).or_insert(shares.len());
        match shares.get_mut(place) {
            Some(share) => share.push(account),
            None => shares.push(vec![account]),
        }
    }
    if is_crowded {
        let turn = proofs.turn();
        let first = turn.wrapping_mul(room) % shares.len();
        shares.rotate_left(first);
        for share in &mut shares {
            let first = turn % share.len();
            share.rotate_left(first);
        }
    }
    let turns = shares.iter().map(Vec::len).max().unwrap_or(0);
    (0..turns).flat_map(move |turn| {
        let next: Vec<_> = shares.iter().filter_map(|share| share.get(turn).copied()).collect();
        next
    })
}

impl Endpoint {
    /// The provider that calls there.
    pub fn provider(self) -> &'static Provider {
        match self {
            Endpoint::Account(provider, _) | Endpoint::Shared(provider) => provider,
        }
    }
}
