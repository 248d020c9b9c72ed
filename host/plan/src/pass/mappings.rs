//! Floating-IP port mappings that are wanted, and the marks that they need.

use std::collections::BTreeSet;
use std::net::IpAddr;

use penstock_abi::table::{self, FipMap, TableId, Vif};
use penstock_compile::{FipKey, FipTarget, PlainKey, marks};
use penstock_model::Reason;

use super::Pass;
use crate::card::Step;
use crate::dirty::Dirty;
use crate::mappings::target;
use crate::maps::MapKey;
use crate::planner::Planner;
use crate::refusal::What;
use crate::words;

impl Pass<'_> {
    /// Removes mappings that are not wanted, unless they stay.
    pub(super) fn unwanted_mappings(&mut self, dirty: &Dirty) {
        for name in &dirty.fip {
            let Some(map) = self.planner.mappings.get(&self.planner.card, name) else {
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
        self.unwanted_plain_fips(dirty);
    }

    /// Takes floating IPs without port map from pods that shall not have them. One that moves to another pod is nobody's before it
    /// is that one's, so that no packet of the one goes by a flow of the other.
    fn unwanted_plain_fips(&mut self, dirty: &Dirty) {
        let mut freed: BTreeSet<IpAddr> = BTreeSet::new();
        let desired = self.desired;
        let Planner { card, plain, .. } = &mut *self.planner;
        let wanted = |map: &FipMap, to: Option<(IpAddr, IpAddr)>| {
            to == Some((words::address(map.vip), words::address(map.pod_ip)))
        };
        for key in &dirty.plain {
            let Some(map) = plain.map(key) else { continue };
            let to = desired.plain.get(key).map(|pod| (key.address, *pod));
            if !wanted(&card.at(map.into()), to) {
                plain.remove(card, key);
                freed.insert(key.address);
            }
        }
        for &vif in &dirty.vifs {
            let word: Vif = card.at(vif.0.into());
            let map: FipMap = card.at(word.egress_map.into());
            let entry = desired.vifs.get(&vif);
            let to = entry.and_then(|entry| Some((entry.egress?.address, entry.address?)));
            if word.valid && word.egress && !wanted(&map, to) {
                let word = Vif { egress: false, egress_vrf: 0, egress_map: 0, ..word };
                card.write(Step::Make, vif.0.into(), word);
                freed.insert(words::address(map.vip));
            }
        }
        let keys = dirty.plain.iter().filter(|key| desired.plain.contains_key(*key));
        let vifs = dirty.vifs.iter().filter_map(|vif| desired.vifs.get(vif)?.egress);
        let mut comes = keys.map(|key| key.address).chain(vifs.map(|egress| egress.address));
        if comes.any(|address| freed.contains(&address)) {
            self.end_round();
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
            let old = self.planner.mappings.get(&self.planner.card, name);
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
        let map = words::map_key((name.address, name.port), (target.address, target.port))?;
        let made = self.map_and_lead(name, map, key);
        let Planner { card, maps, .. } = &mut *self.planner;
        maps.put_back(card);
        made
    }

    fn map_and_lead(
        &mut self,
        name: &FipKey,
        map: MapKey,
        key: table::FipKey,
    ) -> Result<(), Reason> {
        let map = self.reserve_map(map)?;
        let place = self.key_place(name)?;
        self.write_maps();
        let Planner { card, mappings, .. } = &mut *self.planner;
        mappings.set(card, name, place, table::FipKey { map, ..key });
        Ok(())
    }

    /// Floating IPs without port map: the mapping, then the key.
    pub(super) fn plain_fips(&mut self, dirty: &Dirty) {
        for key in &dirty.plain {
            let Some(&pod) = self.desired.plain.get(key) else { continue };
            let made = self.plain_fip(key, pod);
            let Planner { card, maps, plain, .. } = &mut *self.planner;
            maps.put_back(card);
            if let Err(reason) = made {
                plain.remove(card, key);
                self.refuse(What::Plain(*key), reason);
            }
        }
    }

    fn plain_fip(&mut self, key: &PlainKey, pod: IpAddr) -> Result<(), Reason> {
        let map = self.reserve_map(words::map_key((key.address, 0), (pod, 0))?)?;
        let word = words::plain_fip(key, map)?;
        self.with_room(TableId::PlainFip, |planner| planner.plain.has_place(key).then_some(()))
            .and_then(|()| {
                self.write_maps();
                let Planner { card, plain, .. } = &mut *self.planner;
                plain.set(card, *key, word)
            })
            .ok_or_else(|| self.no_room(TableId::PlainFip, || key.address.to_string()))
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
