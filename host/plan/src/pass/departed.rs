//! What stays of members that are no longer wanted.
//!
//! A backend that turns not ready, or leaves the service while its pod lives, keeps the connections that it has: its slot in
//! the group on the clients' nodes, and its mappings on its own. What it was is read from the card, so it is known after a
//! restart as well, and nothing has to be written down. It ends when the pod is no longer reached in the same way (its route
//! is gone, or its address has another vif, node or label), when the floating IP or its port is not served any more, or when
//! a table has no room for what is wanted: then what is there for departed members only goes, in that table.

use std::collections::BTreeSet;
use std::net::IpAddr;

use penstock_abi::table::{EcmpSlot, FipMap, NextHop, TableId, Vif};
use penstock_compile::{FipKey, FipTarget, Hop, NextHopKey, RouteTarget};
use penstock_model::VrfId;

use super::Pass;
use crate::group::{OldSlot, Pods, Who};
use crate::planner::Planner;
use crate::routes::{Composite, Owner};
use crate::words;

impl Pass<'_> {
    /// The slots of a group as the card had them, or as this plan has written them; who is in them, and whether they stay.
    pub(super) fn old_slots(&self, key: Owner, composite: &Composite) -> Vec<OldSlot> {
        if let Some(written) = self.written.get(&key) {
            return written.clone();
        }
        let tables = &self.before.tables;
        // Where its ring was then.
        let then =
            tables.get::<NextHop>(composite.id.into()).filter(|word| words::is_composite(word));
        let Some(then) = then else { return Vec::new() };
        let mut seen: BTreeSet<(Hop, Option<IpAddr>)> = BTreeSet::new();
        let is = |who: &Who| (who.hop, who.mapped.map(|(address, _)| address));
        (0..u32::from(then.slots))
            .map(|n| {
                let Some(word) = tables.ring_word(then.base, n) else {
                    return OldSlot { who: None, generation: None, stays: false };
                };
                let who = if word.valid { self.who(key.vrf(), word) } else { None };
                // Nobody is in two slots.
                let who = who.filter(|who| !seen.contains(&is(who)));
                seen.extend(who.as_ref().map(is));
                let stays = who.as_ref().is_some_and(|who| self.stays(who));
                OldSlot { who, generation: Some(word.generation), stays }
            })
            .collect()
    }

    /// Who a ring word stood for: its hop, and the pod that the card reached so, in a VRF or in any.
    fn who(&self, vrf: Option<VrfId>, word: &EcmpSlot) -> Option<Who> {
        let tables = &self.before.tables;
        let next_hop = words::next_hop_key(tables.get::<NextHop>(word.nh.into())?)?;
        let label = words::member_label(word);
        let hop = Hop { next_hop, label: (label != 0).then_some(label.into()) };
        let mapped = word.local.then(|| {
            let map = words::local_map(word);
            (words::address(tables.of::<FipMap>().at(map.into()).pod_ip), map)
        });
        let pods: BTreeSet<(IpAddr, VrfId)> = match next_hop {
            NextHopKey::Encap(vif) => {
                let vif = tables.get::<Vif>(vif.0.into())?;
                let pod = (vif.ip != 0).then(|| words::address(vif.ip));
                pod.into_iter().map(|pod| (pod, vrf.unwrap_or(vif.vrf.into()))).collect()
            }
            // It is known by its mapping.
            NextHopKey::Receive(_) => BTreeSet::new(),
            _ => self.reached(word.nh, label, vrf),
        };
        let stays = |pod: &IpAddr| {
            let ways = pods.iter().filter(|(other, _)| other == pod);
            ways.into_iter().any(|(_, vrf)| self.leads(*vrf, *pod, hop))
        };
        let mut addresses: Vec<IpAddr> = pods.iter().map(|(pod, _)| *pod).collect();
        addresses.dedup();
        let pods = match addresses.as_slice() {
            [] if matches!(next_hop, NextHopKey::Receive(_)) => Pods::Same,
            [] => Pods::Unknown,
            pods if pods.iter().all(stays) => Pods::Same,
            [one] => Pods::Moved(*one),
            // One of them is being moved elsewhere, and nobody can tell whether it was this member.
            _ => return None,
        };
        Some(Who { hop, pods, mapped })
    }

    /// Addresses that the card reached in a way, and in which VRF.
    fn reached(&self, nh: u16, label: u32, vrf: Option<VrfId>) -> BTreeSet<(IpAddr, VrfId)> {
        let lowest = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
        let ways = self.before.ways.range((nh, label, vrf.unwrap_or_default(), lowest)..);
        let here = ways
            .take_while(|way| (way.0, way.1) == (nh, label) && vrf.is_none_or(|vrf| way.2 == vrf));
        // What the card keeps of a floating IP that is refused says nothing of who is behind it, nor does what is shown of
        // one that is served.
        let pods = here
            .filter(|way| !self.is_refused(way.3) && !self.desired.floating.contains_key(&way.3));
        pods.map(|way| (way.3, way.2)).collect()
    }

    /// Whether an address is to be reached by a hop.
    fn leads(&self, vrf: VrfId, address: IpAddr, hop: Hop) -> bool {
        self.desired.routes.get(&(vrf, address)) == Some(&RouteTarget::Hop(hop))
    }

    /// Whether a member goes on being reached as it was.
    pub(super) fn stays(&self, who: &Who) -> bool {
        who.pods == Pods::Same && self.reachable(who.hop.next_hop)
    }

    /// Whether a next hop still leads where it did.
    pub(super) fn reachable(&self, next_hop: NextHopKey) -> bool {
        let same_pod = match next_hop {
            NextHopKey::Encap(vif) => self.same_pod(vif),
            _ => true,
        };
        same_pod && self.usable(next_hop).is_ok()
    }

    /// Whether a mapping that is not wanted any more stays for the connections of its backend.
    pub(super) fn mapping_stays(&self, key: &FipKey, target: &FipTarget) -> bool {
        let ports = self.desired.services.get(&key.address);
        ports.is_some_and(|ports| ports.contains(&(key.protocol, key.port)))
            && self.mapping_is_true(key, target)
    }

    /// Whether a mapping still leads to the pod that it was made for.
    pub(super) fn mapping_is_true(&self, key: &FipKey, target: &FipTarget) -> bool {
        let vif = self.desired.vifs.get(&key.vif);
        vif.is_some_and(|vif| vif.address == Some(target.address)) && self.same_pod(key.vif)
    }

    /// Removes what is there in a table for departed members only. Says whether anything went.
    pub(super) fn let_departed_go(&mut self, table: TableId) -> bool {
        match table {
            TableId::Ecmp | TableId::NextHop => {
                let idle: Vec<Owner> = self.planner.routes.idle.iter().copied().collect();
                idle.iter().for_each(|key| self.dissolve(*key));
                let slimmed = table == TableId::Ecmp && self.slim_all();
                !idle.is_empty() || slimmed
            }
            TableId::FipKey | TableId::FipMap => {
                // A mapping goes once no group names it either.
                let slimmed = table == TableId::FipMap && {
                    let idle: Vec<Owner> = self.planner.routes.idle.iter().copied().collect();
                    idle.iter().for_each(|key| self.dissolve(*key));
                    self.slim_all() || !idle.is_empty()
                };
                let Planner { card, mappings, .. } = &mut *self.planner;
                let staying: Vec<FipKey> = mappings.staying.iter().map(|(_, key)| *key).collect();
                staying.iter().for_each(|key| mappings.remove(card, key));
                !staying.is_empty() || slimmed
            }
            _ => false,
        }
    }

    /// Takes those who departed out of all groups; those that have to stay as they are may be asked again. Says whether there was
    /// one that did not.
    fn slim_all(&mut self) -> bool {
        let spare: Vec<Owner> = self.planner.routes.spare.iter().copied().collect();
        let slimmed = spare.into_iter().filter(|key| {
            let is_slim = self.slim(*key);
            if is_slim {
                self.planner.routes.spare.remove(key);
            }
            is_slim
        });
        slimmed.count() > 0
    }
}
