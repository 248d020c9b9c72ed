//! What of a desired state the card serves already.

use std::collections::{HashMap, HashSet};

use penstock_abi::hash;
use penstock_abi::table::{FipKey, FipMap, HostRoute, Ilm, NextHop, Prefix};
use penstock_compile::{Desired, Group, Hop, NextHopKey, RouteTarget};
use penstock_tables::Tables;

use crate::words;

/// The part of `desired` for which `achieved` needs nothing new: a step between them that only removes. A floating IP that would
/// lose all its members discards meanwhile.
pub(crate) fn common(desired: &Desired, achieved: &Tables) -> Desired {
    let hops: HashSet<NextHopKey> = achieved
        .of::<NextHop>()
        .values()
        .filter(|w| w.valid)
        .filter_map(words::next_hop_key)
        .collect();
    let routes: HashSet<u128> = achieved
        .of::<HostRoute>()
        .values()
        .filter(|route| route.valid)
        .map(|route| hash::host_route_key(route.vrf, route.ip))
        .collect();
    let targets: HashMap<u128, (u32, u16)> = achieved
        .of::<FipKey>()
        .values()
        .filter(|key| key.valid)
        .filter_map(|key| {
            let map = achieved.get::<FipMap>(key.map.into())?;
            let key = hash::fip_key(key.vif, key.proto, key.ip, key.port);
            Some((key, (map.pod_ip, map.pod_port)))
        })
        .collect();
    let prefixes: HashSet<(u16, u32, u8)> = achieved
        .of::<Prefix>()
        .values()
        .filter(|w| w.valid)
        .map(|w| (w.vrf, w.ip, w.len))
        .collect();

    let mut common = desired.clone();
    let always = [NextHopKey::Discard, NextHopKey::Reject];
    common.next_hops.retain(|key, _| hops.contains(key) || always.contains(key));
    let known = common.next_hops.clone();
    let known = |key: &NextHopKey| known.contains_key(key);
    common.vifs.retain(|_, vif| known(&vif.next_hop));
    common
        .labels
        .retain(|label, entry| achieved.of::<Ilm>().contains(label.0) && known(&entry.next_hop));
    common.prefixes.retain(|(vrf, prefix), hop| {
        prefixes.contains(&(vrf.0, prefix.network().address.into(), prefix.len))
            && known(&hop.next_hop)
    });
    common.fip.retain(|name, target| {
        let (ip, protocol) = (name.address.into(), name.protocol.number());
        let key = hash::fip_key(name.vif.0, protocol, ip, name.port);
        targets.get(&key) == Some(&(target.address.into(), target.port))
    });
    common.routes.retain(|(vrf, address), _| {
        routes.contains(&hash::host_route_key(vrf.0, u32::from(*address)))
    });
    let pods: HashSet<_> = common.routes.keys().copied().collect();
    for ((vrf, _), target) in &mut common.routes {
        let kept = match target {
            RouteTarget::Hop(hop) => known(&hop.next_hop),
            RouteTarget::Group(Group { members, .. }) => {
                members.retain(|m| known(&m.hop.next_hop) && pods.contains(&(*vrf, m.pod)));
                !members.is_empty()
            }
        };
        if !kept {
            *target = RouteTarget::Hop(Hop { next_hop: NextHopKey::Discard, label: None });
        }
    }
    common
}
