//! Host routes and the ECMP groups behind them.

use std::borrow::Cow;

use super::{
    BTreeSet, Composite, Desired, EcmpSlot, Group, Hop, HostRoute, Identity, Ipv4Addr, NextHop,
    NextHopKey, NextHopKind, OldSlot, Op, Otherwise, PlanError, Planner, RouteTarget, TableEntry,
    Vif, VrfId, group, hash, is_composite, label_fields, limits, words,
};
use crate::group::Ring;

impl Planner<'_> {
    pub(super) fn routes(&mut self, desired: &Desired) -> Result<(), PlanError> {
        // A composite belongs to the first route that points to it.
        let mut claimed: BTreeSet<u16> = BTreeSet::new();
        for (&(vrf, address), target) in &desired.routes {
            let key = hash::host_route_key(vrf.0, address.into());
            let old = self.routes.get(key).map(|(_, route)| route);
            let composite = old.and_then(|route| self.composite(route.nh));
            let composite = composite.filter(|composite| claimed.insert(composite.id));
            let old_slots = composite.map(|c| self.slots(desired, vrf, &c)).unwrap_or_default();
            let name = || format!("route to {address} of VRF {vrf}");
            let ip = address.into();
            let route = match self.group_of(desired, address, target, &old_slots)? {
                None => {
                    let RouteTarget::Hop(hop) = target else { continue };
                    let nh = self.id(hop.next_hop, name)?;
                    let (label, label_valid) = label_fields(hop.label);
                    let own = matches!(hop.next_hop, NextHopKey::Encap(_));
                    HostRoute { valid: true, vrf: vrf.0, ip, nh, label, label_valid, own }
                }
                Some((group, otherwise)) => {
                    let ring = group::ring(&old_slots, &group, otherwise, |key| {
                        self.ids.get(&key).copied().unwrap_or(0)
                    });
                    // Before the first packet can come from elsewhere.
                    if let Some(route) = old.filter(|old| old.own && !ring.local) {
                        self.set_route(desired, HostRoute { own: false, ..route })?;
                    }
                    let nh = self.group(desired, &group, &ring, composite)?;
                    let own = ring.local;
                    HostRoute { valid: true, vrf: vrf.0, ip, nh, own, ..HostRoute::default() }
                }
            };
            self.kept.insert(route.nh);
            if self.routes.get(key).map(|(_, route)| route) != Some(route) {
                self.set_route(desired, route)?;
            }
        }
        Ok(())
    }

    /// The group behind a route, and what becomes of new flows without anybody in it; none if the route leads to one next
    /// hop. A floating IP without backends has a group for as long as one is there that departed.
    fn group_of<'d>(
        &self,
        desired: &'d Desired,
        address: Ipv4Addr,
        target: &'d RouteTarget,
        old_slots: &[OldSlot],
    ) -> Result<Option<(Cow<'d, Group>, Otherwise)>, PlanError> {
        let hop = match target {
            RouteTarget::Group(group) => {
                for member in &group.members {
                    self.id(member.hop.next_hop, || format!("member {} of a group", member.pod))?;
                }
                return Ok(Some((Cow::Borrowed(group), Otherwise::Discard)));
            }
            RouteTarget::Hop(hop) => hop,
        };
        let floating = desired.services.contains_key(&address);
        if !floating || !old_slots.iter().any(|slot| slot.stays) {
            return Ok(None);
        }
        let otherwise = match hop.next_hop {
            NextHopKey::Reject => {
                Otherwise::Reject(self.id(hop.next_hop, || "a refusal".to_owned())?)
            }
            _ => Otherwise::Discard,
        };
        let group = Group { members: Vec::new(), hash_fields: hash::FIELD_ALL };
        Ok(Some((Cow::Owned(group), otherwise)))
    }

    fn set_route(&mut self, desired: &Desired, route: HostRoute) -> Result<(), PlanError> {
        route.check()?;
        let key = hash::host_route_key(route.vrf, route.ip);
        let Some(writes) = self.routes.set(key, route) else {
            return Err(self.no_route(desired, route.vrf.into(), route.ip.into()));
        };
        let write = |(index, route)| Op::write(index, route);
        self.point.extend(writes.into_iter().map(write));
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
        let word = self.achieved.get::<NextHop>(id.into()).filter(|word| is_composite(word))?;
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
        group: &Group,
        ring: &Ring,
        old: Option<Composite>,
    ) -> Result<u16, PlanError> {
        let (slots, live) = (ring.slots, ring.live());
        if let Some(composite) = old
            && (composite.slots, composite.live) == (slots as u32, live as u32)
            && (0..).zip(&ring.words).all(|(n, word)| self.ring_word(&composite, n) == *word)
        {
            if composite.hash_fields != group.hash_fields {
                self.point_composite(composite.id, composite.base, slots, live, group.hash_fields);
            }
            return Ok(composite.id);
        }
        let base = self.new_ring(desired, ring.words.len())?;
        for (n, word) in (0..).zip(&ring.words) {
            word.check()?;
            self.make.push(Op::write(self.ring_index(base, n), *word));
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
                self.make.push(Op::write(id.into(), word));
                Ok(id)
            }
        }
    }

    fn point_composite(&mut self, id: u16, base: u32, slots: usize, live: usize, fields: u8) {
        let word = composite_word(base, slots, live, fields);
        self.point.push(Op::write(id.into(), word));
    }

    /// Room for a ring. If there is none, the round so far is ended, which frees the rings that it replaced.
    fn new_ring(&mut self, desired: &Desired, len: usize) -> Result<u32, PlanError> {
        // A ring has at most 128 words.
        let words = len as u32;
        if let Some(base) = self.ring.allocate(words) {
            return Ok(base);
        }
        self.end_round();
        self.ring.allocate(words).ok_or_else(|| {
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
            let index = self.ring_index(composite.base, n);
            if self.achieved.of::<EcmpSlot>().contains(index) {
                self.unmake.push(Op::clear::<EcmpSlot>(index));
            }
        }
        self.freed.push((composite.base, composite.words()));
    }

    fn ring_word(&self, composite: &Composite, n: u32) -> EcmpSlot {
        let index = self.ring_index(composite.base, n);
        self.achieved.get::<EcmpSlot>(index).copied().unwrap_or_default()
    }

    /// The slots of a group as the card has them, who is in them, and whether they stay.
    fn slots(&self, desired: &Desired, vrf: VrfId, composite: &Composite) -> Vec<OldSlot> {
        (0..composite.slots)
            .map(|n| {
                let index = self.ring_index(composite.base, n);
                let Some(word) = self.achieved.get::<EcmpSlot>(index) else {
                    return OldSlot { identity: None, generation: None, stays: false };
                };
                let identity = if word.valid { self.identity(vrf, word) } else { None };
                let stays = identity.is_some_and(|who| self.stays(desired, vrf, who));
                OldSlot { identity, generation: Some(word.generation), stays }
            })
            .collect()
    }

    /// Who a ring word stands for: the pod that its next hop and label reach.
    fn identity(&self, vrf: VrfId, word: &EcmpSlot) -> Option<Identity> {
        let next_hop = words::next_hop_key(self.achieved.get::<NextHop>(word.nh.into())?)?;
        let label = (word.label != 0).then_some(word.label.into());
        let hop = Hop { next_hop, label };
        match next_hop {
            NextHopKey::Encap(vif) => {
                let vif = self.achieved.get::<Vif>(vif.0.into())?;
                Some((vif.ip.into(), hop))
            }
            _ => {
                let pod = self.pods.get(&(vrf.0, word.nh, word.label)).copied().flatten()?;
                Some((pod, hop))
            }
        }
    }
}

fn composite_word(base: u32, slots: usize, live: usize, hash_fields: u8) -> NextHop {
    NextHop {
        valid: true,
        kind: NextHopKind::Composite,
        base,
        // At most 64 each.
        slots: slots as u16,
        live: live as u16,
        hash_fields,
        ..NextHop::default()
    }
}
