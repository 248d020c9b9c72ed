//! Floating-IP port mappings and the keys that lead to them.
//!
//! A mapping belongs to one key and never changes: a new target means a new index, and the key is pointed to it. One that is
//! no longer pointed to becomes a tombstone under the next generation (`words::tombstone`), so that no flow that was translated
//! by it is usable any more; indices never used before are given out first.

use super::{
    Desired, FipMap, HashSet, Op, PlanError, Planner, TableEntry, TableId, hash, limits, words,
};
use crate::group::next_generation;

impl Planner<'_> {
    pub(super) fn mappings(&mut self, desired: &Desired) -> Result<(), PlanError> {
        let achieved = self.achieved;
        let fresh = (0..limits::FIP_MAPS).filter(|i| !achieved.fip_maps.contains_key(i));
        let reused = achieved.fip_maps.iter().filter(|(_, map)| words::is_tombstone(map));
        let mut free = fresh.chain(reused.map(|(&index, _)| index));
        for (name, target) in &desired.fip {
            let (ip, protocol) = (name.address.into(), name.protocol.number());
            let key = hash::fip_key(name.vif.0, protocol, ip, name.port);
            let old = self.fip.get(key).map(|(_, word)| u32::from(word.map));
            let old = old.and_then(|index| Some((index, *achieved.fip_maps.get(&index)?)));
            if old.is_some_and(|(_, map)| map == words::fip_map(name, target, map.generation)) {
                continue;
            }
            let Some(index) = free.next() else {
                let capacity = limits::FIP_MAPS as usize;
                let needed = desired.fip.len();
                return Err(PlanError::TableFull { table: "FipMap", needed, capacity });
            };
            // A tombstone's generation is one that no flow has.
            let generation = achieved.fip_maps.get(&index).map_or(1, |map| map.generation);
            let map = words::fip_map(name, target, generation);
            map.check()?;
            self.make.push(Op::write(TableId::FipMap, index, &map));
            // An index fits the field: there are no more mappings than it counts.
            let word = words::fip_key(name, index as u16);
            word.check()?;
            let Some(writes) = self.fip.set(key, word) else {
                let capacity = limits::FIP_KEYS as usize;
                let needed = desired.fip.len();
                let used = self.fip.used();
                let table = "FipKey";
                return Err(if needed > capacity {
                    PlanError::TableFull { table, needed, capacity }
                } else {
                    let key = format!("{}:{} at vif {}", name.address, name.port, name.vif);
                    PlanError::NoPlace { table, key, used, capacity }
                });
            };
            let write = |(index, word)| Op::write(TableId::FipKey, index, &word);
            self.point.extend(writes.into_iter().map(write));
            if let Some((index, map)) = old {
                self.bury(index, &map);
            }
        }
        Ok(())
    }

    /// Makes a mapping unusable once nothing points to it.
    fn bury(&mut self, index: u32, map: &FipMap) {
        if !words::is_tombstone(map) {
            let tombstone = words::tombstone(next_generation(map.generation));
            self.unmake.push(Op::write(TableId::FipMap, index, &tombstone));
        }
    }

    /// Removes keys that are not wanted, and buries mappings that no wanted key ever led to.
    pub(super) fn sweep_mappings(&mut self, desired: &Desired) {
        let achieved = self.achieved;
        let wanted: HashSet<u128> = desired
            .fip
            .keys()
            .map(|k| hash::fip_key(k.vif.0, k.protocol.number(), k.address.into(), k.port))
            .collect();
        let mut unwanted: Vec<(u128, u32)> =
            self.fip.iter().filter(|(key, _)| !wanted.contains(key)).collect();
        unwanted.sort_unstable_by_key(|(_, index)| *index);
        for (key, index) in unwanted {
            self.fip.remove(key);
            self.unpoint.push(super::clear::<super::FipKey>(TableId::FipKey, index));
        }
        // Those that a wanted key led to before were kept, or buried when the key was pointed elsewhere.
        let led_to: HashSet<u32> = achieved
            .fip_keys
            .values()
            .filter(|k| k.valid && wanted.contains(&hash::fip_key(k.vif, k.proto, k.ip, k.port)))
            .map(|k| k.map.into())
            .collect();
        for (index, map) in &achieved.fip_maps {
            if !led_to.contains(index) {
                self.bury(*index, map);
            }
        }
    }
}
