//! What has one word: next hops, vifs, shares of the flow table, labels; and the removal of everything that is not wanted.

use std::collections::BTreeSet;

use penstock_abi::table::{Ilm, NextHop, TableId, Vif, Vrf};
use penstock_compile::{NextHopKey, PlainKey};
use penstock_model::{MplsLabel, Reason, VifId};

use super::Pass;
use crate::card::Step;
use crate::dirty::Dirty;
use crate::planner::Planner;
use crate::refusal::What;
use crate::words;

impl Pass<'_> {
    /// Gives up next hops and vifs that are not wanted any more, and rewrites those that are and have an id.
    pub(super) fn known_next_hops(&mut self, dirty: &Dirty) {
        for &key in &dirty.next_hops {
            let wanted = self.desired.next_hops.get(&key).map(|spec| words::next_hop(key, spec));
            let Planner { card, next_hops, .. } = &mut *self.planner;
            let id = next_hops.id(key);
            match (wanted, id) {
                (Some(Ok(word)), Some(id)) => {
                    next_hops.want(id);
                    card.write(Step::Make, id.into(), word);
                }
                (Some(Ok(_)), None) => {}
                (Some(Err(reason)), _) => self.refuse(What::NextHop(key), reason),
                (None, _) => {}
            }
            let served =
                self.desired.next_hops.get(&key).is_some_and(|s| words::next_hop(key, s).is_ok());
            if let Some(id) = id.filter(|_| !served) {
                self.planner.next_hops.give_up(id);
            }
        }
        for &vif in &dirty.vifs {
            let entry = self.desired.vifs.get(&vif);
            let Planner { card, next_hops, .. } = &mut *self.planner;
            match entry.map(|entry| words::vif(entry, 0, 0)) {
                Some(Ok(_)) => next_hops.want_vif(vif),
                Some(Err(reason)) => {
                    next_hops.give_up_vif(card, vif);
                    self.refuse(What::Vif(vif), reason);
                }
                None => next_hops.give_up_vif(card, vif),
            }
        }
    }

    /// Gives ids to next hops that have none.
    pub(super) fn new_next_hops(&mut self, dirty: &Dirty) {
        for &key in &dirty.next_hops {
            let wanted = self.desired.next_hops.get(&key);
            let Some(word) = wanted.and_then(|spec| words::next_hop(key, spec).ok()) else {
                continue;
            };
            if self.planner.next_hops.id(key).is_some() {
                continue;
            }
            match self.new_id(|| format!("{key:?}")) {
                Ok(id) => {
                    let Planner { card, next_hops, .. } = &mut *self.planner;
                    card.write(Step::Make, id.into(), word);
                    next_hops.learn(key, id);
                }
                Err(reason) => self.refuse(What::NextHop(key), reason),
            }
        }
    }

    /// An id that nothing uses.
    pub(super) fn new_id(&mut self, who: impl FnOnce() -> String) -> Result<u16, Reason> {
        self.with_room(TableId::NextHop, |planner| planner.next_hops.take())
            .ok_or_else(|| self.no_room(TableId::NextHop, who))
    }

    /// Takes vifs out of service that are about to be in another VRF, or to have another next hop in the keys of their flows, and
    /// has their flows deleted: these say in which VRFs they were made. A plan that broke off may have left one out of service.
    fn retire_changed_vifs(&mut self, dirty: &Dirty) {
        let mut retired = BTreeSet::new();
        for (&vif, entry) in
            dirty.vifs.iter().filter_map(|vif| self.desired.vifs.get_key_value(vif))
        {
            let Planner { card, next_hops, .. } = &mut *self.planner;
            let Some(id) = next_hops.id(entry.next_hop) else { continue };
            let old: Vif = card.at(vif.0.into());
            let left: NextHop = self.before.tables.of::<NextHop>().at(id.into());
            let changes = match old.valid {
                true => (old.vrf, old.nh) != (entry.vrf.0, id),
                false => left.valid && words::next_hop_key(&left) == Some(entry.next_hop),
            };
            if !changes {
                continue;
            }
            card.clear::<Vif>(Step::Unpoint, vif.0.into());
            let ids: BTreeSet<u16> = [id, old.nh].into_iter().filter(|id| *id != 0).collect();
            ids.iter().for_each(|id| card.forget(*id));
            retired.extend(ids);
        }
        if retired.is_empty() {
            return;
        }
        // Labels say in which VRF packets are, too.
        for &label in &dirty.labels {
            let word: Ilm = self.planner.card.at(label.0);
            if word.valid && retired.contains(&word.nh) {
                self.planner.card.clear::<Ilm>(Step::Unpoint, label.0);
            }
        }
        self.end_round();
    }

    pub(super) fn vifs(&mut self, dirty: &Dirty) {
        self.retire_changed_vifs(dirty);
        for &vif in &dirty.vifs {
            let Some(entry) = self.desired.vifs.get(&vif) else { continue };
            if words::vif(entry, 0, 0).is_err() {
                continue;
            }
            let Planner { card, next_hops, .. } = &mut *self.planner;
            // Its own next hop counts as usable only once the vif stands.
            let wanted = self.desired.next_hops.contains_key(&entry.next_hop);
            let id = match entry.next_hop {
                NextHopKey::Encap(own) | NextHopKey::Receive(own) if own == vif && wanted => {
                    next_hops.id(entry.next_hop)
                }
                key => next_hops.usable(card, key),
            };
            let vifs = card.shape().vifs;
            let word = if u32::from(vif.0) >= vifs {
                let table = TableId::Vif.desc().name.to_owned();
                Err(Reason::TableFull { table, capacity: vifs })
            } else {
                let id = id.ok_or_else(|| words::text("its next hop is not there"));
                id.and_then(|id| words::vif(entry, id, self.egress_map(vif)?))
            };
            if word.is_ok() {
                self.write_maps();
            }
            let Planner { card, next_hops, maps, .. } = &mut *self.planner;
            maps.put_back(card);
            match word {
                Ok(word) => card.write(Step::Make, vif.0.into(), word),
                Err(reason) => {
                    next_hops.give_up_vif(card, vif);
                    self.refuse(What::Vif(vif), reason);
                }
            }
        }
    }

    /// The mapping under which a vif begins connections; without room for it, it has none.
    fn egress_map(&mut self, vif: VifId) -> Result<u16, Reason> {
        let Some(entry) = self.desired.vifs.get(&vif) else { return Ok(0) };
        let Some((egress, pod)) = entry.egress.zip(entry.address) else { return Ok(0) };
        let map = words::map_key((egress.address, 0), (pod, 0))?;
        match self.reserve_map(map) {
            Ok(map) => Ok(map),
            Err(reason) => {
                self.refuse(What::Plain(PlainKey { vif, address: egress.address }), reason);
                self.retry.add(What::Vif(vif));
                Ok(0)
            }
        }
    }

    /// What each may have of the flow table. It counts from the next packet on, and nothing depends on it.
    pub(super) fn shares(&mut self, dirty: &Dirty) {
        for &share in &dirty.shares {
            let card = &mut self.planner.card;
            let limit = self.desired.shares.get(&share);
            let word = limit.map(|limit| words::share(limit, card.shape().clock_khz));
            card.write(Step::Make, share, word.unwrap_or_default());
        }
    }

    /// What holds for whole VRFs, as packets meet it at once: behind the listeners of their services.
    pub(super) fn vrfs(&mut self, dirty: &Dirty) {
        for &vrf in &dirty.vrfs {
            let Some(entry) = self.desired.vrfs.get(&vrf) else { continue };
            let capacity = self.planner.card.shape().vrfs;
            let word = if u32::from(vrf.0) >= capacity {
                let table = TableId::Vrf.desc().name.to_owned();
                Err(Reason::TableFull { table, capacity })
            } else {
                words::vrf(entry)
            };
            match word {
                Ok(word) => self.planner.card.write(Step::Point, vrf.0.into(), word),
                Err(reason) => {
                    self.planner.card.clear::<Vrf>(Step::Unpoint, vrf.0.into());
                    self.refuse(What::Vrf(vrf), reason);
                }
            }
        }
    }

    /// Removes what is not wanted.
    pub(super) fn unwanted(&mut self, dirty: &Dirty) {
        // Before routes: a packet never falls through to what is about to go.
        self.unwanted_prefixes(dirty);
        for &label in &dirty.labels {
            if self.label_word(label).is_none_or(|word| word.is_err()) {
                self.planner.card.clear::<Ilm>(Step::Unpoint, label.0);
            }
        }
        self.unwanted_routes(dirty);
        self.unwanted_mappings(dirty);
    }

    /// The word of a wanted label; what is not there yet may still come.
    fn label_word(&self, label: MplsLabel) -> Option<Result<Ilm, Reason>> {
        let entry = self.desired.labels.get(&label)?;
        Some(words::label(entry, 0))
    }

    pub(super) fn labels(&mut self, dirty: &Dirty) {
        for &label in &dirty.labels {
            let Some(entry) = self.desired.labels.get(&label) else { continue };
            let labels = self.planner.card.shape().labels;
            let word = if label.0 >= labels {
                let table = TableId::Ilm.desc().name.to_owned();
                Err(Reason::TableFull { table, capacity: labels })
            } else {
                let id = match entry.service {
                    None => self.usable(entry.next_hop),
                    // The next hop of the floating IP's route, which no label of another VRF has.
                    Some(address) => {
                        let Planner { card, routes, .. } = &*self.planner;
                        let route = routes.get(card, (entry.vrf, address));
                        let id = route.map(|(_, route)| route.nh);
                        id.ok_or_else(|| words::text(format!("{address} has no route")))
                    }
                };
                id.and_then(|id| words::label(entry, id))
            };
            match word {
                Ok(word) => self.planner.card.write(Step::Point, label.0, word),
                Err(reason) => {
                    self.planner.card.clear::<Ilm>(Step::Unpoint, label.0);
                    self.refuse(What::Label(label), reason);
                }
            }
        }
    }
}
