//! What every route and every floating IP depends on: the node and its zone, its VRFs, and the operator's policy. If one of these changes,
//! all is compiled anew.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use penstock_abi::limits;
use penstock_model::{
    Finding, Intent, IpNet, NetworkName, Node, ObjectId, OrdMap, Overlay, Policy, Reason,
    SourceCheck, VifId, Vrf, VrfId, Zone,
};

use crate::book::{Book, Teller};
use crate::{Hop, NextHopKey};

/// The node with its VRFs.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) node: Arc<Node>,
    pub(crate) policy: Arc<Policy>,
    /// Where the node is, if that is known.
    zone: Option<Arc<Zone>>,
    pub(crate) overlay: Arc<Overlay>,
    given: OrdMap<VrfId, Arc<Vrf>>,
    /// For each VRF, those that have its pods' routes; it is one of them.
    importers: BTreeMap<VrfId, Vec<VrfId>>,
    networks: BTreeMap<NetworkName, Vec<VrfId>>,
    /// Service networks: VRFs that reach the same networks share one, which has the number of the lowest of them.
    nets: BTreeMap<VrfId, Vec<VrfId>>,
}

impl Site {
    /// The site of an intent; VRFs that the card cannot have are told in `book`, and are not there.
    pub(crate) fn new(node: &Arc<Node>, intent: &Intent, book: &mut Book) -> Self {
        let mut importers = BTreeMap::new();
        let mut networks: BTreeMap<NetworkName, Vec<VrfId>> = BTreeMap::new();
        let mut alike: BTreeMap<BTreeSet<&NetworkName>, Vec<VrfId>> = BTreeMap::new();
        let possible = |id: VrfId| u32::from(id.0) < limits::VRFS;
        for (&id, vrf) in &intent.vrfs {
            if !possible(id) {
                let reason = Reason::OutOfRange {
                    what: "VRF".to_owned(),
                    value: id.0.into(),
                    first: 0,
                    last: limits::VRFS - 1,
                };
                let about = ObjectId::Vrf(vrf.name.clone());
                book.say(&Teller::Vrf(id), vec![(about, Finding::refused(reason))]);
                continue;
            }
            let imports = |(&other, vrf): (&VrfId, &Arc<Vrf>)| {
                (possible(other) && (other == id || vrf.imports.contains(&id))).then_some(other)
            };
            importers.insert(id, intent.vrfs.iter().filter_map(imports).collect());
            if !vrf.networks.is_empty() {
                alike.entry(vrf.networks.iter().collect()).or_default().push(id);
            }
            for network in &vrf.networks {
                let vrfs = networks.entry(network.clone()).or_default();
                if !vrfs.contains(&id) {
                    vrfs.push(id);
                }
            }
        }
        let nets = alike.into_values().map(|vrfs| (vrfs[0], vrfs)).collect();
        Self {
            overlay: intent.overlay.clone(),
            nets,
            node: node.clone(),
            policy: intent.policy.clone(),
            zone: intent.zones.get(&node.name).cloned(),
            given: intent.vrfs.clone(),
            importers,
            networks,
        }
    }

    /// Whether it is still that of `intent`.
    pub(crate) fn is_of(&self, intent: &Intent) -> bool {
        intent.node.as_ref() == Some(&self.node)
            && intent.policy == self.policy
            && intent.zones.get(&self.node.name) == self.zone.as_ref()
            && intent.overlay == self.overlay
            && (intent.vrfs.ptr_eq(&self.given) || intent.vrfs == self.given)
    }

    /// The node's tunnel end point.
    pub(crate) fn address(&self) -> IpAddr {
        self.node.fabric.address.addr()
    }

    /// The zone in which the node is.
    pub(crate) fn zone(&self) -> Option<&str> {
        self.zone.as_ref().map(|zone| zone.name.as_str())
    }

    pub(crate) fn has_vrf(&self, vrf: VrfId) -> bool {
        self.importers.contains_key(&vrf)
    }

    /// By which tunnels packets may come whose replies are routed in a VRF.
    pub(crate) fn source_check(&self, vrf: VrfId) -> SourceCheck {
        self.given.get(&vrf).map(|vrf| vrf.source_check).unwrap_or_default()
    }

    /// The lowest VRF with a name.
    pub(crate) fn vrf_named(&self, name: &str) -> Option<VrfId> {
        let named = |vrf: &VrfId| self.given.get(vrf).is_some_and(|given| given.name == name);
        self.vrfs().find(named)
    }

    /// VRFs whose pods reach the floating IPs of a network, and of its VRF.
    pub(crate) fn reached_from(&self, vrf: VrfId, network: &NetworkName) -> Vec<VrfId> {
        let all = self.importers(vrf).iter().chain(self.vrfs_of(network)).copied();
        let all: BTreeSet<VrfId> = all.collect();
        all.into_iter().collect()
    }

    /// All VRFs.
    pub(crate) fn vrfs(&self) -> impl Iterator<Item = VrfId> {
        self.importers.keys().copied()
    }

    /// The VRF in which the node itself is.
    pub(crate) fn node_vrf(&self) -> VrfId {
        let said = self.node.vhost.vrf.filter(|vrf| self.has_vrf(*vrf));
        said.or_else(|| self.vrfs().next()).unwrap_or_default()
    }

    /// The service network of a VRF; 0 for none.
    pub(crate) fn net_of(&self, vrf: VrfId) -> u16 {
        let net = self.nets.iter().find(|(_, vrfs)| vrfs.contains(&vrf));
        net.map_or(0, |(net, _)| net.0)
    }

    /// The service networks in which the floating IPs of a network are, each with its VRFs.
    pub(crate) fn nets_of(&self, network: &NetworkName) -> Vec<(u16, &[VrfId])> {
        let reach = self.vrfs_of(network);
        let nets = self.nets.iter().filter(|(net, _)| reach.contains(net));
        nets.map(|(net, vrfs)| (net.0, vrfs.as_slice())).collect()
    }

    /// VRF of packets that come by the label of a floating IP of a network: the network's own, or the lowest from which it is reached.
    pub(crate) fn label_vrf(&self, network: &NetworkName) -> Option<VrfId> {
        let reach = self.vrfs_of(network);
        let own = self.vrf_named(network.as_str()).filter(|vrf| reach.contains(vrf));
        self.node.service_labels.and_then(|_| own.or_else(|| reach.iter().min().copied()))
    }

    /// Where packets to an address or a prefix go if nobody has or announces it.
    pub(crate) fn otherwise(&self, vrf: VrfId, prefix: IpNet) -> Option<Hop> {
        let to_node = || Hop { next_hop: NextHopKey::Receive(VifId::VHOST), label: None };
        if prefix == IpNet::from(self.address()) {
            return Some(to_node());
        }
        if prefix.prefix_len() == 0 && prefix.addr().is_ipv4() {
            return self.node.vhost.outside.then(to_node);
        }
        let unallocated = self.overlay.service_ranges.contains(&prefix) && self.net_of(vrf) != 0;
        unallocated.then(Hop::default)
    }

    /// All prefixes for which there is something in any case.
    pub(crate) fn always(&self) -> impl Iterator<Item = (VrfId, IpNet)> {
        let default = IpNet::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0).ok();
        let default = default.filter(|_| self.node.vhost.outside);
        let ranges = self.overlay.service_ranges.iter().copied();
        let prefixes: Vec<IpNet> =
            [IpNet::from(self.address())].into_iter().chain(default).chain(ranges).collect();
        self.vrfs().flat_map(move |vrf| prefixes.clone().into_iter().map(move |net| (vrf, net)))
    }

    /// VRFs that have routes to the pods of `vrf`.
    pub(crate) fn importers(&self, vrf: VrfId) -> &[VrfId] {
        self.importers.get(&vrf).map_or(&[], Vec::as_slice)
    }

    /// VRFs whose pods reach the floating IPs of a network.
    pub(crate) fn vrfs_of(&self, network: &NetworkName) -> &[VrfId] {
        self.networks.get(network).map_or(&[], Vec::as_slice)
    }
}
