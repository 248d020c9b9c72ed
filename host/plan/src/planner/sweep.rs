//! Removal of what is not wanted: compares everything that the card holds, so that leftovers of a plan that broke off go too.

use super::{
    BTreeMap, Desired, EcmpSlot, FipKey, HashSet, HostRoute, Ilm, NextHop, Op, Planner, Prefix,
    Vif, hash, is_composite,
};

impl Planner<'_> {
    /// Clears what no look-up sees, before anything else needs the place.
    pub(super) fn sweep_strays(&mut self) {
        for index in self.routes.take_strays() {
            self.make.push(Op::clear::<HostRoute>(index));
        }
        for index in self.fip.take_strays() {
            self.make.push(Op::clear::<FipKey>(index));
        }
        let composites = self.achieved.of::<NextHop>().values().filter(|word| is_composite(word));
        let in_rings: HashSet<u32> = composites
            .flat_map(|word| {
                let words = u32::from(word.slots) + u32::from(word.live);
                (0..words).map(|n| self.ring_index(word.base, n))
            })
            .collect();
        for index in
            self.achieved.of::<EcmpSlot>().indices().filter(|index| !in_rings.contains(index))
        {
            self.make.push(Op::clear::<EcmpSlot>(index));
        }
    }

    /// Removes what is not wanted.
    pub(super) fn sweep(&mut self, desired: &Desired) {
        self.sweep_routes(desired);
        for label in self.achieved.of::<Ilm>().indices() {
            if !desired.labels.contains_key(&label.into()) {
                self.unpoint.push(Op::clear::<Ilm>(label));
            }
        }
        self.sweep_prefixes(desired);
        self.sweep_mappings(desired);
        for vif in self.achieved.of::<Vif>().indices() {
            // Numbers of the table fit 8 bits.
            if !desired.vifs.contains_key(&(vif as u8).into()) {
                self.unmake.push(Op::clear::<Vif>(vif));
            }
        }
        for (id, word) in self.achieved.of::<NextHop>().iter() {
            if self.kept.contains(&(id as u16)) {
                continue;
            }
            self.unmake.push(Op::clear::<NextHop>(id));
            if let Some(composite) = self.composite(id as u16).filter(|_| is_composite(word)) {
                self.free_ring(&composite);
            }
        }
    }

    fn sweep_routes(&mut self, desired: &Desired) {
        let wanted: HashSet<u128> = desired
            .routes
            .keys()
            .map(|(vrf, address)| hash::host_route_key(vrf.0, u32::from(*address)))
            .collect();
        let mut unwanted: Vec<(u128, u32)> =
            self.routes.iter().filter(|(key, _)| !wanted.contains(key)).collect();
        unwanted.sort_unstable_by_key(|(_, index)| *index);
        for (key, index) in unwanted {
            self.routes.remove(key);
            self.unpoint.push(Op::clear::<HostRoute>(index));
        }
    }

    fn sweep_prefixes(&mut self, desired: &Desired) {
        let wanted: HashSet<(u16, u32, u8)> = desired
            .prefixes
            .keys()
            .map(|(vrf, prefix)| (vrf.0, prefix.network().address.into(), prefix.len))
            .collect();
        let mut seen: BTreeMap<(u16, u32, u8), u32> = BTreeMap::new();
        for (index, word) in self.achieved.of::<Prefix>().iter() {
            let key = (word.vrf, word.ip, word.len);
            let first = *seen.entry(key).or_insert(index) == index;
            if !wanted.contains(&key) || !first {
                self.unpoint.push(Op::clear::<Prefix>(index));
            }
        }
    }
}
