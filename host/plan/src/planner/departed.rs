//! What stays of members that are no longer wanted.
//!
//! A backend that turns not ready, or leaves the service while its pod lives, keeps the connections that it has: its slot in
//! the group on the clients' nodes, and its mappings on its own. What it was is read from the card, so it is known after a
//! restart as well, and nothing has to be written down. It ends when the pod is no longer reached in the same way (its route
//! is gone, or its address has another vif, node or label), when the floating IP or its port is not served any more, or when
//! a table has no room for what is wanted.

use std::collections::BTreeMap;

use penstock_compile::FipTarget;
use penstock_model::{Protocol, VifId};

use super::{
    Desired, FipKey, FipMap, Identity, NextHopKey, Planner, RouteTarget, Vif, VrfId, words,
};

/// What becomes of members that are not wanted any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Departed {
    /// They stay for the connections that they have.
    Stay,
    /// They go at once.
    Go,
}

/// A mapping's key, in the compiler's words.
pub(super) type Key = penstock_compile::FipKey;

impl Planner<'_> {
    /// Whether a member that is not wanted any more keeps its slot.
    pub(super) fn stays(&self, desired: &Desired, vrf: VrfId, (pod, hop): Identity) -> bool {
        let same_pod = match hop.next_hop {
            NextHopKey::Encap(vif) => self.same_pod(desired, vif),
            _ => true,
        };
        self.departed == Departed::Stay
            && same_pod
            && desired.routes.get(&(vrf, pod)) == Some(&RouteTarget::Hop(hop))
    }

    /// Whether a vif goes on belonging to the pod that it belongs to on the card.
    fn same_pod(&self, desired: &Desired, vif: VifId) -> bool {
        let new = desired.vifs.get(&vif);
        let old = self.achieved.get::<Vif>(vif.0.into()).filter(|old| old.valid);
        new.zip(old).is_some_and(|(new, old)| {
            let address = new.address.map_or(0, u32::from);
            (address, new.mac.to_bits(), new.vrf.0) == (old.ip, old.mac, old.vrf)
        })
    }

    /// The mapping that a key of the card leads to; none for a mark.
    pub(super) fn mapping(&self, key: &FipKey) -> Option<(u32, FipMap)> {
        let index = u32::from(key.map);
        let map = self.achieved.get::<FipMap>(index)?;
        let own = (map.vip, map.vip_port) == (key.ip, key.port) && !words::is_tombstone(map);
        own.then_some((index, *map))
    }

    /// Mappings of the card that are not wanted any more, but stay for the connections of their backends.
    pub(super) fn staying_mappings(&self, desired: &Desired) -> BTreeMap<Key, FipTarget> {
        if self.departed == Departed::Go {
            return BTreeMap::new();
        }
        let keys = self.achieved.of::<FipKey>().values().filter(|key| key.valid);
        let staying = keys.filter_map(|word| {
            let key = Key {
                vif: word.vif.into(),
                protocol: Protocol::from_number(word.proto)?,
                address: word.ip.into(),
                port: word.port,
            };
            if desired.fip.contains_key(&key) {
                return None;
            }
            let (_, map) = self.mapping(word)?;
            let target = FipTarget { address: map.pod_ip.into(), port: map.pod_port };
            let vif = desired.vifs.get(&key.vif)?;
            let ports = desired.services.get(&key.address)?;
            // Who is wanted for another port would be given new connections to this one.
            let wanted = match desired.routes.get(&(vif.vrf, key.address)) {
                Some(RouteTarget::Group(group)) => {
                    group.members.iter().any(|member| member.pod == target.address)
                }
                _ => false,
            };
            let stays = ports.contains(&(key.protocol, key.port))
                && vif.address == Some(target.address)
                && self.same_pod(desired, key.vif)
                && !wanted;
            stays.then_some((key, target))
        });
        staying.collect()
    }
}
