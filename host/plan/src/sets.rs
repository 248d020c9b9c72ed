//! Sets of tunnels by which packets may come: each is known by who is in it, so routes with the same tunnels share one.
//!
//! A set never changes while a route names it, but for set 1, which has all tunnels that are known. Who shall have another one
//! names another number; the keys of a set that nobody names go at the end of the round, and its number is free after that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use penstock_abi::hash;
use penstock_abi::limits::{SOURCES_KNOWN, SOURCES_NOBODY, TUNNEL_SOURCE_WAYS};
use penstock_abi::table::TunnelSource;

use crate::buckets::{Buckets, WAYS};
use crate::card::{Card, Step};
use crate::space::NumberSpace;

const _: () = assert!(TUNNEL_SOURCE_WAYS == WAYS);

/// Numbers that a set can have.
const NUMBERS: u32 = 1 << 14;

/// Addresses of tunnels' far ends.
pub(crate) type Set = BTreeSet<u32>;

/// The index.
#[derive(Debug)]
pub(crate) struct Sets {
    places: Buckets,
    numbers: NumberSpace,
    by_set: BTreeMap<Arc<Set>, u16>,
    sets: BTreeMap<u16, Arc<Set>>,
    /// Who is in set 1.
    known: Set,
}

fn word(set: u16, ip: u32) -> TunnelSource {
    TunnelSource { valid: true, set, ip }
}

fn hashed(set: u16, ip: u32) -> u128 {
    hash::tunnel_source_key(set, ip)
}

impl Sets {
    /// The index, and entries that no look-up needs.
    pub(crate) fn new(card: &Card) -> (Self, Vec<u32>) {
        let entries = || card.tables().of::<TunnelSource>().iter();
        let is_one = |word: &TunnelSource| word.valid && word.set != SOURCES_NOBODY;
        let (places, mut strays) = Buckets::new(
            card.shape().tunnel_source_rows_log2,
            entries()
                .filter(|(_, word)| is_one(word))
                .map(|(index, word)| (index, hashed(word.set, word.ip))),
        );
        strays.extend(entries().filter(|(_, word)| !is_one(word)).map(|(index, _)| index));
        let mut found: BTreeMap<u16, Set> = BTreeMap::new();
        for (_, word) in entries().filter(|(_, word)| is_one(word)) {
            found.entry(word.set).or_default().insert(word.ip);
        }
        let known = found.remove(&SOURCES_KNOWN).unwrap_or_default();
        let first = u32::from(SOURCES_KNOWN) + 1;
        // A route may name a number of which there are no keys: it is not given out.
        let is_taken = |number: &u32| {
            let number = *number as u16;
            found.contains_key(&number) || card.set_named(number) > 0
        };
        let numbers = NumberSpace::new(first, NUMBERS, (first..NUMBERS).filter(is_taken));
        let mut all =
            Self { places, numbers, by_set: BTreeMap::new(), sets: BTreeMap::new(), known };
        for (number, set) in found {
            let set = Arc::new(set);
            all.by_set.entry(set.clone()).or_insert(number);
            all.sets.insert(number, set);
        }
        (all, strays)
    }

    /// Who is in a set.
    pub(crate) fn of(&self, number: u16) -> Option<&Set> {
        self.sets.get(&number).map(Arc::as_ref)
    }

    /// Sets that nobody names.
    pub(crate) fn nameless(&self, card: &Card) -> Vec<u16> {
        self.sets.keys().copied().filter(|number| card.set_named(*number) == 0).collect()
    }

    /// The number of a set, whose keys are written if it is new; none if there is no room for all of them.
    pub(crate) fn number(&mut self, card: &mut Card, set: &Set) -> Option<u16> {
        if set.is_empty() {
            return Some(SOURCES_NOBODY);
        }
        if let Some(&number) = self.by_set.get(set) {
            return Some(number);
        }
        // Below `NUMBERS`.
        let number = self.numbers.take()? as u16;
        for (done, &ip) in set.iter().enumerate() {
            if self.write(card, number, ip).is_none() {
                // What was written goes with the round.
                let set: Set = set.iter().copied().take(done).collect();
                self.sets.insert(number, Arc::new(set));
                self.clear(card, number);
                return None;
            }
        }
        let set = Arc::new(set.clone());
        self.by_set.insert(set.clone(), number);
        self.sets.insert(number, set);
        Some(number)
    }

    /// Whether a set has its keys, or can have them: else nothing should be written for it.
    pub(crate) fn has_room(&self, set: &Set) -> bool {
        if set.is_empty() || self.by_set.contains_key(set) {
            return true;
        }
        let Some(number) = self.numbers.peek() else { return false };
        // One may be moved for another, so only trying tells.
        if let [one] = set.iter().collect::<Vec<_>>()[..] {
            return self.places.has(hashed(number as u16, *one));
        }
        self.places.has_all(set.iter().map(|ip| hashed(number as u16, *ip)))
    }

    fn write(&mut self, card: &mut Card, set: u16, ip: u32) -> Option<()> {
        let place = self.places.place(hashed(set, ip))?;
        for (from, to) in place.moves {
            let moved: TunnelSource = card.at(from);
            card.write(Step::Make, to, moved);
        }
        card.write(Step::Make, place.index, word(set, ip));
        Some(())
    }

    /// Clears a set that nobody names.
    pub(crate) fn clear(&mut self, card: &mut Card, number: u16) {
        let Some(set) = self.sets.remove(&number) else { return };
        if self.by_set.get(&set) == Some(&number) {
            self.by_set.remove(&set);
        }
        for &ip in set.iter() {
            self.clear_key(card, Step::Unmake, number, ip);
        }
        self.numbers.release(number.into());
    }

    fn clear_key(&mut self, card: &mut Card, step: Step, set: u16, ip: u32) {
        if let Some(index) = self.places.get(hashed(set, ip)) {
            card.clear::<TunnelSource>(step, index);
            self.places.leave(index);
        }
    }

    /// Who is in set 1.
    pub(crate) fn known(&self) -> &Set {
        &self.known
    }

    /// Adds one to set 1; none if there is no room.
    pub(crate) fn know(&mut self, card: &mut Card, ip: u32) -> Option<()> {
        if !self.known.contains(&ip) {
            self.write(card, SOURCES_KNOWN, ip)?;
            self.known.insert(ip);
        }
        Some(())
    }

    /// Takes one out of set 1.
    pub(crate) fn forget(&mut self, card: &mut Card, ip: u32) {
        if self.known.remove(&ip) {
            self.clear_key(card, Step::Unpoint, SOURCES_KNOWN, ip);
        }
    }

    /// The round is over.
    pub(crate) fn end_round(&mut self) {
        self.places.end_round();
        self.numbers.end_round();
    }
}
