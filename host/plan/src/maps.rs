//! Mappings of the card, by what they say: keys, members of groups and vifs name them by index.
//!
//! A mapping never changes: who shall be translated otherwise names another one. One that nobody names any more becomes a
//! tombstone under the next generation (`words::tombstone`), so that no flow that was translated by it is usable any more;
//! indices never used before are given out first.
//!
//! An index is *reserved* before who names it has its own room; it is written just before its name is, or given back.

use std::collections::{BTreeMap, BTreeSet};

use penstock_abi::table::FipMap;

use crate::card::{Card, Step};
use crate::group::next_generation;
use crate::space::NumberSpace;
use crate::words;

/// The lowest index that is given to a mapping: 0 is none.
const FIRST_MAP: u32 = 1;
/// Indices that can be named, however large a card is.
const MAPS: u32 = 1 << 14;

/// What a mapping says: the floating IP with its port, and the backend with its own; ports are 0 without port map.
pub(crate) type MapKey = (u32, u16, u32, u16);

fn key_of(map: &FipMap) -> MapKey {
    (map.vip, map.vip_port, map.pod_ip, map.pod_port)
}

/// The index.
#[derive(Debug)]
pub(crate) struct Maps {
    by_key: BTreeMap<MapKey, u16>,
    /// Reserved, and not written yet.
    reserved: BTreeMap<MapKey, (u16, FipMap)>,
    /// Indices never used.
    fresh: NumberSpace,
    tombstones: BTreeSet<u16>,
    /// Those that are tombstones when the round is over.
    buried: Vec<u16>,
}

impl Maps {
    /// The index, and mappings that nobody names.
    pub(crate) fn new(card: &Card) -> (Self, Vec<u32>) {
        let maps = || card.tables().of::<FipMap>().iter();
        let limit = card.shape().fip_maps.min(MAPS);
        let mut all = Self {
            by_key: BTreeMap::new(),
            reserved: BTreeMap::new(),
            fresh: NumberSpace::new(FIRST_MAP, limit, maps().map(|(index, _)| index)),
            tombstones: BTreeSet::new(),
            buried: Vec::new(),
        };
        let mut strays = Vec::new();
        for (index, map) in maps() {
            let number = u16::try_from(index).ok();
            let number = number.filter(|_| (FIRST_MAP..limit).contains(&index));
            match number {
                Some(number) if words::is_tombstone(map) => drop(all.tombstones.insert(number)),
                Some(number) if map.valid && card.map_named(number) > 0 => {
                    all.by_key.entry(key_of(map)).or_insert(number);
                }
                _ => strays.push(index),
            }
        }
        (all, strays)
    }

    /// The index of what is said so, written or reserved.
    pub(crate) fn index(&self, key: MapKey) -> Option<u16> {
        let reserved = self.reserved.get(&key).map(|(index, _)| *index);
        self.by_key.get(&key).copied().or(reserved)
    }

    /// Whether what is said so is on the card.
    pub(crate) fn is_there(&self, key: MapKey) -> bool {
        self.by_key.contains_key(&key)
    }

    /// The index of a mapping, which is reserved if it is new; none if there is no room.
    pub(crate) fn reserve(&mut self, card: &Card, key: MapKey) -> Option<u16> {
        if let Some(index) = self.index(key) {
            return Some(index);
        }
        // Below `MAPS`.
        let fresh = self.fresh.take().map(|index| index as u16);
        let index = fresh.or_else(|| self.tombstones.pop_first())?;
        // A tombstone's generation is one that no flow has.
        let generation = card.get::<FipMap>(index.into()).map_or(1, |map| map.generation);
        let (vip, vip_port, pod_ip, pod_port) = key;
        let map = FipMap { valid: true, generation, pod_ip, pod_port, vip, vip_port };
        self.reserved.insert(key, (index, map));
        Some(index)
    }

    /// Writes what is reserved: now somebody names it.
    pub(crate) fn write_reserved(&mut self, card: &mut Card) {
        for (key, (index, map)) in std::mem::take(&mut self.reserved) {
            card.write(Step::Make, index.into(), map);
            self.by_key.insert(key, index);
        }
    }

    /// Gives back what is reserved.
    pub(crate) fn put_back(&mut self, card: &Card) {
        for (_, (index, _)) in std::mem::take(&mut self.reserved) {
            if card.get::<FipMap>(index.into()).is_some() {
                self.tombstones.insert(index);
            } else {
                self.fresh.put_back(index.into());
            }
        }
    }

    /// Makes tombstones of mappings that nobody names any more.
    pub(crate) fn sweep(&mut self, card: &mut Card) {
        for index in card.loose_maps() {
            let map: FipMap = card.at(index.into());
            if u32::from(index) >= FIRST_MAP && map.valid && !words::is_tombstone(&map) {
                self.entomb(card, index.into(), &map);
            }
        }
    }

    /// Makes a mapping a tombstone; what stands where none may be goes.
    pub(crate) fn entomb(&mut self, card: &mut Card, index: u32, map: &FipMap) {
        let number = u16::try_from(index).ok();
        let number = number.filter(|_| (FIRST_MAP..MAPS).contains(&index));
        let Some(number) = number else { return card.clear::<FipMap>(Step::Unmake, index) };
        if self.by_key.get(&key_of(map)) == Some(&number) {
            self.by_key.remove(&key_of(map));
        }
        card.write(Step::Unmake, index, words::tombstone(next_generation(map.generation)));
        self.buried.push(number);
    }

    /// The round is over.
    pub(crate) fn end_round(&mut self) {
        self.tombstones.extend(self.buried.drain(..));
    }
}
