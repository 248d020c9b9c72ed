//! Floating-IP port mappings that are wanted, and the marks that they need.

use penstock_abi::table::{self, TableId};
use penstock_compile::{FipKey, FipTarget, marks};
use penstock_model::Reason;

use super::Pass;
use crate::card::Step;
use crate::dirty::Dirty;
use crate::mappings::target;
use crate::planner::Planner;
use crate::refusal::What;
use crate::words;

impl Pass<'_> {
    /// Removes mappings that are not wanted, unless they stay.
    pub(super) fn unwanted_mappings(&mut self, dirty: &Dirty) {
        for name in &dirty.fip {
            let Some((_, map)) = self.planner.mappings.get(&self.planner.card, name) else {
                continue;
            };
            let target = target(&map);
            let entry = (name.address, *name);
            let (kept, stays) = if let Some(pods) = self.desired.refused.get(&name.address) {
                (pods.contains(&target.address) && self.mapping_is_true(name, &target), false)
            } else if self.desired.fip.contains_key(name) {
                (true, false)
            } else {
                let stays = self.mapping_stays(name, &target);
                (stays, stays)
            };
            let Planner { card, mappings, .. } = &mut *self.planner;
            if stays {
                mappings.staying.insert(entry);
            } else {
                mappings.staying.remove(&entry);
            }
            if !kept {
                mappings.remove(card, name);
            }
        }
    }

    pub(super) fn mappings(&mut self, dirty: &Dirty) {
        for mark in self.planner.mappings.missing() {
            if let Err(reason) = self.mark(&mark) {
                self.refuse(What::Mapping(mark), reason);
            }
        }
        for name in &dirty.fip {
            let Some(wanted) = self.desired.fip.get(name) else { continue };
            if self.is_refused(name.address) {
                self.retry.add(What::Mapping(*name));
                continue;
            }
            let old = self.planner.mappings.get(&self.planner.card, name).map(|(_, map)| map);
            if old.is_some_and(|map| target(&map) == *wanted) {
                continue;
            }
            if let Err(reason) = self.map(name, wanted) {
                let is_true = old.is_some_and(|map| self.mapping_is_true(name, &target(&map)));
                if !is_true {
                    let Planner { card, mappings, .. } = &mut *self.planner;
                    mappings.remove(card, name);
                }
                self.refuse(What::Mapping(*name), reason);
            }
        }
    }

    /// Makes a mapping, and points its key to it.
    fn map(&mut self, name: &FipKey, target: &FipTarget) -> Result<(), Reason> {
        if self.planner.mappings.is_mark(name) {
            return Err(words::text(
                "its address is that of a backend, which answers there itself",
            ));
        }
        self.planner.mappings.take_marks(name, target);
        self.point_to_new(name, target).inspect_err(|_| {
            self.planner.mappings.release_marks(name, target);
        })
    }

    fn point_to_new(&mut self, name: &FipKey, target: &FipTarget) -> Result<(), Reason> {
        let key = words::fip_key(name, 0)?;
        for mark in marks([(name, target)]) {
            self.mark(&mark)?;
        }
        let (index, generation) = self
            .with_room(TableId::FipMap, |planner| planner.mappings.take_map(&planner.card))
            .ok_or_else(|| self.no_room(TableId::FipMap, String::new))?;
        let map = words::fip_map(name, target, generation);
        let placed = map.and_then(|map| Ok((map, self.key_place(name)?)));
        match placed {
            Ok((map, place)) => {
                let Planner { card, mappings, .. } = &mut *self.planner;
                // There are no more mappings than the field counts.
                let key = table::FipKey { map: index as u16, ..key };
                mappings.set(card, name, place, key, map);
                Ok(())
            }
            Err(reason) => {
                let Planner { card, mappings, .. } = &mut *self.planner;
                mappings.put_back_map(card, index);
                Err(reason)
            }
        }
    }

    /// Writes a mark, if it is not there.
    fn mark(&mut self, mark: &FipKey) -> Result<(), Reason> {
        if !self.planner.mappings.is_marked(&self.planner.card, mark) {
            let word = words::fip_key(mark, 0)?;
            let place = self.key_place(mark)?;
            self.planner.card.write(Step::Point, place, word);
        }
        self.planner.mappings.marked(mark);
        Ok(())
    }

    /// Where a key stands, or is to be written.
    fn key_place(&mut self, name: &FipKey) -> Result<u32, Reason> {
        let make = |planner: &mut Planner| planner.mappings.make_place(&mut planner.card, name);
        self.with_room(TableId::FipKey, make).ok_or_else(|| {
            let FipKey { vif, address, port, .. } = name;
            self.no_room(TableId::FipKey, || format!("{address}:{port} at vif {vif}"))
        })
    }
}
