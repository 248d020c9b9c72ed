//! Host routes and the ECMP groups behind them.

use super::{
    BTreeSet, Composite, Desired, EcmpSlot, Group, Hop, HostRoute, Identity, Ipv4Addr, NextHop,
    NextHopKey, NextHopKind, OldSlot, Op, PlanError, Planner, RouteTarget, TableEntry, TableId,
    VrfId, clear, group, hash, is_composite, label_fields, limits, ring_index, words,
};

impl Planner<'_> {
    pub(super) fn routes(&mut self, desired: &Desired) -> Result<(), PlanError> {
        // A composite belongs to the first route that points to it.
        let mut claimed: BTreeSet<u16> = BTreeSet::new();
        for (&(vrf, address), target) in &desired.routes {
            let key = hash::host_route_key(vrf.0, address.into());
            let old = self.routes.get(key).map(|(_, route)| route);
            let composite = old.and_then(|route| self.composite(route.nh));
            let composite = composite.filter(|composite| claimed.insert(composite.id));
            let name = || format!("route to {address} of VRF {vrf}");
            let (nh, label) = match target {
                RouteTarget::Hop(hop) => (self.id(hop.next_hop, name)?, hop.label),
                RouteTarget::Group(group) => (self.group(desired, vrf, group, composite)?, None),
            };
            self.kept.insert(nh);
            let (label, label_valid) = label_fields(label);
            let ip = address.into();
            let route = HostRoute { valid: true, vrf: vrf.0, ip, nh, label, label_valid, own: false };
            if old != Some(route) {
                route.check()?;
                let Some(writes) = self.routes.set(key, route) else {
                    return Err(self.no_route(desired, vrf, address));
                };
                let write = |(index, route)| Op::write(TableId::HostRoute, index, &route);
                self.point.extend(writes.into_iter().map(write));
            }
        }
        Ok(())
    }

    fn no_route(&self, desired: &Desired, vrf: VrfId, address: Ipv4Addr) -> PlanError {
        let capacity = limits::HOST_ROUTES as usize;
        let (table, needed) = ("HostRoute", desired.routes.len());
        if needed > capacity {
            return PlanError::TableFull { table, needed, capacity };
        }
        let key = format!("{address} of VRF {vrf}");
        PlanError::NoPlace { table, key, used: self.routes.used(), capacity }
    }

    pub(super) fn composite(&self, id: u16) -> Option<Composite> {
        let word = self.achieved.next_hops.get(&id.into()).filter(|word| is_composite(word))?;
        Some(Composite {
            id,
            base: word.base,
            slots: word.slots.into(),
            live: word.live.into(),
            hash_fields: word.hash_fields,
        })
    }

    /// Brings a route's group up to date, or makes it. Returns its id.
    fn group(
        &mut self,
        desired: &Desired,
        vrf: VrfId,
        group: &Group,
        old: Option<Composite>,
    ) -> Result<u16, PlanError> {
        for member in &group.members {
            self.id(member.hop.next_hop, || format!("member {} of a group", member.pod))?;
        }
        let old_slots = old.map(|composite| self.slots(vrf, &composite)).unwrap_or_default();
        let ring = group::ring(&old_slots, group, |key| self.ids.get(&key).copied().unwrap_or(0));
        let live = ring.iter().filter(|word| word.valid && !word.drain).count() / 2;
        let slots = ring.len() - live;
        if let Some(composite) = old
            && (composite.slots, composite.live) == (slots as u32, live as u32)
            && (0..).zip(&ring).all(|(n, word)| self.ring_word(&composite, n) == *word)
        {
            if composite.hash_fields != group.hash_fields {
                self.point_composite(composite.id, composite.base, slots, live, group.hash_fields);
            }
            return Ok(composite.id);
        }
        let base = self.new_ring(desired, ring.len())?;
        for (n, word) in (0..).zip(&ring) {
            word.check()?;
            self.make.push(Op::write(TableId::Ecmp, ring_index(base, n), word));
        }
        match old {
            Some(composite) => {
                self.point_composite(composite.id, base, slots, live, group.hash_fields);
                self.free_ring(&composite);
                Ok(composite.id)
            }
            None => {
                let id = self.new_id(desired)?;
                let word = composite_word(base, slots, live, group.hash_fields);
                self.make.push(Op::write(TableId::NextHop, id.into(), &word));
                Ok(id)
            }
        }
    }

    fn point_composite(&mut self, id: u16, base: u16, slots: usize, live: usize, fields: u8) {
        let word = composite_word(base, slots, live, fields);
        self.point.push(Op::write(TableId::NextHop, id.into(), &word));
    }

    /// Room for a ring. If there is none, the round so far is ended, which frees the rings that it replaced.
    fn new_ring(&mut self, desired: &Desired, len: usize) -> Result<u16, PlanError> {
        // A ring has at most 128 words.
        let words = len as u32;
        if let Some(base) = self.ring.allocate(words) {
            return Ok(base as u16);
        }
        self.end_round();
        self.ring.allocate(words).map(|base| base as u16).ok_or_else(|| {
            let groups = desired.routes.values().filter_map(|target| match target {
                RouteTarget::Group(group) => Some(group),
                RouteTarget::Hop(_) => None,
            });
            PlanError::TableFull {
                table: "Ecmp",
                needed: groups.map(|group| 2 * group.members.len()).sum(),
                capacity: limits::ECMP_WORDS as usize,
            }
        })
    }

    /// Has a ring cleared and given back, once nothing points to it.
    pub(super) fn free_ring(&mut self, composite: &Composite) {
        for n in 0..composite.words() {
            let index = ring_index(composite.base, n);
            if self.achieved.ecmp.contains_key(&index) {
                self.unmake.push(clear::<EcmpSlot>(TableId::Ecmp, index));
            }
        }
        self.freed.push((composite.base.into(), composite.words()));
    }

    fn ring_word(&self, composite: &Composite, n: u32) -> EcmpSlot {
        let index = ring_index(composite.base, n);
        self.achieved.ecmp.get(&index).copied().unwrap_or_default()
    }

    /// The slots of a group as the card has them, and who is in them.
    fn slots(&self, vrf: VrfId, composite: &Composite) -> Vec<OldSlot> {
        (0..composite.slots)
            .map(|n| {
                let index = ring_index(composite.base, n);
                let Some(word) = self.achieved.ecmp.get(&index) else {
                    return OldSlot { identity: None, generation: None };
                };
                let identity = if word.valid { self.identity(vrf, word) } else { None };
                OldSlot { identity, generation: Some(word.generation) }
            })
            .collect()
    }

    /// Who a ring word stands for: the pod that its next hop and label reach.
    fn identity(&self, vrf: VrfId, word: &EcmpSlot) -> Option<Identity> {
        let next_hop = words::next_hop_key(self.achieved.next_hops.get(&word.nh.into())?)?;
        let label = (word.label != 0).then_some(word.label.into());
        let hop = Hop { next_hop, label };
        match next_hop {
            NextHopKey::Encap(vif) => {
                let vif = self.achieved.vifs.get(&vif.0.into())?;
                Some((vif.ip.into(), hop))
            }
            _ => {
                let pod = self.pods.get(&(vrf.0, word.nh, word.label)).copied().flatten()?;
                Some((pod, hop))
            }
        }
    }
}

fn composite_word(base: u16, slots: usize, live: usize, hash_fields: u8) -> NextHop {
    NextHop {
        valid: true,
        kind: NextHopKind::Composite,
        base,
        // At most 64 each.
        slots: slots as u8,
        live: live as u8,
        hash_fields,
        ..NextHop::default()
    }
}
