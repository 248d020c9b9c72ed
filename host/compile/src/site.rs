//! What every route and every floating IP depends on: the node and its zone, its VRFs, and the operator's policy. If one of these changes,
//! all is compiled anew.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use penstock_abi::limits;
use penstock_model::{
    Finding, Intent, NetworkName, Node, ObjectId, OrdMap, Policy, Reason, Vrf, VrfId, Zone,
};

use crate::book::{Book, Teller};

/// The node with its VRFs.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) node: Arc<Node>,
    pub(crate) policy: Arc<Policy>,
    /// Where the node is, if that is known.
    zone: Option<Arc<Zone>>,
    given: OrdMap<VrfId, Arc<Vrf>>,
    /// For each VRF, those that have its pods' routes; it is one of them.
    importers: BTreeMap<VrfId, Vec<VrfId>>,
    networks: BTreeMap<NetworkName, Vec<VrfId>>,
}

impl Site {
    /// The site of an intent; VRFs that the card cannot have are told in `book`, and are not there.
    pub(crate) fn new(node: &Arc<Node>, intent: &Intent, book: &mut Book) -> Self {
        let mut importers = BTreeMap::new();
        let mut networks: BTreeMap<NetworkName, Vec<VrfId>> = BTreeMap::new();
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
            for network in &vrf.networks {
                let vrfs = networks.entry(network.clone()).or_default();
                if !vrfs.contains(&id) {
                    vrfs.push(id);
                }
            }
        }
        Self {
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

    /// VRFs that have routes to the pods of `vrf`.
    pub(crate) fn importers(&self, vrf: VrfId) -> &[VrfId] {
        self.importers.get(&vrf).map_or(&[], Vec::as_slice)
    }

    /// VRFs whose pods reach the floating IPs of a network.
    pub(crate) fn vrfs_of(&self, network: &NetworkName) -> &[VrfId] {
        self.networks.get(network).map_or(&[], Vec::as_slice)
    }
}
