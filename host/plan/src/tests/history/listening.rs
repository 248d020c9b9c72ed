//! Floating IPs that live by their listeners: one port or several, of the same pods or of others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use penstock_abi::table::ServiceAddress;
use penstock_compile::{
    Desired, FipKey, FipTarget, Group, GroupMember, Hop, Listening, NextHopKey, RouteTarget,
    ServiceKey,
};
use penstock_model::{ObjectName, Protocol, VifId};

use super::{PODS, REMOTES, VIPS, VRFS, World, pod_ip, toggle, vip_ip};

/// Ports, besides the one that is the floating IP's anyhow: by floating IP and number, the pods behind it and whether they drain.
pub(super) type Ports = BTreeMap<(u8, u8), BTreeMap<u8, bool>>;

/// Whether a floating IP lives by its listeners.
pub(super) fn listens(vip: u8) -> bool {
    vip % 3 == 1
}

/// What is known of pods while a state is put together.
pub(super) struct Known<'a> {
    pub(super) hops: &'a BTreeMap<u8, Hop>,
    pub(super) here: &'a BTreeMap<u8, VifId>,
}

fn is_here(member: &GroupMember) -> bool {
    matches!(member.hop.next_hop, NextHopKey::Encap(_))
}

fn group(members: Vec<GroupMember>) -> Arc<Group> {
    Arc::new(Group { members, hash_fields: 0x1f, affinity_seconds: 0 })
}

/// Whose clients are kept at a port: everybody's is one service's, with many addresses.
fn affinity(port: u16) -> Option<ObjectName> {
    (port == 9001).then(|| ObjectName::new("ns", "web"))
}

impl World {
    /// A port comes, loses a pod or gets one, goes, or has the pods of another one.
    pub(super) fn edit_ports(&mut self, (a, b, c): (u8, u8, u8)) {
        let vip = a / 8 % VIPS;
        let (port, other) = ((vip, b % 3), (vip, b / 3 % 3));
        let pod = c % (PODS + REMOTES);
        match a % 8 {
            0 => drop(self.ports.remove(&port)),
            1 | 2 => drop(self.ports.get_mut(&port).map(|pods| pods.remove(&pod))),
            3 => {
                let pods = self.ports.get(&other).cloned().unwrap_or_default();
                self.ports.insert(port, pods);
            }
            4 => toggle(&mut self.outside, vip),
            _ => drop(self.ports.entry(port).or_default().insert(pod, c >= 192)),
        }
    }

    /// A floating IP, by the members of its first listener, and what there is besides.
    pub(super) fn listeners(
        &self,
        d: &mut Desired,
        (vip, protocol, port): (u8, Protocol, u8),
        first: Vec<GroupMember>,
        known: &Known<'_>,
    ) {
        let target_port = 80 + u16::from(port) % 2;
        let own = |member: GroupMember| {
            let port = is_here(&member).then_some(target_port);
            GroupMember { port: port.filter(|_| member.pod.is_some()), ..member }
        };
        let mut listeners: BTreeMap<u16, Vec<GroupMember>> = BTreeMap::new();
        listeners.insert(8000 + u16::from(port / 2), first.into_iter().map(own).collect());
        for (&(_, number), pods) in self.ports.range((vip, 0)..=(vip, u8::MAX)) {
            let number = 9000 + u16::from(number);
            let target_port = number - 1000;
            let mut members = Vec::new();
            for (&pod, &draining) in pods {
                let Some(&hop) = known.hops.get(&pod) else { continue };
                if let Some(&vif) = known.here.get(&pod) {
                    let key = FipKey { vif, protocol, address: vip_ip(vip), port: number };
                    d.fip.insert(key, FipTarget { address: pod_ip(pod), port: target_port });
                }
                let member = GroupMember { hop, pod: Some(pod_ip(pod)), draining, port: None };
                let port = is_here(&member).then_some(target_port);
                members.push(GroupMember { port, ..member });
            }
            members.sort();
            members.dedup_by_key(|member| member.hop);
            listeners.insert(number, members);
        }
        if !self.unserved.contains(&vip) {
            let ports = listeners.keys().map(|port| (protocol, *port));
            d.services.insert(vip_ip(vip), Arc::new(ports.collect()));
        }
        self.listen(d, (vip, protocol), &listeners);
    }

    fn listen(
        &self,
        d: &mut Desired,
        (vip, protocol): (u8, Protocol),
        listeners: &BTreeMap<u16, Vec<GroupMember>>,
    ) {
        let address = vip_ip(vip);
        let next_hop = if vip.is_multiple_of(2) { NextHopKey::Discard } else { NextHopKey::Reject };
        let nobody = RouteTarget::Hop(Hop { next_hop, label: None });
        let nets: BTreeSet<u16> = d.vrfs.values().map(|vrf| vrf.service_net).collect();
        for (&port, members) in listeners {
            let local: Vec<_> = members.iter().copied().filter(is_here).collect();
            let local = (!local.is_empty() && self.outside.contains(&vip)).then(|| group(local));
            let target = match members.as_slice() {
                [] => nobody.clone(),
                members => {
                    let affinity_seconds = if affinity(port).is_some() { 60 } else { 0 };
                    let group =
                        Group { affinity_seconds, ..Group::clone(&group(members.to_vec())) };
                    RouteTarget::Group(Arc::new(group))
                }
            };
            for &net in &nets {
                let key = ServiceKey { address, net, protocol, port };
                let listening = Listening {
                    target: target.clone(),
                    local: local.clone(),
                    affinity: affinity(port),
                };
                d.listeners.insert(key, listening);
            }
        }
        d.floating.insert(address, ServiceAddress::Reject);
        let mut union: Vec<GroupMember> = listeners.values().flatten().copied().collect();
        union.iter_mut().for_each(|member| member.port = None);
        union.sort_by_key(|member| (member.hop, member.pod, member.draining));
        union.dedup_by_key(|member| member.hop);
        let only = listeners.keys().next().filter(|_| listeners.len() == 1);
        for vrf in VRFS.iter().copied().filter(|_| !self.unrouted.contains(&vip)) {
            let net = d.vrfs[&vrf].service_net;
            let shown = match only {
                _ if union.is_empty() => nobody.clone(),
                Some(&port) => RouteTarget::Listener(ServiceKey { address, net, protocol, port }),
                None => RouteTarget::Group(group(union.clone())),
            };
            d.routes.insert((vrf, address), shown);
        }
    }
}
