//! Floating-IP port mappings, the keys that lead to them, and the marks of their backends.
//!
//! A mapping belongs to one key and never changes: a new target means a new index, and the key is pointed to it. One that is
//! no longer pointed to becomes a tombstone under the next generation (`words::tombstone`), so that no flow that was translated
//! by it is usable any more; indices never used before are given out first.
//!
//! A backend is marked (`penstock_compile::marks`) before its first mapping is pointed to, and until its last one is a
//! tombstone, so that at no time an answer leaves untranslated. A mark's word names mapping 0, which is never given out: a
//! mark that is taken for a mapping's key, as its vif has another pod by now, translates nothing.

use penstock_compile::marks;

use super::departed::Key;
use super::{
    Desired, FipKey, FipMap, HashSet, Op, PlanError, Planner, TableEntry, hash, limits, words,
};
use crate::group::next_generation;

/// The lowest index that is given to a mapping.
const FIRST_MAP: u32 = 1;

impl Planner<'_> {
    pub(super) fn mappings(&mut self, desired: &Desired) -> Result<(), PlanError> {
        self.staying = self.staying_mappings(desired);
        let marks = marks(desired.fip.iter().chain(&self.staying));
        for mark in &marks {
            let word = words::fip_key(mark, 0);
            if self.fip.get(hash_of(mark)).map(|(_, word)| word) != Some(word) {
                self.set_key(desired, mark, word)?;
            }
        }
        self.marks = marks;
        let achieved = self.achieved;
        let fresh = (FIRST_MAP..limits::FIP_MAPS).filter(|&i| !achieved.of::<FipMap>().contains(i));
        let given_out = achieved.of::<FipMap>().range(FIRST_MAP..);
        let reused = given_out.filter(|(_, map)| words::is_tombstone(map));
        let mut free = fresh.chain(reused.map(|(index, _)| index));
        for (name, target) in &desired.fip {
            let old = self.fip.get(hash_of(name)).and_then(|(_, word)| self.mapping(&word));
            if old.is_some_and(|(_, map)| map == words::fip_map(name, target, map.generation)) {
                continue;
            }
            let Some(index) = free.next() else {
                let capacity = (limits::FIP_MAPS - FIRST_MAP) as usize;
                let needed = desired.fip.len();
                return Err(PlanError::TableFull { table: "FipMap", needed, capacity });
            };
            // A tombstone's generation is one that no flow has.
            let generation = achieved.get::<FipMap>(index).map_or(1, |map| map.generation);
            let map = words::fip_map(name, target, generation);
            map.check()?;
            self.make.push(Op::write(index, map));
            // An index fits the field: there are no more mappings than it counts.
            self.set_key(desired, name, words::fip_key(name, index as u16))?;
            if let Some((index, map)) = old {
                self.bury(index, &map);
            }
        }
        Ok(())
    }

    /// Writes a key among the words that point.
    fn set_key(&mut self, desired: &Desired, name: &Key, word: FipKey) -> Result<(), PlanError> {
        word.check()?;
        let Some(writes) = self.fip.set(hash_of(name), word) else {
            let capacity = limits::FIP_KEYS as usize;
            let needed = desired.fip.len() + marks(&desired.fip).len();
            let used = self.fip.used();
            let table = "FipKey";
            return Err(if needed > capacity {
                PlanError::TableFull { table, needed, capacity }
            } else {
                let key = format!("{}:{} at vif {}", name.address, name.port, name.vif);
                PlanError::NoPlace { table, key, used, capacity }
            });
        };
        let write = |(index, word)| Op::write(index, word);
        self.point.extend(writes.into_iter().map(write));
        Ok(())
    }

    /// Makes a mapping unusable once nothing points to it.
    fn bury(&mut self, index: u32, map: &FipMap) {
        if !words::is_tombstone(map) {
            let tombstone = words::tombstone(next_generation(map.generation));
            self.unmake.push(Op::write(index, tombstone));
        }
    }

    /// Removes keys that are not wanted, and buries mappings that no wanted key ever led to.
    pub(super) fn sweep_mappings(&mut self, desired: &Desired) {
        let achieved = self.achieved;
        let wanted: HashSet<u128> =
            desired.fip.keys().chain(self.staying.keys()).map(hash_of).collect();
        let marks: HashSet<u128> = self.marks.iter().map(hash_of).collect();
        let mut unwanted: Vec<(u128, u32)> = self
            .fip
            .iter()
            .filter(|(key, _)| !wanted.contains(key) && !marks.contains(key))
            .collect();
        unwanted.sort_unstable_by_key(|(_, index)| *index);
        let mut unmarked = Vec::new();
        for (key, index) in unwanted {
            let word = self.fip.get(key).map(|(_, word)| word);
            let mapping = word.and_then(|word| self.mapping(&word));
            let phase = if mapping.is_some() { &mut self.unpoint } else { &mut unmarked };
            phase.push(Op::clear::<FipKey>(index));
            self.fip.remove(key);
        }
        // Those that a wanted key led to before were kept, or buried when the key was pointed elsewhere.
        let words = achieved.of::<FipKey>().values().filter(|word| word.valid);
        let led_to: HashSet<u32> = words
            .filter(|k| wanted.contains(&hash::fip_key(k.vif, k.proto, k.ip, k.port)))
            .filter_map(|word| self.mapping(word))
            .map(|(index, _)| index)
            .collect();
        for (index, map) in achieved.of::<FipMap>().iter() {
            if !led_to.contains(&index) {
                self.bury(index, map);
            }
        }
        self.unmake.append(&mut unmarked);
    }
}

fn hash_of(key: &Key) -> u128 {
    hash::fip_key(key.vif.0, key.protocol.number(), key.address.into(), key.port)
}
