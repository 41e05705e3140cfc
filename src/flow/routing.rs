//! Whose is it? Finds the organization of each item of a webhook.
//!
//! An item goes to the organization whose account carries the line it names, **and** holds the key that the request was
//! signed with. So one provider-side application can serve many organizations, and nobody who holds only their own
//! key can write to another's timeline.

use std::sync::Arc;

use providers::{Address, Channel, Direction, Event, EventKind, KeyId, Line};

use crate::gateway::{DirectoryAccount, RoutedLine, Snapshot};
use crate::model::{AccountId, OrganizationId};

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
    verified: &'s Arc<DirectoryAccount>,
    accounts: Vec<&'s Arc<DirectoryAccount>>,
}

impl<'s> Authority<'s> {
    /// What a request may speak for that `verified` has verified with the key `signed_with`. A request that was kept
    /// has no key any more: it speaks for whoever shares a key with the account that verified it then.
    pub fn new(
        snapshot: &'s Snapshot,
        verified: &'s Arc<DirectoryAccount>,
        signed_with: Option<KeyId>,
    ) -> Self {
        let shares = |account: &&Arc<DirectoryAccount>| match signed_with {
            Some(key) => account.keys.contains(&key),
            None => account.keys.iter().any(|key| verified.keys.contains(key)),
        };
        let accounts = snapshot
            .accounts_of(verified.provider)
            .filter(|account| account.id == verified.id || shares(account))
            .collect();
        Self { snapshot, verified, accounts }
    }

    /// Whose webhooks these are.
    pub fn provider(&self) -> &'static providers::Provider {
        self.verified.provider
    }

    /// Every organization that it may speak for.
    pub fn organizations(&self) -> Vec<OrganizationId> {
        let mut ids: Vec<_> = self.accounts.iter().map(|account| account.organization_id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The organization of an event.
    pub fn destination(&self, event: &Event) -> Destination {
        let found = self.line(&event.line, channel_of(&event.kind));
        match (&event.kind, &event.line) {
            // Recordings and costs name neither number, and the application only if it was given a name of its own; the
            // call they speak of may be known.
            (EventKind::Call(_), Line::Account(_)) if found == Destination::Nobody => {
                let all = self.accounts.iter().map(|a| (a.organization_id, a.id));
                Destination::OneOf(all.collect())
            }
            // One WABA may have numbers of several organizations.
            (EventKind::Notice(notice), Line::Account(_))
                if matches!(found, Destination::OneOf(_)) =>
            {
                let numbers = notice.number.as_ref();
                let numbers = numbers.map(|number| self.line(&Line::Address(number.clone()), None));
                numbers.filter(|named| *named != Destination::Nobody).unwrap_or(found)
            }
            _ => found,
        }
    }

    /// The organization of a line; `channel` narrows it where an address carries several.
    pub fn line(&self, line: &Line, channel: Option<Channel>) -> Destination {
        let provider = self.verified.provider;
        match line {
            Line::Handle(handle) => self.routed(self.snapshot.by_handle(provider, handle), channel),
            Line::Address(address) => {
                self.routed(self.snapshot.by_address(provider, address), channel)
            }
            Line::Either(likelier, other) => {
                let [likelier, other] = [likelier, other]
                    .map(|end| self.routed(self.snapshot.by_address(provider, end), channel));
                either(likelier, other)
            }
            Line::Account(identifier) => {
                let named = self.snapshot.by_identifier(provider, identifier);
                self.account(self.accounts.iter().filter(|account| named.contains(&account.id)))
            }
            Line::Unnamed => self.account(self.accounts.iter()),
        }
    }

    fn routed(&self, lines: &[RoutedLine], channel: Option<Channel>) -> Destination {
        let speaks_for = |line: &&RoutedLine| {
            self.accounts.iter().any(|account| account.id == line.account_id)
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
            Some(_) => match lines.iter().find(|line| line.account_id == self.verified.id) {
                Some(own) => own,
                None => return Destination::Nobody,
            },
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
                let own = found.iter().find(|(_, account)| *account == self.verified.id);
                let (organization_id, account_id) = *own.unwrap_or(&found[0]);
                Destination::Found { organization_id, account_id, our_address: None }
            }
            _ => Destination::OneOf(found),
        }
    }
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
