//! Removal of what is not wanted: compares everything that the card holds, so that leftovers of a plan that broke off go too.

use super::{
    BTreeMap, Desired, EcmpSlot, FipKey, HashSet, HostRoute, Ilm, NextHop, Planner, Prefix,
    TableId, Vif, clear, hash, is_composite, ring_index,
};

impl Planner<'_> {
    /// Clears what no look-up sees, before anything else needs the place.
    pub(super) fn sweep_strays(&mut self) {
        for index in self.routes.take_strays() {
            self.make.push(clear::<HostRoute>(TableId::HostRoute, index));
        }
        for index in self.fip.take_strays() {
            self.make.push(clear::<FipKey>(TableId::FipKey, index));
        }
        let composites = self.achieved.next_hops.values().filter(|word| is_composite(word));
        let in_rings: HashSet<u32> = composites
            .flat_map(|word| {
                let words = u32::from(word.slots) + u32::from(word.live);
                (0..words).map(|n| ring_index(word.base, n))
            })
            .collect();
        for index in self.achieved.ecmp.keys().filter(|index| !in_rings.contains(index)) {
            self.make.push(clear::<EcmpSlot>(TableId::Ecmp, *index));
        }
    }

    /// Removes what is not wanted.
    pub(super) fn sweep(&mut self, desired: &Desired) {
        self.sweep_routes(desired);
        for &label in self.achieved.ilm.keys() {
            if !desired.labels.contains_key(&label.into()) {
                self.unpoint.push(clear::<Ilm>(TableId::Ilm, label));
            }
        }
        self.sweep_prefixes(desired);
        self.sweep_mappings(desired);
        for &vif in self.achieved.vifs.keys() {
            // Numbers of the table fit 8 bits.
            if !desired.vifs.contains_key(&(vif as u8).into()) {
                self.unmake.push(clear::<Vif>(TableId::Vif, vif));
            }
        }
        for (&id, word) in &self.achieved.next_hops {
            if self.kept.contains(&(id as u16)) {
                continue;
            }
            self.unmake.push(clear::<NextHop>(TableId::NextHop, id));
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
            self.unpoint.push(clear::<HostRoute>(TableId::HostRoute, index));
        }
    }

    fn sweep_prefixes(&mut self, desired: &Desired) {
        let wanted: HashSet<(u16, u32, u8)> = desired
            .prefixes
            .keys()
            .map(|(vrf, prefix)| (vrf.0, prefix.network().address.into(), prefix.len))
            .collect();
        let mut seen: BTreeMap<(u16, u32, u8), u32> = BTreeMap::new();
        for (&index, word) in &self.achieved.prefixes {
            let key = (word.vrf, word.ip, word.len);
            let first = *seen.entry(key).or_insert(index) == index;
            if !wanted.contains(&key) || !first {
                self.unpoint.push(clear::<Prefix>(TableId::Prefix, index));
            }
        }
    }
}
