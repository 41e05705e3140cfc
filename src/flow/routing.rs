//! Whose is it? Finds the organization of each item of a webhook.
//!
//! An item goes to the organization whose account carries the line it names, **and** holds the key that the request was
//! signed with. So one provider-side application can serve many organizations, and nobody who holds only their own
//! key can write to another's timeline.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use providers::{Address, Channel, Direction, Event, EventKind, KeyId, Line, Provider};

use crate::gateway::{DirectoryAccount, RoutedLine, Snapshot};
use crate::model::{AccountId, OrganizationId};
use crate::store::inbox::InboxRequest;

/// Where an item belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// To this organization.
    Found {
        /// The organization.
        organization_id: OrganizationId,
        /// Its account.
        account_id: AccountId,
        /// Our number or mailbox, if the item named it.
        our_address: Option<String>,
    },
    /// To one of these; what the item speaks of decides.
    OneOf(Vec<(OrganizationId, AccountId)>),
    /// To nobody yet.
    Nobody,
}

/// The accounts that a genuine request may speak for.
#[derive(Debug)]
pub struct Authority<'s> {
    snapshot: &'s Snapshot,
    provider: &'static Provider,
    /// The account that verified the request when it came. It may be gone.
    verified: AccountId,
    /// Those that hold the key it was signed with.
    accounts: Vec<&'s Arc<DirectoryAccount>>,
    /// Of a kept request: those that are not known to hold the key, and are asked where none of the others has the line. What
    /// cannot be proven takes no line that another organization has.
    presumed: Vec<&'s Arc<DirectoryAccount>>,
    /// Whether a kept request named several organizations.
    is_mixed: bool,
    /// Whether nothing tells the key of a kept request but whose the account was that verified it.
    is_assumed: bool,
    /// See [`Authority::concerned`]; found when it is first asked for.
    concerned: OnceLock<Vec<OrganizationId>>,
}

impl<'s> Authority<'s> {
    /// What a request may speak for that `verified` has just verified with the key `signed_with`; whoever shares a key with
    /// it, if that cannot be told.
    pub fn new(
        snapshot: &'s Snapshot,
        verified: &'s Arc<DirectoryAccount>,
        signed_with: Option<KeyId>,
    ) -> Self {
        let provider = verified.provider;
        let others: Vec<&Arc<DirectoryAccount>> = match signed_with {
            Some(key) => {
                let holders = snapshot.holders(provider, key);
                holders.filter(|account| account.id != verified.id).collect()
            }
            None => {
                let mut seen = HashSet::from([verified.id]);
                let holders = verified.keys.iter().flat_map(|key| snapshot.holders(provider, *key));
                holders.filter(|account| seen.insert(account.id)).collect()
            }
        };
        let accounts = std::iter::once(verified).chain(others).collect();
        Self {
            snapshot,
            provider,
            verified: verified.id,
            accounts,
            presumed: Vec::new(),
            is_mixed: false,
            is_assumed: false,
            concerned: OnceLock::new(),
        }
    }

    /// What a kept request may speak for: whoever holds the key whose fingerprint was kept with it. Keys are replaced, and older
    /// versions kept no fingerprint: then also the account that verified it and whoever shares a key with that one; and if
    /// that is gone and the key not known, the other accounts of the organization that it belonged to, `owner`. A key that is
    /// published anybody may enter: unless holding it `proves` something, only `owner` reads by it.
    pub fn of_kept(
        snapshot: &'s Snapshot,
        provider: &'static Provider,
        kept: &InboxRequest,
        owner: Option<OrganizationId>,
        proves: bool,
    ) -> Self {
        let all = || snapshot.accounts_in_order(provider);
        let key = kept.key();
        let holds = |account: &&Arc<DirectoryAccount>| {
            key.is_some_and(|key| account.fingerprints.contains(&key))
                && (proves || Some(account.organization_id) == owner)
        };
        let presumed = match snapshot.account(kept.account_id) {
            Some(verified) => all()
                .filter(|account| account.id == verified.id || shares_key(account, verified))
                .collect(),
            None if key.is_none() => {
                all().filter(|account| Some(account.organization_id) == owner).collect()
            }
            None => Vec::new(),
        };
        Self {
            snapshot,
            provider,
            verified: kept.account_id,
            accounts: all().filter(holds).collect(),
            presumed,
            is_mixed: kept.organization_id == OrganizationId::PLATFORM,
            is_assumed: key.is_none() && snapshot.account(kept.account_id).is_none(),
            concerned: OnceLock::new(),
        }
    }

    /// Whose webhooks these are.
    pub fn provider(&self) -> &'static Provider {
        self.provider
    }

    /// Some account that may speak for the request: any of them reads it.
    pub fn reader(&self) -> Option<&'s DirectoryAccount> {
        self.all().find(|account| account.account.webhooks().is_some())
    }

    /// The account whose key verified the request, as an organization is told it: its own one that holds the key, if it has
    /// one.
    pub fn account_for(&self, organization: OrganizationId) -> AccountId {
        let is_own = |account: &&DirectoryAccount| account.organization_id == organization;
        match self.snapshot.account(self.verified) {
            Some(verified) if verified.organization_id == organization => verified.id,
            _ => self.all().find(is_own).map_or(self.verified, |account| account.id),
        }
    }

    /// Whether a kept request is read only because its account was this organization's: it kept no key, and the account is
    /// gone.
    pub fn is_assumed(&self) -> bool {
        self.is_assumed
    }

    /// Every organization that what belongs to nobody may be meant for: those that it may speak for, and those that share
    /// any key with one of them. Of several keys of one provider-side account, one organization may have entered more than the
    /// other.
    pub fn concerned(&self) -> &[OrganizationId] {
        self.concerned.get_or_init(|| {
            let keys: HashSet<KeyId> =
                self.all().flat_map(|one| one.keys.iter().copied()).collect();
            let others = keys.iter().flat_map(|key| self.snapshot.holders(self.provider, *key));
            let all = self.all().chain(others.map(|account| &**account));
            let mut ids: Vec<_> = all.map(|account| account.organization_id).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        })
    }

    fn all(&self) -> impl Iterator<Item = &'s DirectoryAccount> {
        self.accounts.iter().chain(&self.presumed).map(|account| &***account)
    }

    /// The organization of an event.
    pub fn destination(&self, event: &Event) -> Destination {
        let found = self.line(&event.line, channel_of(&event.kind));
        match (&event.kind, &event.line) {
            // Recordings and costs name neither number, and the application only if it was given a name of its own; the
            // call they speak of may be known.
            (EventKind::Call(_), Line::Account(_)) if found == Destination::Nobody => {
                Destination::OneOf(self.candidates())
            }
            // One WABA may have numbers of several organizations.
            (EventKind::Notice(notice), Line::Account(_) | Line::Unnamed)
                if matches!(found, Destination::OneOf(_)) =>
            {
                let numbers = notice.number.as_ref();
                let numbers = numbers.map(|number| self.line(&Line::Address(number.clone()), None));
                numbers.filter(|named| *named != Destination::Nobody).unwrap_or(found)
            }
            // A published key is one provider-side account's: what it signs is about that account, whatever number or product of
            // it nobody has claimed here.
            (EventKind::Notice(_), _)
                if found == Destination::Nobody && !self.provider.key_is_secret =>
            {
                self.account(self.accounts.iter())
            }
            _ => found,
        }
    }

    /// Every account that the request may speak for.
    pub fn candidates(&self) -> Vec<(OrganizationId, AccountId)> {
        self.all().map(|account| (account.organization_id, account.id)).collect()
    }

    /// The one organization that holds the key, if it is one alone.
    pub fn only_holder(&self) -> Destination {
        match self.account(self.accounts.iter()) {
            Destination::OneOf(_) => Destination::Nobody,
            found => found,
        }
    }

    /// The organization of a line; `channel` narrows it where an address carries several.
    pub fn line(&self, line: &Line, channel: Option<Channel>) -> Destination {
        let proven = self.among(&self.accounts, line, channel);
        if proven != Destination::Nobody || self.presumed.is_empty() {
            return proven;
        }
        match self.among(&self.presumed, line, channel) {
            Destination::Found { organization_id, .. }
                if self.may_be_anothers(line, organization_id) =>
            {
                Destination::Nobody
            }
            found => found,
        }
    }

    /// Whether an organization other than this one has the line too, or may have it; those who share a key keep their lines
    /// apart.
    fn may_be_anothers(&self, line: &Line, organization: OrganizationId) -> bool {
        let (snapshot, provider) = (self.snapshot, self.provider);
        let of = |lines: &[RoutedLine]| lines.iter().map(|line| line.account_id).collect();
        let accounts: Vec<AccountId> = match line {
            Line::Handle(handle) => of(snapshot.by_handle(provider, handle)),
            Line::Address(address) => of(snapshot.by_address(provider, address)),
            Line::Either(one, other) => [one, other]
                .into_iter()
                .flat_map(|end| of(snapshot.by_address(provider, end)))
                .collect(),
            Line::Account(identifier) => snapshot.by_identifier(provider, identifier).to_vec(),
            Line::Unnamed => return self.is_mixed,
        };
        let is_anothers = |account: &Arc<DirectoryAccount>| {
            account.organization_id != organization
                && !self.presumed.iter().any(|presumed| presumed.id == account.id)
        };
        accounts.into_iter().filter_map(|id| snapshot.account(id)).any(is_anothers)
    }

    fn among(
        &self,
        accounts: &[&'s Arc<DirectoryAccount>],
        line: &Line,
        channel: Option<Channel>,
    ) -> Destination {
        let (snapshot, provider) = (self.snapshot, self.provider);
        match line {
            Line::Handle(handle) => {
                self.routed(accounts, snapshot.by_handle(provider, handle), channel)
            }
            Line::Address(address) => {
                self.routed(accounts, snapshot.by_address(provider, address), channel)
            }
            Line::Either(likelier, other) => {
                let [likelier, other] = [likelier, other]
                    .map(|end| self.routed(accounts, snapshot.by_address(provider, end), channel));
                either(likelier, other)
            }
            Line::Account(identifier) => {
                let named = snapshot.by_identifier(provider, identifier);
                self.account(accounts.iter().filter(|account| named.contains(&account.id)))
            }
            Line::Unnamed => self.account(accounts.iter()),
        }
    }

    fn routed(
        &self,
        accounts: &[&'s Arc<DirectoryAccount>],
        lines: &[RoutedLine],
        channel: Option<Channel>,
    ) -> Destination {
        let speaks_for = |line: &&RoutedLine| {
            accounts.iter().any(|account| account.id == line.account_id)
                && channel.is_none_or(|channel| line.channel == channel)
        };
        let mut found = lines.iter().filter(speaks_for);
        let Some(first) = found.next() else {
            return Destination::Nobody;
        };
        // A route is refused if another organization with the same key has the line; were there two nevertheless, the
        // account that verified the request decides, or nobody.
        let mut others = found.filter(|line| line.organization_id != first.organization_id);
        let line = match others.next() {
            None => first,
            Some(_) => {
                match lines.iter().filter(speaks_for).find(|line| line.account_id == self.verified)
                {
                    Some(own) => own,
                    None => return Destination::Nobody,
                }
            }
        };
        Destination::Found {
            organization_id: line.organization_id,
            account_id: line.account_id,
            our_address: Some(line.address.clone()),
        }
    }

    fn account<'a>(
        &self,
        accounts: impl Iterator<Item = &'a &'s Arc<DirectoryAccount>>,
    ) -> Destination
    where
        's: 'a,
    {
        let found: Vec<_> = accounts.map(|account| (account.organization_id, account.id)).collect();
        let mut organizations: Vec<_> =
            found.iter().map(|(organization, _)| *organization).collect();
        organizations.sort_unstable();
        organizations.dedup();
        match organizations.as_slice() {
            [] => Destination::Nobody,
            [_] => {
                let own = found.iter().find(|(_, account)| *account == self.verified);
                let (organization_id, account_id) = *own.unwrap_or(&found[0]);
                Destination::Found { organization_id, account_id, our_address: None }
            }
            _ => Destination::OneOf(found),
        }
    }
}

fn shares_key(account: &DirectoryAccount, with: &DirectoryAccount) -> bool {
    account.keys.iter().any(|key| with.keys.contains(key))
}

/// Where something belongs that has one of two numbers of ours. If they are two organizations', what it speaks of decides.
fn either(likelier: Destination, other: Destination) -> Destination {
    match (likelier, other) {
        (Destination::Nobody, other) => other,
        (
            Destination::Found { organization_id: one, account_id, .. },
            Destination::Found { organization_id: two, account_id: account_of_two, .. },
        ) if one != two => Destination::OneOf(vec![(one, account_id), (two, account_of_two)]),
        (likelier, _) => likelier,
    }
}

/// The channel that an event is certainly of.
fn channel_of(kind: &EventKind) -> Option<Channel> {
    match kind {
        EventKind::Message(message) => Some(message.channel),
        EventKind::Call(progress) => Some(progress.channel),
        _ => None,
    }
}

/// Which way a call goes and who is at the other end, now that we know which number is ours.
pub fn call_sides(
    event: &Event,
    our_address: Option<&str>,
) -> (Option<Direction>, Option<Address>) {
    let EventKind::Call(progress) = &event.kind else {
        return (None, None);
    };
    let ours = our_address.map(crate::gateway::line_key);
    let is_ours = |address: &Option<Address>| match (address, &ours) {
        (Some(address), Some(ours)) => address.match_key() == ours.as_str(),
        _ => false,
    };
    let told = progress.direction;
    let direction = told.or_else(|| match (is_ours(&progress.from), is_ours(&progress.to)) {
        (true, false) => Some(Direction::Outbound),
        (false, true) => Some(Direction::Inbound),
        _ => None,
    });
    let person = match direction {
        // Whoever a call was passed on to is a telephone of ours, and no customer.
        _ if progress.call.parent.is_some() => None,
        Some(Direction::Inbound) => progress.from.clone(),
        Some(Direction::Outbound) => progress.to.clone(),
        None => None,
    };
    (direction, person)
}

/// A line as the quarantine names it, so that a new route finds what waits for it.
pub fn line_name(line: &Line) -> Option<String> {
    Some(match line {
        Line::Handle(handle) => format!("handle:{handle}"),
        Line::Address(address) | Line::Either(address, _) => {
            format!("address:{}", address.match_key())
        }
        Line::Account(identifier) => format!("account:{identifier}"),
        Line::Unnamed => return None,
    })
}
