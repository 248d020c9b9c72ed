//! Vifs: each wants a number, a label and an address. A card has 256 of them, so all are looked at whenever one changes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::{Admission, put, taken};
use crate::{Finding, MplsLabel, Object, ObjectId, ObjectName, PodVif, Reason, VifId};

/// What is given away.
#[derive(Default)]
struct Given {
    ids: BTreeMap<VifId, ObjectId>,
    labels: BTreeMap<MplsLabel, ObjectId>,
    addresses: BTreeMap<IpAddr, ObjectId>,
}

impl Admission {
    /// Admits vifs anew. Names the pods whose vifs or their addresses are others now.
    pub(super) fn admit_vifs(&mut self) -> BTreeSet<ObjectName> {
        let vifs = self.sound(ObjectId::Vif(String::new())..ObjectId::Peer(String::new()));
        let mut vifs: Vec<Arc<PodVif>> = vifs
            .filter_map(|object| match object {
                Object::Vif(vif) => Some(Arc::clone(vif)),
                _ => None,
            })
            .collect();
        vifs.sort_by(|a, b| (a.id, &a.name).cmp(&(b.id, &b.name)));
        let mut given = Given::default();
        for peer in self.intent.peers.values() {
            given.addresses.insert(peer.address, ObjectId::Peer(peer.name.clone()));
        }
        if let Some(address) = self.own_address() {
            given.addresses.insert(address, ObjectId::Node);
        }
        if let Some(label) = self.own_label() {
            given.labels.insert(label, ObjectId::Node);
        }
        let mut pod_vifs: BTreeMap<ObjectName, Vec<(VifId, IpAddr)>> = BTreeMap::new();
        let mut admitted = BTreeMap::new();
        for vif in vifs {
            let id = ObjectId::Vif(vif.name.clone());
            let refused = self.refused(&vif, &given);
            if refused.is_empty() {
                given.ids.insert(vif.id, id.clone());
                given.labels.insert(vif.label, id.clone());
                given.addresses.insert(vif.address, id.clone());
                pod_vifs.entry(vif.pod.clone()).or_default().push((vif.id, vif.address));
                admitted.insert(vif.id, vif);
            }
            self.find(&id, refused);
        }
        let gone: Vec<VifId> =
            self.intent.vifs.keys().filter(|id| !admitted.contains_key(id)).copied().collect();
        for id in gone {
            self.intent.vifs.remove(&id);
        }
        for (id, vif) in admitted {
            put(&mut self.intent.vifs, id, Some(vif));
        }
        let before = std::mem::replace(&mut self.pod_vifs, pod_vifs);
        let names = before.keys().chain(self.pod_vifs.keys());
        names.filter(|name| before.get(name) != self.pod_vifs.get(name)).cloned().collect()
    }

    fn refused(&self, vif: &PodVif, given: &Given) -> Vec<Finding> {
        let mut refused = Vec::new();
        if !self.intent.vrfs.contains_key(&vif.vrf) {
            let text = format!("there is no VRF {}", vif.vrf);
            refused.push(Finding::refused(Reason::invalid("", text)));
        }
        let id = given.ids.get(&vif.id);
        refused.extend(id.map(|holder| taken("id", vif.id, holder.clone())));
        let label = given.labels.get(&vif.label);
        refused.extend(label.map(|holder| taken("label", vif.label, holder.clone())));
        let address = given.addresses.get(&vif.address);
        refused.extend(address.map(|holder| taken("address", vif.address, holder.clone())));
        refused
    }
}
