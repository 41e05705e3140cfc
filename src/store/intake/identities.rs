//! What is remembered of addresses: most webhooks come from somebody who has written before.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::sync::{LazyLock, Mutex, PoisonError};

use lru::LruCache;
use providers::Address;

use super::people::Person;
use crate::model::{ContactId, IdentityId, OrganizationId};

/// How many identities are remembered: about six megabytes.
const MEMORY: usize = 50_000;

/// 128 bits of a keyed hash of (organization, kind, value), by which an address is remembered.
pub(in crate::store) type AddressKey = (u64, u64);

/// The identities that were seen lately, shared by all writers of a process and by the queue.
pub(in crate::store) type Memory = Mutex<LruCache<AddressKey, Remembered>>;

/// A memory of nobody.
pub(in crate::store) fn memory() -> Memory {
    Mutex::new(LruCache::new(NonZeroUsize::new(MEMORY).unwrap_or(NonZeroUsize::MIN)))
}

/// The identity of an address, whose it was and which name it had when it was last looked up. Identities never change and
/// are never deleted, so this may be remembered for as long as there is room. The contact may have changed since, by a
/// merge; it only serves to know that several addresses were one person's.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Remembered {
    pub(super) identity: IdentityId,
    pub(super) contact: ContactId,
    pub(super) name: u64,
}

/// The identities that one batch has to do with.
pub(in crate::store) struct Identities<'a> {
    memory: &'a Memory,
    /// Those met in this batch; remembered for the next ones once they are committed.
    met: HashMap<AddressKey, Remembered>,
}

impl<'a> Identities<'a> {
    pub(super) fn new(memory: &'a Memory) -> Self {
        Self { memory, met: HashMap::new() }
    }

    /// The identity of an address that was resolved in this batch or remembered from an earlier one.
    pub(super) fn identity(
        &self,
        organization: OrganizationId,
        address: &Address,
    ) -> Option<IdentityId> {
        self.met.get(&address_key(organization, address)).map(|remembered| remembered.identity)
    }

    /// Whether everything about a person is remembered: all addresses, as one contact's, under the same name.
    pub(super) fn remembers(&mut self, person: &Person<'_>) -> bool {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let mut contact = None;
        let mut all = true;
        for (index, address) in person.addresses.iter().enumerate() {
            let key = address_key(person.organization_id, address);
            let Some(found) = self.met.get(&key).or_else(|| memory.get(&key)).copied() else {
                all = false;
                continue;
            };
            let renamed =
                index == 0 && person.name.is_some() && found.name != name_digest(person.name);
            all &= !renamed && *contact.get_or_insert(found.contact) == found.contact;
            self.met.insert(key, found);
        }
        all
    }

    /// An address was looked up or made.
    pub(super) fn learn(&mut self, key: AddressKey, remembered: Remembered) {
        self.met.insert(key, remembered);
    }

    /// Everything that was learned is committed.
    pub(in crate::store) fn keep(&self) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, remembered) in &self.met {
            memory.put(*key, *remembered);
        }
    }
}

/// Keyed anew in every process, so that nobody can choose addresses whose keys collide.
static KEYS: LazyLock<(RandomState, RandomState)> =
    LazyLock::new(|| (RandomState::new(), RandomState::new()));

pub(super) fn address_key(organization: OrganizationId, address: &Address) -> AddressKey {
    let (one, other) = &*KEYS;
    let address = (organization, address.kind(), address.value());
    (one.hash_one(address), other.hash_one(address))
}

pub(super) fn name_digest(name: Option<&str>) -> u64 {
    name.map_or(0, |name| KEYS.0.hash_one(name) | 1)
}
