//! Who wants what only one can have.

use std::collections::{BTreeMap, BTreeSet};

/// Claimants of each key, the one that has it first: it is the lowest.
#[derive(Debug)]
pub(super) struct Claims<K, N>(BTreeMap<K, Vec<N>>);

impl<K, N> Default for Claims<K, N> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone, N: Ord + Clone> Claims<K, N> {
    /// Replaces a claim by another one, and adds the keys of both to `dirty`.
    pub(super) fn change(
        &mut self,
        old: Option<(K, N)>,
        new: Option<(K, N)>,
        dirty: &mut BTreeSet<K>,
    ) {
        if let Some((key, name)) = old {
            if let Some(all) = self.0.get_mut(&key) {
                all.retain(|other| *other != name);
                if all.is_empty() {
                    self.0.remove(&key);
                }
            }
            dirty.insert(key);
        }
        if let Some((key, name)) = new {
            let all = self.0.entry(key.clone()).or_default();
            if let Err(place) = all.binary_search(&name) {
                all.insert(place, name);
            }
            dirty.insert(key);
        }
    }

    /// All who want the key.
    pub(super) fn all(&self, key: &K) -> &[N] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// Who has the key.
    pub(super) fn holder(&self, key: &K) -> Option<&N> {
        self.all(key).first()
    }
}
