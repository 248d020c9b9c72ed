//! Prefixes of the card: any place will do, so they stay where they are.

use std::collections::BTreeMap;

use penstock_abi::table::Prefix;
use penstock_model::{IpNet, VrfId};

use crate::card::{Card, Step};
use crate::words;

/// What identifies a prefix.
pub(crate) type PrefixKey = (VrfId, IpNet);

/// The index.
#[derive(Debug)]
pub(crate) struct Prefixes {
    places: BTreeMap<PrefixKey, u32>,
    /// Places whose entries are removed in this round.
    leaving: Vec<u32>,
}

impl Prefixes {
    /// The index, and the places of copies and of what no packet matches.
    pub(crate) fn new(card: &Card) -> (Self, Vec<u32>) {
        let mut places = BTreeMap::new();
        let mut strays = Vec::new();
        for (index, word) in card.tables().of::<Prefix>().iter() {
            let prefix = IpNet::new(words::address(word.ip), word.len).ok();
            let key = prefix.filter(|_| word.valid).map(|prefix| (word.vrf.into(), prefix));
            match key {
                Some(key) if *places.entry(key).or_insert(index) == index => {}
                _ => strays.push(index),
            }
        }
        (Self { places, leaving: Vec::new() }, strays)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = PrefixKey> {
        self.places.keys().copied()
    }

    pub(crate) fn get(&self, key: PrefixKey) -> Option<u32> {
        self.places.get(&key).copied()
    }

    /// A place where nothing is.
    pub(crate) fn free(&self, card: &Card) -> Option<u32> {
        let used = card.tables().of::<Prefix>();
        let free = |index: &u32| !used.contains(*index) && !self.leaving.contains(index);
        (0..card.shape().prefixes).find(free)
    }

    pub(crate) fn set(&mut self, card: &mut Card, key: PrefixKey, index: u32, word: Prefix) {
        card.write(Step::Point, index, word);
        self.places.insert(key, index);
    }

    pub(crate) fn remove(&mut self, card: &mut Card, key: PrefixKey) {
        if let Some(index) = self.places.remove(&key) {
            self.clear(card, index);
        }
    }

    /// Clears a place.
    pub(crate) fn clear(&mut self, card: &mut Card, index: u32) {
        card.clear::<Prefix>(Step::Unpoint, index);
        self.leaving.push(index);
    }

    /// The round is over.
    pub(crate) fn end_round(&mut self) {
        self.leaving.clear();
    }
}
