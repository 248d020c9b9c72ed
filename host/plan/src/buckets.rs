//! The host's copy of a bucketed hash table: two ways, four slots a bucket, placed by the host.
//!
//! A key may stand in any of the four slots of its row in either way. If all eight are taken, others are moved to make
//! room, each copied to its other place before its old one is overwritten, so that a look-up finds every key at all times.

use std::collections::{HashMap, HashSet, VecDeque};

use penstock_abi::limits::BUCKET_SLOTS;
use penstock_abi::{hash, table};

/// Most slots looked at for a chain of moves.
const SEARCH_MAX: usize = 4096;
const WAYS: u32 = 2;

/// A table's entries by place and by key.
#[derive(Debug)]
pub(crate) struct Buckets<E> {
    rows_log2: u32,
    slots: Vec<Option<(u128, E)>>,
    places: HashMap<u128, u32>,
    /// Entries that no look-up needs: copies of a key, or in a row that is not their key's.
    strays: Vec<u32>,
}

impl<E: Copy> Buckets<E> {
    pub(crate) fn new(rows_log2: u32, entries: impl Iterator<Item = (u32, u128, E)>) -> Self {
        let size = ((WAYS * BUCKET_SLOTS) << rows_log2) as usize;
        let mut buckets =
            Self { rows_log2, slots: vec![None; size], places: HashMap::new(), strays: Vec::new() };
        for (index, key, entry) in entries {
            let Some(slot) = buckets.slots.get_mut(index as usize) else { continue };
            *slot = Some((key, entry));
            let own = buckets.candidates(key).contains(&index);
            if own && !buckets.places.contains_key(&key) {
                buckets.places.insert(key, index);
            } else {
                buckets.strays.push(index);
            }
        }
        buckets
    }

    /// Where a key stands, and what it says.
    pub(crate) fn get(&self, key: u128) -> Option<(u32, E)> {
        let index = *self.places.get(&key)?;
        self.slots[index as usize].map(|(_, entry)| (index, entry))
    }

    /// All keys with their places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u128, u32)> {
        self.places.iter().map(|(key, index)| (*key, *index))
    }

    /// Entries that are there.
    pub(crate) fn used(&self) -> usize {
        self.places.len() + self.strays.len()
    }

    /// Frees the places of strays and names them.
    pub(crate) fn take_strays(&mut self) -> Vec<u32> {
        let strays = std::mem::take(&mut self.strays);
        for index in &strays {
            self.slots[*index as usize] = None;
        }
        strays
    }

    /// Forgets a key.
    pub(crate) fn remove(&mut self, key: u128) -> Option<u32> {
        let index = self.places.remove(&key)?;
        self.slots[index as usize] = None;
        Some(index)
    }

    /// Sets what a key says. Returns the writes in order, or none if no place can be made.
    pub(crate) fn set(&mut self, key: u128, entry: E) -> Option<Vec<(u32, E)>> {
        if let Some(&index) = self.places.get(&key) {
            self.slots[index as usize] = Some((key, entry));
            return Some(vec![(index, entry)]);
        }
        let path = self.path(key)?;
        let mut writes = Vec::with_capacity(path.len());
        // From the free end backwards: copy, then overwrite.
        for pair in path.windows(2).rev() {
            let (from, to) = (pair[0], pair[1]);
            if let Some((moved, entry)) = self.slots[from as usize] {
                self.slots[to as usize] = Some((moved, entry));
                self.places.insert(moved, to);
                writes.push((to, entry));
            }
        }
        let index = path[0];
        self.slots[index as usize] = Some((key, entry));
        self.places.insert(key, index);
        writes.push((index, entry));
        Some(writes)
    }

    /// The eight slots of a key, those of the emptier row first.
    fn candidates(&self, key: u128) -> Vec<u32> {
        let hash = hash::key_hash(key);
        let mut rows: Vec<Vec<u32>> = (0..WAYS)
            .map(|way| {
                let row = hash::row(hash, way, self.rows_log2);
                (0..BUCKET_SLOTS)
                    .map(|slot| table::bucket_index(way, row, slot, self.rows_log2))
                    .collect()
            })
            .collect();
        rows.sort_by_key(|row| row.iter().filter(|i| self.slots[**i as usize].is_some()).count());
        rows.concat()
    }

    /// Slots from one of the key's own to a free one; the entry in each can move to the next.
    fn path(&self, key: u128) -> Option<Vec<u32>> {
        let mut seen: HashSet<u32> = HashSet::new();
        let mut nodes: Vec<(u32, Option<usize>)> = Vec::new();
        let mut queue: VecDeque<usize> = VecDeque::new();
        for slot in self.candidates(key) {
            if seen.insert(slot) {
                queue.push_back(nodes.len());
                nodes.push((slot, None));
            }
        }
        while let Some(at) = queue.pop_front() {
            let Some((occupant, _)) = self.slots[nodes[at].0 as usize] else {
                let mut path = vec![nodes[at].0];
                let mut parent = nodes[at].1;
                while let Some(p) = parent {
                    path.push(nodes[p].0);
                    parent = nodes[p].1;
                }
                path.reverse();
                return Some(path);
            };
            // A stray stays where it is.
            if nodes.len() >= SEARCH_MAX || self.places.get(&occupant) != Some(&nodes[at].0) {
                continue;
            }
            for slot in self.candidates(occupant) {
                if seen.insert(slot) {
                    queue.push_back(nodes.len());
                    nodes.push((slot, Some(at)));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills a table of 2^4 rows to 120 of 128 entries, checking at every write that no key gets lost.
    #[test]
    fn moves_keep_every_key_in_sight() {
        let mut buckets = Buckets::new(4, std::iter::empty());
        let mut card: HashMap<u32, u128> = HashMap::new();
        let mut moved = 0;
        for n in 0..120_u128 {
            let key = n * 0x9e37_79b9_7f4a_7c15;
            let Some(writes) = buckets.set(key, n) else { panic!("no place for key {n}") };
            moved += writes.len() - 1;
            for (index, entry) in writes {
                let written = entry * 0x9e37_79b9_7f4a_7c15;
                assert!(buckets.candidates(written).contains(&index), "a key in a row not its own");
                card.insert(index, written);
                for m in 0..n {
                    let old = m * 0x9e37_79b9_7f4a_7c15;
                    assert!(
                        card.values().any(|k| *k == old),
                        "key {m} is lost while {n} is placed"
                    );
                }
            }
        }
        assert!(moved > 0, "the test must make entries move");
        assert_eq!(card.len(), 120);
    }

    #[test]
    fn a_full_table_says_so() {
        let mut buckets = Buckets::new(1, std::iter::empty());
        let placed = (0..100_u128).filter(|n| buckets.set(*n << 20, ()).is_some()).count();
        assert!(placed <= 16, "{placed}");
        assert!(placed >= 12, "{placed}");
    }

    #[test]
    fn copies_and_misplaced_entries_are_strays() {
        let mut buckets = Buckets::new(4, std::iter::empty());
        let key = 0x1234;
        let home = buckets.candidates(key)[0];
        let other = buckets.candidates(key)[5];
        let foreign = (0..128).find(|i| !buckets.candidates(key).contains(i)).unwrap();
        buckets = Buckets::new(4, [(home, key, 1), (other, key, 1), (foreign, key, 1)].into_iter());
        let place = buckets.get(key).unwrap().0;
        let mut strays = buckets.take_strays();
        strays.push(place);
        strays.sort_unstable();
        let mut all = vec![home, other, foreign];
        all.sort_unstable();
        assert_eq!(strays, all);
        assert_ne!(place, foreign);
    }
}
