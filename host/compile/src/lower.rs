//! From intent to tables: the node first (vifs, labels, routes to pods), then the load balancers on top of those routes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use penstock_abi::table::VifKind;
use penstock_model::{
    Encapsulation, MacAddr, MplsLabel, NodeConfig, Note, RemoteNode, Snapshot, VifId, VrfId,
};

use crate::{
    CompileError, Desired, Hop, LabelEntry, NextHopKey, NextHopSpec, Pending, RouteTarget,
    VifEntry, check, service,
};

pub(crate) fn lower(snapshot: &Snapshot) -> Result<Desired, CompileError> {
    let node = &snapshot.node;
    check::numbers(node)?;
    let mut desired = Desired::default();
    desired.next_hops.insert(NextHopKey::Discard, NextHopSpec::default());
    desired.next_hops.insert(NextHopKey::Reject, NextHopSpec::default());
    ports(node, &mut desired);
    let mut reach =
        Reach { vrfs: node.vrfs.iter().map(|vrf| vrf.id).collect(), ..Reach::default() };
    for vif in &node.vifs {
        let hop = Hop { next_hop: NextHopKey::Encap(vif.id), label: None };
        let spec = NextHopSpec { dmac: vif.mac, smac: MacAddr::GATEWAY, source: None };
        desired.next_hops.insert(hop.next_hop, spec);
        desired.vifs.insert(
            vif.id,
            VifEntry {
                kind: VifKind::Virtual,
                vrf: vif.vrf,
                mac: vif.mac,
                address: Some(vif.address),
                rpf: true,
                next_hop: hop.next_hop,
            },
        );
        let entry = LabelEntry { next_hop: hop.next_hop, vrf: vif.vrf };
        if desired.labels.insert(vif.label, entry).is_some() {
            return Err(check::duplicate("label", vif.label, "another vif", &vif.name));
        }
        let importing =
            node.vrfs.iter().filter(|vrf| vrf.id == vif.vrf || vrf.imports.contains(&vif.vrf));
        for vrf in importing {
            reach.add(vrf.id, vif.address, hop, &vif.name)?;
        }
    }
    for remote in &node.remotes {
        remote_routes(snapshot, remote, &mut reach, &mut desired)?;
    }
    service::lower(snapshot, &reach, &mut desired)?;
    for ((vrf, address), hop) in &reach.hops {
        desired.routes.insert((*vrf, *address), RouteTarget::Hop(*hop));
    }
    desired.pending.sort();
    desired.notes.sort();
    desired.notes.dedup();
    Ok(desired)
}

/// The routes to pods, by VRF: what a load balancer's members are looked up in.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// All VRFs.
    pub(crate) vrfs: BTreeSet<VrfId>,
    /// The way to each pod.
    pub(crate) hops: BTreeMap<(VrfId, Ipv4Addr), Hop>,
    /// Pods whose node's MAC address is not known yet.
    pub(crate) pending: BTreeSet<(VrfId, Ipv4Addr)>,
    owners: BTreeMap<(VrfId, Ipv4Addr), String>,
}

impl Reach {
    fn add(
        &mut self,
        vrf: VrfId,
        address: Ipv4Addr,
        hop: Hop,
        owner: &str,
    ) -> Result<(), CompileError> {
        if let Some(other) = self.owners.insert((vrf, address), owner.to_owned()) {
            return Err(check::duplicate("address", address, &other, owner));
        }
        self.hops.insert((vrf, address), hop);
        Ok(())
    }
}

/// The fabric port and the node's own interface.
fn ports(node: &NodeConfig, desired: &mut Desired) {
    let fabric = node.fabric;
    let port = |kind, address| VifEntry {
        kind,
        vrf: VrfId(0),
        mac: fabric.mac,
        address,
        rpf: false,
        next_hop: NextHopKey::Discard,
    };
    let address = fabric.address.address;
    desired.vifs.insert(VifId::FABRIC, port(VifKind::Fabric, Some(address)));
    desired.vifs.insert(VifId::VHOST, port(VifKind::Vhost, Some(address)));
}

fn remote_routes(
    snapshot: &Snapshot,
    remote: &RemoteNode,
    reach: &mut Reach,
    desired: &mut Desired,
) -> Result<(), CompileError> {
    let node = &snapshot.node;
    if remote.address == node.fabric.address.address {
        let text = "has this node's own tunnel address, passed over";
        desired.notes.push(Note::new(format_args!("remote {}", remote.name), text));
        return Ok(());
    }
    let vrfs: Vec<VrfId> = node
        .vrfs
        .iter()
        .map(|vrf| vrf.id)
        .filter(|id| remote.vrfs.is_empty() || remote.vrfs.contains(id))
        .collect();
    let Some(&dmac) = snapshot.neighbours.get(&remote.address) else {
        if !remote.labels.is_empty() || !remote.prefixes.is_empty() {
            desired.pending.push(Pending { node: remote.name.clone(), address: remote.address });
        }
        for &vrf in &vrfs {
            reach.pending.extend(remote.labels.keys().map(|&address| (vrf, address)));
        }
        return Ok(());
    };
    let next_hop = match remote.encapsulation {
        Encapsulation::MplsOverUdp => NextHopKey::TunnelUdp(remote.address),
        Encapsulation::MplsOverGre => NextHopKey::TunnelGre(remote.address),
    };
    let source = Some(node.fabric.address.address);
    desired.next_hops.insert(next_hop, NextHopSpec { dmac, smac: node.fabric.mac, source });
    let hop = |label: MplsLabel| Hop { next_hop, label: Some(label) };
    for vrf in vrfs {
        for (&address, &label) in &remote.labels {
            reach.add(vrf, address, hop(label), &remote.name)?;
        }
        for (prefix, &label) in &remote.prefixes {
            let key = (vrf, prefix.network());
            if desired.prefixes.insert(key, hop(label)).is_some() {
                return Err(check::duplicate("prefix", prefix, "another node", &remote.name));
            }
        }
    }
    Ok(())
}
