//! Floating IPs without port map, towards their pods.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use penstock_abi::hash;
use penstock_abi::table::PlainFip;
use penstock_compile::PlainKey;

use crate::buckets::Buckets;
use crate::card::{Card, Step};
use crate::words;

/// The index.
#[derive(Debug)]
pub(crate) struct PlainFips {
    places: Buckets,
    /// Keys of the card, with the mapping of each.
    maps: BTreeMap<PlainKey, u16>,
}

fn hashed(key: &PlainKey) -> Option<u128> {
    match key.address {
        IpAddr::V4(address) => Some(hash::plain_fip_key(key.vif.0, address.into())),
        IpAddr::V6(_) => None,
    }
}

impl PlainFips {
    /// The index, and keys that no look-up finds.
    pub(crate) fn new(card: &Card) -> (Self, Vec<u32>) {
        let keys = || card.tables().of::<PlainFip>().iter();
        let name =
            |word: &PlainFip| PlainKey { vif: word.vif.into(), address: words::address(word.ip) };
        let (places, mut strays) = Buckets::new(
            card.shape().plain_fip_rows_log2,
            keys()
                .filter(|(_, word)| word.valid)
                .filter_map(|(index, word)| Some((index, hashed(&name(word))?))),
        );
        strays.extend(keys().filter(|(_, word)| !word.valid).map(|(index, _)| index));
        let lost: BTreeSet<u32> = strays.iter().copied().collect();
        let there = keys().filter(|(index, _)| !lost.contains(index));
        let maps = there.map(|(_, word)| (name(word), word.map)).collect();
        (Self { places, maps }, strays)
    }

    /// All keys of the card.
    pub(crate) fn keys(&self) -> impl Iterator<Item = PlainKey> {
        self.maps.keys().copied()
    }

    /// The mapping to which a key leads.
    pub(crate) fn map(&self, key: &PlainKey) -> Option<u16> {
        self.maps.get(key).copied()
    }

    /// Whether a key has a place, or can be given one.
    pub(crate) fn has_place(&self, key: &PlainKey) -> bool {
        hashed(key).is_some_and(|key| self.places.has(key))
    }

    /// Writes a key that has a place, or can be given one.
    pub(crate) fn set(&mut self, card: &mut Card, key: PlainKey, word: PlainFip) -> Option<()> {
        let hashed = hashed(&key)?;
        let index = match self.places.get(hashed) {
            Some(index) => index,
            None => {
                let place = self.places.place(hashed)?;
                for (from, to) in place.moves {
                    let moved: PlainFip = card.at(from);
                    card.write(Step::Point, to, moved);
                }
                place.index
            }
        };
        card.write(Step::Point, index, word);
        self.maps.insert(key, word.map);
        Some(())
    }

    /// Removes a key.
    pub(crate) fn remove(&mut self, card: &mut Card, key: &PlainKey) {
        if self.maps.remove(key).is_none() {
            return;
        }
        if let Some(index) = hashed(key).and_then(|key| self.places.get(key)) {
            card.clear::<PlainFip>(Step::Unpoint, index);
            self.places.leave(index);
        }
    }

    /// The round is over.
    pub(crate) fn end_round(&mut self) {
        self.places.end_round();
    }
}
