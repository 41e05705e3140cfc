//! Writes a batch of submissions in one transaction, table by table.

use std::collections::HashMap;
use std::sync::Mutex;

use lru::LruCache;
use providers::EventKind;

use super::people::{AddressKey, Person, Remembered};
use super::{calls, changes, messages, people, quarantine};
use crate::clock::Timestamp;
use crate::ids::Ids;
use crate::model::{Item, Receipt, Submission};
use crate::store::events::Outbox;
use crate::store::{Session, Store, StoreError, notices};

/// The identities that were seen lately, shared by all writers of a process.
pub(super) type Memory = Mutex<LruCache<AddressKey, Remembered>>;

/// One transaction at work.
pub(super) struct Writer<'a> {
    pub(super) session: Session,
    pub(super) outbox: Outbox,
    pub(super) ids: &'a Ids,
    pub(super) now: Timestamp,
    pub(super) memory: &'a Memory,
    /// Identities met in this batch; remembered once it is committed.
    pub(super) learned: HashMap<AddressKey, Remembered>,
    pub(super) receipts: Vec<Receipt>,
}

/// An item, and which submission it came with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) submission: usize,
    pub(super) item: &'a Item,
}

/// Writes all submissions, or nothing. The receipts are in their order.
pub(super) async fn write(
    store: &Store,
    ids: &Ids,
    memory: &Memory,
    now: Timestamp,
    batch: &[&Submission],
) -> Result<Vec<Receipt>, StoreError> {
    let mut session = store.write_all().await?;
    let organizations = batch.iter().flat_map(|submission| submission.organizations());
    let outbox = Outbox::lock(&mut session, organizations).await?;
    let receipts = vec![Receipt::default(); batch.len()];
    let learned = HashMap::new();
    let mut writer = Writer { session, outbox, ids, now, memory, learned, receipts };
    writer.write(batch).await?;
    let Writer { mut session, outbox, learned, receipts, .. } = writer;
    outbox.flush(&mut session, now).await?;
    session.commit().await?;
    let mut memory = memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for (key, remembered) in learned {
        memory.put(key, remembered);
    }
    Ok(receipts)
}

impl<'a> Writer<'a> {
    async fn write(&mut self, batch: &[&'a Submission]) -> Result<(), StoreError> {
        let works: Vec<Work<'a>> = batch
            .iter()
            .enumerate()
            .flat_map(|(submission, s)| s.items.iter().map(move |item| Work { submission, item }))
            .collect();
        people::resolve(self, &people_of(&works)).await?;
        let stored = messages::insert(self, &works).await?;
        changes::apply(self, &works, &stored).await?;
        calls::apply(self, &works).await?;
        self.write_notices(&works).await?;
        quarantine::insert(self, batch).await
    }

    async fn write_notices(&mut self, works: &[Work<'_>]) -> Result<(), StoreError> {
        for work in works {
            if let EventKind::Notice(notice) = &work.item.event.kind {
                let is_new =
                    notices::insert(&mut self.session, work.item, notice, self.now).await?;
                if is_new {
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
        let receipt = &mut self.receipts[work.submission];
        if is_new {
            receipt.stored += 1;
        } else {
            receipt.duplicate += 1;
        }
    }
}

/// Everyone the items name: authors and recipients, callers, people whose addresses changed.
fn people_of<'a>(works: &[Work<'a>]) -> Vec<Person<'a>> {
    let mut people = Vec::with_capacity(works.len());
    for Work { item, .. } in works {
        let mut person = Person {
            organization_id: item.organization_id,
            addresses: Vec::new(),
            name: None,
            username: None,
            seen_at: item.event.at,
        };
        match &item.event.kind {
            EventKind::Message(message) => {
                person.addresses.extend(&message.party.addresses);
                person.name = message.party.name.as_deref();
                person.username = message.party.username.as_deref();
            }
            EventKind::Identity(change) => {
                person.addresses.extend(change.before.iter().chain(&change.after));
            }
            EventKind::Call(progress) => {
                person.addresses.extend(&item.person);
                person.name = progress.name.as_deref();
            }
            EventKind::Edited { .. }
            | EventKind::Revoked { .. }
            | EventKind::Status(_)
            | EventKind::Notice(_) => {}
        }
        // A name is a courtesy: one that a database cannot keep is left out.
        person.name = person.name.filter(|name| !name.contains('\0'));
        person.username = person.username.filter(|name| !name.contains('\0'));
        if !person.addresses.is_empty() {
            people.push(person);
        }
    }
    people
}
