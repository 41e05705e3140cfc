//! A map that is copied at little cost: what a copy has in common with the original is shared, and only the part that is
//! changed is made anew.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

/// How many parts there are. Of 10,000 entries a change copies about 80.
const PARTS: u8 = 128;

/// The map.
#[derive(Debug, Clone)]
pub(super) struct Shards<K, V> {
    hasher: RandomState,
    parts: Vec<Arc<HashMap<K, V>>>,
}

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        let parts = (0..PARTS).map(|_| Arc::default()).collect();
        Self { hasher: RandomState::new(), parts }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Shards<K, V> {
    pub(super) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.parts.get(self.part(key))?.get(key)
    }

    /// Puts a value there; returns the one that was.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let part = self.part(&key);
        Arc::make_mut(self.parts.get_mut(part)?).insert(key, value)
    }

    /// Takes a value away.
    pub(super) fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let part = self.part(key);
        let part = self.parts.get_mut(part).filter(|part| part.contains_key(key))?;
        Arc::make_mut(part).remove(key)
    }

    fn part<Q: Hash + ?Sized>(&self, key: &Q) -> usize {
        usize::try_from(self.hasher.hash_one(key) % u64::from(PARTS)).unwrap_or(0)
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Shards<K, Vec<V>> {
    /// Adds a value to a key's, which are in the order of `by`.
    pub(super) fn add<O: Ord>(&mut self, key: K, value: V, by: impl Fn(&V) -> O) {
        let mut values = self.get(&key).cloned().unwrap_or_default();
        let place = values.partition_point(|other| by(other) <= by(&value));
        values.insert(place, value);
        self.insert(key, values);
    }

    /// Takes from a key's values those that are not to stay.
    pub(super) fn retain(&mut self, key: &K, stays: impl FnMut(&V) -> bool) {
        let Some(mut values) = self.get(key).cloned() else { return };
        values.retain(stays);
        match values.is_empty() {
            true => self.remove(key),
            false => self.insert(key.clone(), values),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_what_it_had_and_shares_what_was_not_changed() {
        let mut map: Shards<u32, u32> = Shards::default();
        for key in 0..1_000 {
            assert_eq!(map.insert(key, key), None);
        }
        let copy = map.clone();
        assert_eq!(map.insert(7, 70), Some(7));
        assert_eq!(map.remove(&8), Some(8));
        assert_eq!(map.remove(&8), None);
        assert_eq!((copy.get(&7), copy.get(&8)), (Some(&7), Some(&8)));
        assert_eq!((map.get(&7), map.get(&8), map.get(&9)), (Some(&70), None, Some(&9)));
        let pairs = map.parts.iter().zip(&copy.parts);
        let own = pairs.filter(|(one, other)| !Arc::ptr_eq(one, other)).count();
        assert!((1..=2).contains(&own), "{own}");
    }

    #[test]
    fn values_of_one_key_are_kept_in_order() {
        let mut map: Shards<&str, Vec<u32>> = Shards::default();
        for value in [3, 1, 2] {
            map.add("a", value, |value| *value);
        }
        assert_eq!(map.get("a").unwrap(), &[1, 2, 3]);
        map.retain(&"a", |value| *value == 2);
        assert_eq!(map.get("a").unwrap(), &[2]);
        map.retain(&"a", |_| false);
        assert_eq!(map.get("a"), None);
        map.retain(&"b", |_| false);
    }
}
