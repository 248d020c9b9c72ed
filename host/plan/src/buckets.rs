//! Where the keys of a bucketed hash table stand: two ways, four slots a bucket, placed by the host.
//!
//! A key may stand in any of the four slots of its row in either way. If all eight are taken, others are moved to make
//! room, each copied to its other place before its old one is overwritten, so that a look-up finds every key at all times.
//!
//! Only keys and hashes are kept here; what stands at a place says the mirror. A key that is known is never hashed again.

use std::collections::{BTreeSet, VecDeque};

use penstock_abi::hash;
use penstock_abi::limits::{
    BUCKET_SLOTS, FIP_KEY_WAYS, HOST_ROUTE_WAYS, PLAIN_FIP_WAYS, PREFIX_WAYS, SERVICE_KEY_WAYS,
};
use penstock_tables::bucket_slots;

/// Most slots looked at for a chain of moves.
const SEARCH_MAX: usize = 4096;
/// Ways of each of the tables that the host places.
pub(crate) const WAYS: u32 = HOST_ROUTE_WAYS;
const _: () = assert!(FIP_KEY_WAYS == WAYS && PREFIX_WAYS == WAYS);
const _: () = assert!(SERVICE_KEY_WAYS == WAYS && PLAIN_FIP_WAYS == WAYS);

/// A place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Free,
    Taken {
        key: u64,
        hash: u64,
    },
    /// Its key is removed; the card has it until the round is over.
    Leaving,
}

/// The places of a table.
#[derive(Clone, Debug)]
pub(crate) struct Buckets {
    rows_log2: u32,
    slots: Vec<Slot>,
    leaving: Vec<u32>,
}

/// A place for a key, and the moves that make it, in order: each copies the entry at the first index to the second.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) index: u32,
    pub(crate) moves: Vec<(u32, u32)>,
}

impl Buckets {
    /// A table with these keys at these indices, and the indices of *strays*, which no look-up needs: copies of a key, or in a
    /// row that is not their key's. Their places count as free.
    pub(crate) fn new(
        rows_log2: u32,
        entries: impl Iterator<Item = (u32, u128)>,
    ) -> (Self, Vec<u32>) {
        let size = ((WAYS * BUCKET_SLOTS) << rows_log2) as usize;
        let mut buckets = Self { rows_log2, slots: vec![Slot::Free; size], leaving: Vec::new() };
        let mut strays = Vec::new();
        for (index, key) in entries {
            let (key, hash) = hashed(key);
            let own = buckets.candidates(hash).any(|place| place == index);
            if own && buckets.find(key, hash).is_none() {
                buckets.slots[index as usize] = Slot::Taken { key, hash };
            } else {
                strays.push(index);
            }
        }
        (buckets, strays)
    }

    /// Where a key stands.
    pub(crate) fn get(&self, key: u128) -> Option<u32> {
        let (key, hash) = hashed(key);
        self.find(key, hash)
    }

    fn find(&self, key: u64, hash: u64) -> Option<u32> {
        let taken = Slot::Taken { key, hash };
        self.candidates(hash).find(|&index| self.slots[index as usize] == taken)
    }

    /// Whether a key has a place, or can be given one.
    pub(crate) fn has(&self, key: u128) -> bool {
        let (key, hash) = hashed(key);
        self.find(key, hash).is_some() || self.path(hash).is_some()
    }

    /// Whether all of these keys, which are not there, can be given places.
    pub(crate) fn has_all(&self, keys: impl Iterator<Item = u128>) -> bool {
        let mut tried = self.clone();
        keys.into_iter().all(|key| tried.place(key).is_some())
    }

    /// Gives a key that is not there a place; none if no place can be made.
    pub(crate) fn place(&mut self, key: u128) -> Option<Place> {
        let (key, hash) = hashed(key);
        let path = self.path(hash)?;
        // From the free end backwards: copy, then overwrite.
        let moves: Vec<(u32, u32)> = path.windows(2).rev().map(|pair| (pair[0], pair[1])).collect();
        for &(from, to) in &moves {
            self.slots[to as usize] = self.slots[from as usize];
        }
        self.slots[path[0] as usize] = Slot::Taken { key, hash };
        Some(Place { index: path[0], moves })
    }

    /// Takes away the key at a place, which is free when the round is over.
    pub(crate) fn leave(&mut self, index: u32) {
        self.slots[index as usize] = Slot::Leaving;
        self.leaving.push(index);
    }

    /// The round is over.
    pub(crate) fn end_round(&mut self) {
        for index in std::mem::take(&mut self.leaving) {
            self.slots[index as usize] = Slot::Free;
        }
    }

    /// The eight slots of a key.
    fn candidates(&self, hash: u64) -> impl Iterator<Item = u32> + use<> {
        bucket_slots(hash, WAYS, self.rows_log2)
    }

    /// The same, those of the emptier row first.
    fn emptier_first(&self, hash: u64) -> [u32; (WAYS * BUCKET_SLOTS) as usize] {
        let mut slots = [0; (WAYS * BUCKET_SLOTS) as usize];
        for (slot, index) in slots.iter_mut().zip(self.candidates(hash)) {
            *slot = index;
        }
        let (first, second) = slots.split_at_mut(BUCKET_SLOTS as usize);
        let used =
            |row: &[u32]| row.iter().filter(|&&i| self.slots[i as usize] != Slot::Free).count();
        if used(second) < used(first) {
            first.swap_with_slice(second);
        }
        slots
    }

    /// Slots from one of the key's own to a free one; the entry in each can move to the next.
    fn path(&self, hash: u64) -> Option<Vec<u32>> {
        let own = self.emptier_first(hash);
        if let Some(&free) = own.iter().find(|&&index| self.slots[index as usize] == Slot::Free) {
            return Some(vec![free]);
        }
        let mut seen = BTreeSet::new();
        let mut nodes: Vec<(u32, Option<usize>)> = Vec::new();
        let mut queue: VecDeque<usize> = VecDeque::new();
        for slot in own {
            if seen.insert(slot) {
                queue.push_back(nodes.len());
                nodes.push((slot, None));
            }
        }
        while let Some(at) = queue.pop_front() {
            let occupant = match self.slots[nodes[at].0 as usize] {
                Slot::Free => return Some(path_to(&nodes, at)),
                Slot::Leaving => continue,
                Slot::Taken { hash, .. } => hash,
            };
            if nodes.len() >= SEARCH_MAX {
                continue;
            }
            for slot in self.emptier_first(occupant) {
                if seen.insert(slot) {
                    queue.push_back(nodes.len());
                    nodes.push((slot, Some(at)));
                }
            }
        }
        None
    }
}

/// Keys of the tables that the host places have 68 bits at most; of those that are alike in the lowest 64, the hash tells.
fn hashed(key: u128) -> (u64, u64) {
    (key as u64, hash::key_hash(key))
}

fn path_to(nodes: &[(u32, Option<usize>)], end: usize) -> Vec<u32> {
    let mut path = vec![nodes[end].0];
    let mut parent = nodes[end].1;
    while let Some(at) = parent {
        path.push(nodes[at].0);
        parent = nodes[at].1;
    }
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn key(n: u128) -> u128 {
        u128::from((n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn empty(rows_log2: u32) -> Buckets {
        Buckets::new(rows_log2, std::iter::empty()).0
    }

    /// Fills a table of 2^4 rows to 120 of 128 entries, checking at every write that no key gets lost.
    #[test]
    fn moves_keep_every_key_in_sight() {
        let mut buckets = empty(4);
        let mut card: HashMap<u32, u128> = HashMap::new();
        let mut moved = 0;
        for n in 0..120 {
            let Some(place) = buckets.place(key(n)) else { panic!("no place for key {n}") };
            moved += place.moves.len();
            let copies = place.moves.iter().map(|&(from, to)| (Some(from), to));
            for (from, to) in copies.chain([(None, place.index)]) {
                let written = from.map_or(key(n), |from| card[&from]);
                let own = buckets.candidates(hash::key_hash(written)).any(|place| place == to);
                assert!(own, "a key in a row not its own");
                card.insert(to, written);
                for m in 0..n {
                    assert!(
                        card.values().any(|k| *k == key(m)),
                        "key {m} is lost while {n} is placed"
                    );
                }
            }
        }
        assert!(moved > 0, "the test must make entries move");
        assert_eq!(card.len(), 120);
        assert!(card.iter().all(|(&index, &key)| buckets.get(key) == Some(index)));
    }

    #[test]
    fn a_full_table_says_so_and_places_come_back_after_the_round() {
        let mut buckets = empty(1);
        let placed: Vec<u128> =
            (0..100_u128).filter(|n| buckets.place(*n << 20).is_some()).collect();
        assert!((12..=16).contains(&placed.len()), "{}", placed.len());
        let first = buckets.get(placed[0] << 20).unwrap();
        buckets.leave(first);
        assert_eq!((buckets.get(placed[0] << 20), buckets.place(placed[0] << 20)), (None, None));
        buckets.end_round();
        assert!(buckets.place(placed[0] << 20).is_some());
    }

    #[test]
    fn keys_that_differ_beyond_64_bits_have_other_hashes() {
        let hashes: Vec<(u64, u64)> = (0..16_u128).map(|high| hashed(high << 64 | 7)).collect();
        assert!((1..16).all(|n| !hashes[..n].contains(&hashes[n])));
    }

    #[test]
    fn copies_and_misplaced_entries_are_strays() {
        let key = 0x1234;
        let own: Vec<u32> = empty(4).candidates(hash::key_hash(key)).collect();
        let foreign = (0..128).find(|index| !own.contains(index)).unwrap();
        let entries = [(own[5], key), (own[6], key), (foreign, key)];
        let (buckets, strays) = Buckets::new(4, entries.into_iter());
        assert_eq!(buckets.get(key), Some(own[5]));
        assert_eq!(strays, [own[6], foreign]);
    }
}
