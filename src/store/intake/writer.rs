//! Writes a batch of submissions in one transaction, table by table.

use std::collections::HashSet;

use providers::{CallProgress, EventKind, Party};

use super::identities::{Identities, Memory};
use super::people::Person;
use super::{calls, changes, messages, people, quarantine, unread, wishes};
use crate::clock::Timestamp;
use crate::ids::Ids;
use crate::model::{Item, Receipt, Submission};
use crate::store::call_logs::legs::Reference;
use crate::store::events::{Outbox, Patience};
use crate::store::lines::templates;
use crate::store::messages::provider_ref;
use crate::store::{Session, Store, StoreError, notices};

/// One transaction at work.
pub(super) struct Writer<'a> {
    pub(super) session: Session,
    pub(super) outbox: Outbox,
    pub(super) ids: &'a Ids,
    pub(super) now: Timestamp,
    pub(super) identities: Identities<'a>,
    pub(super) receipts: Vec<Receipt>,
}

/// An item, and which submission it came with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) submission: usize,
    pub(super) item: &'a Item,
}

impl<'a> Work<'a> {
    /// All items of a batch.
    pub(super) fn of(batch: &[&'a Submission]) -> Vec<Self> {
        let works = |(submission, s): (usize, &&'a Submission)| {
            s.items.iter().map(move |item| Work { submission, item })
        };
        batch.iter().enumerate().flat_map(works).collect()
    }
}

/// What writing a batch needs: where to, and as what.
#[derive(Clone, Copy)]
pub(super) struct Hands<'a> {
    pub(super) store: &'a Store,
    pub(super) ids: &'a Ids,
    pub(super) memory: &'a Memory,
    pub(super) now: Timestamp,
}

/// Writes all submissions, or nothing. The receipts are in their order; there are none if another transaction has the head of one
/// of the organizations, and is not to be waited for.
pub(super) async fn write(
    Hands { store, ids, memory, now }: Hands<'_>,
    batch: &[&Submission],
    patience: Patience,
) -> Result<Option<Vec<Receipt>>, StoreError> {
    let mut session = store.write_intake().await?;
    let organizations = batch.iter().flat_map(|submission| submission.organizations());
    let outbox = Outbox::lock_with(&mut session, organizations, patience).await?;
    let Some(outbox) = outbox else { return Ok(None) };
    let receipts = vec![Receipt::default(); batch.len()];
    let identities = Identities::new(memory);
    let mut writer = Writer { session, outbox, ids, now, identities, receipts };
    writer.write(batch).await?;
    Ok(Some(writer.commit().await?.0))
}

impl<'a> Writer<'a> {
    /// Writes the events, commits, and only then remembers whom it met.
    pub(super) async fn commit(self) -> Result<(Vec<Receipt>, Identities<'a>), StoreError> {
        let Writer { mut session, outbox, identities, receipts, now, .. } = self;
        outbox.flush(&mut session, now).await?;
        session.commit().await?;
        identities.keep();
        Ok((receipts, identities))
    }

    async fn write(&mut self, batch: &[&'a Submission]) -> Result<(), StoreError> {
        let works = Work::of(batch);
        let later = calls::later_legs(self, &works).await?;
        people::resolve(self, &people_of(&works, &later)).await?;
        let stored = messages::insert(self, &works).await?;
        unread::note(self, batch, &works, &stored).await?;
        changes::apply(self, &works, &stored).await?;
        calls::apply(self, &works, &later).await?;
        self.write_notices(&works).await?;
        quarantine::insert(self, batch).await
    }

    async fn write_notices(&mut self, works: &[Work<'_>]) -> Result<(), StoreError> {
        for work in works {
            if let EventKind::Notice(notice) = &work.item.event.kind {
                let is_new =
                    notices::insert(&mut self.session, work.item, notice, self.now).await?;
                if is_new {
                    if let Some(news) = &notice.template {
                        let place = (work.item.organization_id, work.item.account_id);
                        templates::told(&mut self.session, place, news, self.now).await?;
                    }
                    if let Some(preference) = &notice.preference {
                        wishes::of_preference(self, work, preference).await?;
                    }
                    self.outbox.push(
                        work.item.organization_id,
                        "account.notice",
                        work.item.account_id.0,
                        Some(crate::store::notices::summary(notice)),
                    );
                }
                self.count(work, is_new);
            }
        }
        Ok(())
    }

    /// Counts an item as written or as known already.
    pub(super) fn count(&mut self, work: &Work<'_>, is_new: bool) {
        self.receipts[work.submission].count(is_new);
    }
}

/// Everyone the items name: authors and recipients, callers, people whose addresses changed.
/// `later` are legs by which calls were passed on: whoever is called by them is none of our customers.
pub(super) fn people_of<'a>(works: &[Work<'a>], later: &HashSet<Reference>) -> Vec<Person<'a>> {
    let mut people = Vec::with_capacity(works.len());
    for Work { item, .. } in works {
        let mut person = Person {
            organization_id: item.organization_id,
            addresses: Vec::new(),
            name: None,
            username: None,
            seen_at: item.event.at,
            may_be_new: true,
        };
        let named = item.event.person.as_deref();
        match &item.event.kind {
            EventKind::Message(message) => {
                person.addresses.extend(&message.party.addresses);
                person.name = message.party.name.as_deref();
                person.username = message.party.username.as_deref();
            }
            EventKind::Identity(change) => {
                person.addresses.extend(change.before.iter().chain(&change.after));
            }
            EventKind::Call(progress) if is_later(item, progress, later) => {}
            EventKind::Call(progress) => {
                person.addresses.extend(&item.person);
                person.name = progress.name.as_deref();
                // Which of the two sides is not ours is known by now.
                let is_theirs = |named: &&Party| {
                    item.person.as_ref().is_some_and(|one| named.addresses.contains(one))
                };
                let all = named.filter(is_theirs).map(|named| named.addresses.iter());
                let others = all.into_iter().flatten();
                person.addresses.extend(others.filter(|one| item.person.as_ref() != Some(one)));
            }
            EventKind::Notice(_) => {
                person.addresses.extend(named.into_iter().flat_map(|named| &named.addresses));
                person.may_be_new = false;
            }
            // Of these it is asked once their message is found: see `changes`.
            EventKind::Edited { .. } | EventKind::Revoked { .. } | EventKind::Status(_) => {}
        }
        if !person.addresses.is_empty() {
            people.push(person);
        }
    }
    people
}

fn is_later(item: &Item, progress: &CallProgress, later: &HashSet<Reference>) -> bool {
    !later.is_empty()
        && later.contains(&(item.organization_id, provider_ref(item.provider, &progress.call.id)))
}
