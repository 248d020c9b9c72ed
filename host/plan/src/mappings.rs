//! Keys by which packets from the fabric find their mappings, and the marks of backends.
//!
//! A new target means another mapping (`maps`), and the key is pointed to it.
//!
//! Marks (`penstock_compile::marks`) are counted by the keys that need them: one is there before the first of these, and until
//! the last of their mappings is a tombstone, so that at no time an answer leaves untranslated.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use penstock_abi::hash;
use penstock_abi::table::{self, FipMap};
use penstock_compile::{FipKey, FipTarget, marks};
use penstock_model::{Protocol, VifId};

use crate::buckets::Buckets;
use crate::card::{Card, Step};
use crate::words;

/// The index.
#[derive(Debug)]
pub(crate) struct Mappings {
    places: Buckets,
    /// Keys that lead to mappings.
    names: BTreeSet<FipKey>,
    by_address: BTreeSet<(IpAddr, FipKey)>,
    /// Mappings that nobody wants any more, and that stay for the connections of their backends.
    pub(crate) staying: BTreeSet<(IpAddr, FipKey)>,
    /// How many mappings need a mark.
    marks: BTreeMap<FipKey, u32>,
    /// Marks, and keys that lead nowhere, that go at the end of the round if nobody needs them.
    needless: BTreeSet<FipKey>,
    /// Marks that the card should have and has not.
    missing: BTreeSet<FipKey>,
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
    /// The index, and keys that no look-up finds.
    pub(crate) fn new(card: &Card) -> (Self, Vec<u32>) {
        let keys = || card.tables().of::<table::FipKey>().iter();
        let named = |word: &table::FipKey| words::fip_name(word).filter(|_| word.valid);
        let (places, mut strays) = Buckets::new(
            card.shape().fip_key_rows_log2,
            keys().filter_map(|(index, word)| Some((index, hashed(&named(word)?)?))),
        );
        strays.extend(keys().filter(|(_, word)| named(word).is_none()).map(|(index, _)| index));
        let mut all = Self {
            places,
            names: BTreeSet::new(),
            by_address: BTreeSet::new(),
            staying: BTreeSet::new(),
            marks: BTreeMap::new(),
            needless: BTreeSet::new(),
            missing: BTreeSet::new(),
        };
        let lost: BTreeSet<u32> = strays.iter().copied().collect();
        for (index, word) in keys().filter(|(index, _)| !lost.contains(index)) {
            let Some(name) = words::fip_name(word) else { continue };
            let map: FipMap = card.at(word.map.into());
            let own = (map.vip, map.vip_port) == (word.ip, word.port);
            if word.map != 0 && map.valid && own && !words::is_tombstone(&map) {
                all.learn(name);
                all.take_marks(&name, &target(&map));
            } else {
                all.needless.insert(name);
                debug_assert_eq!(all.places.get(hashed(&name).unwrap_or(0)), Some(index));
            }
        }
        let missing = all.marks.keys().filter(|mark| !all.is_marked(card, mark));
        all.missing = missing.copied().collect();
        (all, strays)
    }

    fn learn(&mut self, name: FipKey) {
        self.names.insert(name);
        self.by_address.insert((name.address, name));
    }

    /// The mapping that a key leads to.
    pub(crate) fn get(&self, card: &Card, name: &FipKey) -> Option<FipMap> {
        self.names.get(name)?;
        let word: table::FipKey = card.at(self.places.get(hashed(name)?)?);
        Some(card.at(word.map.into()))
    }

    /// All keys that lead to mappings.
    pub(crate) fn keys(&self) -> impl Iterator<Item = FipKey> {
        self.names.iter().copied()
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
        let here = self.names.range(FipKey { vif, ..LOWEST }..).copied();
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

    /// Points a key to a mapping, which is on the card.
    pub(crate) fn set(&mut self, card: &mut Card, name: &FipKey, place: u32, key: table::FipKey) {
        let old = self.get(card, name);
        card.write(Step::Point, place, key);
        self.learn(*name);
        if let Some(old) = old {
            self.release_marks(name, &target(&old));
        }
    }

    /// Removes a key.
    pub(crate) fn remove(&mut self, card: &mut Card, name: &FipKey) {
        let Some(map) = self.get(card, name) else { return };
        if let Some(place) = hashed(name).and_then(|key| self.places.get(key)) {
            card.clear::<table::FipKey>(Step::Unpoint, place);
            self.places.leave(place);
        }
        self.names.remove(name);
        self.by_address.remove(&(name.address, *name));
        self.staying.remove(&(name.address, *name));
        self.release_marks(name, &target(&map));
    }

    /// Whether a mark is on the card, or a mapping's own key in its place, which translates.
    pub(crate) fn is_marked(&self, card: &Card, mark: &FipKey) -> bool {
        let word = || hashed(mark).and_then(|key| self.places.get(key)).map(|index| card.at(index));
        self.names.contains(mark) || word() == words::fip_key(mark, 0).ok()
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
            if self.is_mark(&name) || self.names.contains(&name) {
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
    }
}

/// The lowest name.
const LOWEST: FipKey = FipKey {
    vif: VifId(0),
    protocol: Protocol::Tcp,
    address: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
    port: 0,
};
