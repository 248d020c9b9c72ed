//! Floating-IP port mappings of the card, the keys that lead to them, and the marks of their backends.
//!
//! A mapping belongs to one key and never changes: a new target means a new index, and the key is pointed to it. One that is
//! no longer pointed to becomes a tombstone under the next generation (`words::tombstone`), so that no flow that was translated
//! by it is usable any more; indices never used before are given out first.
//!
//! Marks (`penstock_compile::marks`) are counted by the mappings that need them: one is there before the first of these is
//! pointed to, and until the last of them is a tombstone, so that at no time an answer leaves untranslated.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use penstock_abi::hash;
use penstock_abi::table::{self, FipMap};
use penstock_compile::{FipKey, FipTarget, marks};
use penstock_model::{Protocol, VifId};

use crate::buckets::Buckets;
use crate::card::{Card, Step};
use crate::group::next_generation;
use crate::space::NumberSpace;
use crate::words;

/// The lowest index that is given to a mapping: a mark names index 0.
const FIRST_MAP: u32 = 1;
/// Indices that a key can name, however large a card is.
const MAPS: u32 = 1 << 16;

/// The index.
#[derive(Debug)]
pub(crate) struct Mappings {
    places: Buckets,
    /// Index of the mapping that a key leads to.
    maps: BTreeMap<FipKey, u32>,
    by_address: BTreeSet<(IpAddr, FipKey)>,
    /// Mappings that nobody wants any more, and that stay for the connections of their backends.
    pub(crate) staying: BTreeSet<(IpAddr, FipKey)>,
    /// How many mappings need a mark.
    marks: BTreeMap<FipKey, u32>,
    /// Marks, and keys that lead nowhere, that go at the end of the round if nobody needs them.
    needless: BTreeSet<FipKey>,
    /// Marks that the card should have and has not.
    missing: BTreeSet<FipKey>,
    /// Indices never used.
    fresh: NumberSpace,
    tombstones: BTreeSet<u32>,
    /// Those that are tombstones when the round is over.
    buried: Vec<u32>,
}

/// What of a card no key leads to.
#[derive(Debug, Default)]
pub(crate) struct Strays {
    /// Keys that no look-up finds.
    pub(crate) keys: Vec<u32>,
    /// Mappings.
    pub(crate) maps: Vec<u32>,
}

fn hashed(key: &FipKey) -> Option<u128> {
    match key.address {
        IpAddr::V4(address) => {
            Some(hash::fip_key(key.vif.0, key.protocol.number(), address.into(), key.port))
        }
        IpAddr::V6(_) => None,
    }
}

/// What a mapping of the card is for.
pub(crate) fn target(map: &FipMap) -> FipTarget {
    FipTarget { address: words::address(map.pod_ip), port: map.pod_port }
}

impl Mappings {
    pub(crate) fn new(card: &Card) -> (Self, Strays) {
        let tables = card.tables();
        let shape = card.shape();
        let keys = || tables.of::<table::FipKey>().iter();
        let named = |word: &table::FipKey| words::fip_name(word).filter(|_| word.valid);
        let (places, mut strays) = Buckets::new(
            shape.fip_key_rows_log2,
            keys().filter_map(|(index, word)| Some((index, hashed(&named(word)?)?))),
        );
        strays.extend(keys().filter(|(_, word)| named(word).is_none()).map(|(index, _)| index));
        let maps = || tables.of::<FipMap>().iter();
        let mut all = Self {
            places,
            maps: BTreeMap::new(),
            by_address: BTreeSet::new(),
            staying: BTreeSet::new(),
            marks: BTreeMap::new(),
            needless: BTreeSet::new(),
            missing: BTreeSet::new(),
            fresh: NumberSpace::new(
                FIRST_MAP,
                shape.fip_maps.min(MAPS),
                maps().map(|(index, _)| index),
            ),
            tombstones: maps()
                .filter(|(index, map)| *index >= FIRST_MAP && words::is_tombstone(map))
                .map(|(index, _)| index)
                .collect(),
            buried: Vec::new(),
        };
        let lost: BTreeSet<u32> = strays.iter().copied().collect();
        let mut led_to = BTreeSet::new();
        for (index, word) in keys().filter(|(index, _)| !lost.contains(index)) {
            let Some(name) = words::fip_name(word) else { continue };
            let map: FipMap = card.at(word.map.into());
            let own = (map.vip, map.vip_port) == (word.ip, word.port);
            let usable = map.valid && own && !words::is_tombstone(&map);
            if usable && led_to.insert(word.map) {
                all.learn(name, word.map.into());
                for mark in marks([(&name, &target(&map))]) {
                    *all.marks.entry(mark).or_default() += 1;
                }
            } else {
                all.needless.insert(name);
                debug_assert_eq!(all.places.get(hashed(&name).unwrap_or(0)), Some(index));
            }
        }
        let missing = all.marks.keys().filter(|mark| !all.is_marked(card, mark));
        all.missing = missing.copied().collect();
        let unled = maps()
            .filter(|(index, map)| !words::is_tombstone(map) && !led_to.contains(&(*index as u16)));
        let maps = unled.map(|(index, _)| index).collect();
        (all, Strays { keys: strays, maps })
    }

    fn learn(&mut self, name: FipKey, map: u32) {
        self.maps.insert(name, map);
        self.by_address.insert((name.address, name));
    }

    /// The mapping that a key leads to.
    pub(crate) fn get(&self, card: &Card, name: &FipKey) -> Option<(u32, FipMap)> {
        let index = *self.maps.get(name)?;
        Some((index, card.at(index)))
    }

    /// All keys that lead to mappings.
    pub(crate) fn keys(&self) -> impl Iterator<Item = FipKey> {
        self.maps.keys().copied()
    }

    /// Those of a floating IP.
    pub(crate) fn at(&self, address: IpAddr) -> impl Iterator<Item = FipKey> {
        let here = self.by_address.range((address, LOWEST)..);
        here.take_while(move |(at, _)| *at == address).map(|(_, name)| *name)
    }

    /// Those of a floating IP that stay.
    pub(crate) fn staying_at(&self, address: IpAddr) -> impl Iterator<Item = FipKey> {
        let here = self.staying.range((address, LOWEST)..);
        here.take_while(move |(at, _)| *at == address).map(|(_, name)| *name)
    }

    /// Those of a vif.
    pub(crate) fn of_vif(&self, vif: VifId) -> impl Iterator<Item = FipKey> {
        let here = self.maps.range(FipKey { vif, ..LOWEST }..).map(|(name, _)| *name);
        here.take_while(move |name| name.vif == vif)
    }

    /// A place for a key: where it stands, or a new one, which is to be written; what is moved for it is.
    pub(crate) fn make_place(&mut self, card: &mut Card, name: &FipKey) -> Option<u32> {
        let key = hashed(name)?;
        if let Some(index) = self.places.get(key) {
            return Some(index);
        }
        let place = self.places.place(key)?;
        for (from, to) in place.moves {
            let moved: table::FipKey = card.at(from);
            card.write(Step::Point, to, moved);
        }
        Some(place.index)
    }

    /// Takes an index for a mapping, and the generation that it has there.
    pub(crate) fn take_map(&mut self, card: &Card) -> Option<(u32, u8)> {
        let index = self.fresh.take().or_else(|| self.tombstones.pop_first())?;
        // A tombstone's generation is one that no flow has.
        Some((index, card.get::<FipMap>(index).map_or(1, |map| map.generation)))
    }

    /// Gives back an index that was not written to.
    pub(crate) fn put_back_map(&mut self, card: &Card, index: u32) {
        if card.get::<FipMap>(index).is_some() {
            self.tombstones.insert(index);
        } else {
            self.fresh.put_back(index);
        }
    }

    /// Points a key to a new mapping, and buries the one that it led to before.
    pub(crate) fn set(
        &mut self,
        card: &mut Card,
        name: &FipKey,
        place: u32,
        key: table::FipKey,
        map: FipMap,
    ) {
        let old = self.get(card, name);
        card.write(Step::Make, key.map.into(), map);
        card.write(Step::Point, place, key);
        self.learn(*name, key.map.into());
        if let Some((index, map)) = old {
            self.bury(card, name, index, &map);
        }
    }

    /// Removes a mapping and its key.
    pub(crate) fn remove(&mut self, card: &mut Card, name: &FipKey) {
        let Some((index, map)) = self.get(card, name) else { return };
        if let Some(place) = hashed(name).and_then(|key| self.places.get(key)) {
            card.clear::<table::FipKey>(Step::Unpoint, place);
            self.places.leave(place);
        }
        self.maps.remove(name);
        self.by_address.remove(&(name.address, *name));
        self.staying.remove(&(name.address, *name));
        self.bury(card, name, index, &map);
    }

    /// Makes a mapping unusable once nothing points to it, and lets go of its marks.
    fn bury(&mut self, card: &mut Card, name: &FipKey, index: u32, map: &FipMap) {
        self.entomb(card, index, map);
        self.release_marks(name, &target(map));
    }

    /// Makes a mapping a tombstone.
    pub(crate) fn entomb(&mut self, card: &mut Card, index: u32, map: &FipMap) {
        card.write(Step::Unmake, index, words::tombstone(next_generation(map.generation)));
        if index >= FIRST_MAP {
            self.buried.push(index);
        }
    }

    /// Whether a mark is on the card, or a mapping's own key in its place, which translates.
    pub(crate) fn is_marked(&self, card: &Card, mark: &FipKey) -> bool {
        let word = || hashed(mark).and_then(|key| self.places.get(key)).map(|index| card.at(index));
        self.maps.contains_key(mark) || word() == words::fip_key(mark, 0).ok()
    }

    /// Whether a key marks a backend now.
    pub(crate) fn is_mark(&self, key: &FipKey) -> bool {
        self.marks.get(key).is_some_and(|count| *count > 0)
    }

    /// A mapping needs these marks.
    pub(crate) fn take_marks(&mut self, name: &FipKey, target: &FipTarget) {
        for mark in marks([(name, target)]) {
            *self.marks.entry(mark).or_default() += 1;
        }
    }

    /// A mapping does not need them any more.
    pub(crate) fn release_marks(&mut self, name: &FipKey, target: &FipTarget) {
        for mark in marks([(name, target)]) {
            let count = self.marks.entry(mark).or_default();
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.needless.insert(mark);
            }
        }
    }

    /// A mark's word was written.
    pub(crate) fn marked(&mut self, mark: &FipKey) {
        self.missing.remove(mark);
    }

    /// Marks that the card should have and has not.
    pub(crate) fn missing(&self) -> Vec<FipKey> {
        self.missing.iter().copied().filter(|mark| self.is_mark(mark)).collect()
    }

    /// Removes marks that nobody needs, and keys that lead nowhere.
    pub(crate) fn sweep(&mut self, card: &mut Card) {
        for name in std::mem::take(&mut self.needless) {
            if self.is_mark(&name) || self.maps.contains_key(&name) {
                continue;
            }
            self.marks.remove(&name);
            self.missing.remove(&name);
            if let Some(place) = hashed(&name).and_then(|key| self.places.get(key)) {
                card.clear::<table::FipKey>(Step::Unmake, place);
                self.places.leave(place);
            }
        }
    }

    /// The round is over.
    pub(crate) fn end_round(&mut self) {
        self.places.end_round();
        self.tombstones.extend(self.buried.drain(..));
    }
}

/// The lowest name.
const LOWEST: FipKey = FipKey {
    vif: VifId(0),
    protocol: Protocol::Tcp,
    address: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
    port: 0,
};
