//! From the objects of all sources to an intent: which of them may stand beside one another.
//!
//! One object that is wrong, or wants what another one has, harms only itself: it is refused with a [`Finding`], and the
//! others are served. Who keeps something that several want does not depend on what was read first, so it is the same after a
//! restart and however the objects came to be:
//!
//! | wanted | has it |
//! | --- | --- |
//! | the number of a VRF | the lowest name |
//! | a tunnel end point | the node itself, then the lowest name |
//! | number, label or address of a vif | the node (address, label) and its peers (addresses), then the lowest number, then the lowest name |
//! | the address of a pod, for names in views | the lowest name |
//!
//! Of several routes to one prefix all are in the RIB, the best first; that is no conflict.
//!
//! [`Admission`] keeps what it was last given and compares: what it does is in proportion to what changed. What comes out is
//! the same as if the objects were given to a new one.

mod claims;
mod routes;
mod vifs;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeBounds;
use std::sync::Arc;

use imbl::ordmap::DiffItem;

use self::claims::Claims;
use self::routes::Routes;
use crate::{
    Finding, Findings, Intent, MplsLabel, Object, ObjectId, ObjectName, OrdMap, Reason, VifId, Vrf,
    VrfId, check,
};

/// Makes intents out of objects.
#[derive(Debug, Default)]
pub struct Admission {
    /// The objects as they were given last.
    objects: OrdMap<ObjectId, Object>,
    /// Those of them with which for themselves nothing is wrong.
    sound: OrdMap<ObjectId, Object>,
    /// Who wants which number.
    vrfs: Claims<VrfId, String>,
    /// Who wants which tunnel end point.
    peers: Claims<IpAddr, String>,
    /// Peers that are refused: what they announce is too.
    blocked: BTreeSet<String>,
    /// Who wants which address.
    pods: Claims<IpAddr, ObjectName>,
    /// Vifs of each pod of this node.
    pod_vifs: BTreeMap<ObjectName, Vec<(VifId, IpAddr)>>,
    routes: Routes,
    intent: Intent,
}

/// A sound object before and after a change.
struct Change {
    id: ObjectId,
    old: Option<Object>,
    new: Option<Object>,
}

impl Admission {
    /// Nothing was given yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What the objects come to. `complete` and `policy` of the intent are not set, that is the caller's.
    pub fn admit(&mut self, objects: &OrdMap<ObjectId, Object>) -> &Intent {
        let (changes, changed) = self.sift(objects);
        let own_before = self.own_address();
        let label_before = self.own_label();
        for change in &changes {
            match (&change.id, &change.new) {
                (ObjectId::Node, Some(Object::Node(node))) => {
                    self.intent.node = Some(Arc::clone(node));
                }
                (ObjectId::Node, _) => self.intent.node = None,
                (ObjectId::LoadBalancer(_), Some(Object::LoadBalancer(balancer))) => {
                    let name = balancer.name.clone();
                    self.intent.balancers.insert(name, Arc::clone(balancer));
                }
                (ObjectId::LoadBalancer(name), _) => _ = self.intent.balancers.remove(name),
                (ObjectId::Zone(node), Some(Object::Zone(zone))) => {
                    self.intent.zones.insert(node.clone(), Arc::clone(zone));
                }
                (ObjectId::Zone(node), _) => _ = self.intent.zones.remove(node),
                (ObjectId::FloatingIp(name), Some(Object::FloatingIp(ip))) => {
                    self.intent.floating_ips.insert(name.clone(), Arc::clone(ip));
                }
                (ObjectId::FloatingIp(name), _) => _ = self.intent.floating_ips.remove(name),
                _ => {}
            }
        }
        let moved = own_before != self.own_address();
        let vrfs = self.admit_vrfs(&changes);
        self.look_at_node();
        let mut peers: BTreeSet<IpAddr> = BTreeSet::new();
        if moved {
            peers.extend(own_before.into_iter().chain(self.own_address()));
        }
        let unblocked = self.admit_peers(&changes, &changed, &mut peers);
        let vifs_changed = changes.iter().any(|change| matches!(change.id, ObjectId::Vif(_)));
        let mut named = BTreeSet::new();
        let relabelled = label_before != self.own_label();
        if vifs_changed || relabelled || !vrfs.is_empty() || !peers.is_empty() {
            named = self.admit_vifs();
        }
        self.admit_pods(&changes, named);
        self.admit_routes(&changes, &vrfs, &unblocked, moved);
        &self.intent
    }

    /// Tells sound objects from others; what changed among the sound ones, and all that changed.
    fn sift(&mut self, objects: &OrdMap<ObjectId, Object>) -> (Vec<Change>, Vec<ObjectId>) {
        let (mut changes, mut changed) = (Vec::new(), Vec::new());
        for item in self.objects.diff(objects) {
            let (id, object) = match item {
                DiffItem::Add(id, object) | DiffItem::Update { new: (id, object), .. } => {
                    (id, Some(object))
                }
                DiffItem::Remove(id, _) => (id, None),
            };
            changed.push(id.clone());
            let wrong = object.map(|object| faults(id, object)).unwrap_or_default();
            let new = object.filter(|_| wrong.is_empty()).cloned();
            let old = match &new {
                Some(new) => self.sound.insert(id.clone(), new.clone()),
                None => self.sound.remove(id),
            };
            if old != new {
                changes.push(Change { id: id.clone(), old, new });
            }
            let wrong = wrong.into_iter().map(Finding::refused).collect();
            set_findings(&mut self.intent.findings, id, wrong);
        }
        self.objects = objects.clone();
        (changes, changed)
    }

    /// The node's tunnel end point.
    fn own_address(&self) -> Option<IpAddr> {
        self.intent.node.as_ref().map(|node| node.fabric.address.addr())
    }

    /// The label of the node itself.
    fn own_label(&self) -> Option<MplsLabel> {
        self.intent.node.as_ref()?.vhost.label
    }

    /// Says what of the node depends on others.
    fn look_at_node(&mut self) {
        let Some(node) = &self.intent.node else { return };
        let unknown = node.vhost.vrf.filter(|vrf| !self.intent.vrfs.contains_key(vrf));
        let text =
            |vrf| format!("vhost0 is to be in VRF {vrf}, and there is none: it is in the lowest");
        let finding = unknown.map(|vrf| Finding::partial(Reason::Text { text: text(vrf) }));
        self.find(&ObjectId::Node, finding.into_iter().collect());
    }

    fn find(&mut self, id: &ObjectId, findings: Vec<Finding>) {
        set_findings(&mut self.intent.findings, id, findings);
    }

    /// Sound objects of a range.
    fn sound(&self, range: impl RangeBounds<ObjectId>) -> impl Iterator<Item = &Object> {
        self.sound.range(range).map(|(_, object)| object)
    }

    /// Numbers that are those of other VRFs than before, or of none.
    fn admit_vrfs(&mut self, changes: &[Change]) -> BTreeSet<VrfId> {
        fn claim(object: Option<&Object>) -> Option<(VrfId, String)> {
            let Some(Object::Vrf(vrf)) = object else { return None };
            Some((vrf.id, vrf.name.clone()))
        }
        let mut dirty = BTreeSet::new();
        let mut names = BTreeSet::new();
        for Change { id, old, new } in changes {
            let ObjectId::Vrf(name) = id else { continue };
            names.insert(name.clone());
            self.vrfs.change(claim(old.as_ref()), claim(new.as_ref()), &mut dirty);
        }
        let mut others = BTreeSet::new();
        for &id in &dirty {
            let before = self.intent.vrfs.get(&id).map(|vrf| vrf.name.clone());
            names.extend(self.vrfs.all(&id).iter().cloned());
            let holder = self.vrfs.holder(&id).and_then(|name| self.vrf(name)).cloned();
            if before.as_ref() != holder.as_ref().map(|vrf| &vrf.name) {
                others.insert(id);
            }
            put(&mut self.intent.vrfs, id, holder);
        }
        if !others.is_empty() {
            // Who imports what has gone, or has come.
            names.extend(
                self.intent
                    .vrfs
                    .values()
                    .filter(|vrf| !vrf.imports.is_empty())
                    .map(|vrf| vrf.name.clone()),
            );
        }
        for name in names {
            let Some(vrf) = self.vrf(&name).cloned() else { continue };
            let findings = match self.vrfs.holder(&vrf.id) {
                Some(holder) if *holder != name => {
                    vec![taken("id", vrf.id, ObjectId::Vrf(holder.clone()))]
                }
                _ => self.unknown_imports(&vrf),
            };
            self.find(&ObjectId::Vrf(name), findings);
        }
        others
    }

    fn vrf(&self, name: &str) -> Option<&Arc<Vrf>> {
        match self.sound.get(&ObjectId::Vrf(name.to_owned()))? {
            Object::Vrf(vrf) => Some(vrf),
            _ => None,
        }
    }

    fn unknown_imports(&self, vrf: &Vrf) -> Vec<Finding> {
        let unknown = vrf.imports.iter().filter(|id| !self.intent.vrfs.contains_key(*id));
        unknown
            .map(|id| {
                let text = format!("imports VRF {id}, and there is none with this number");
                Finding::partial(Reason::Text { text })
            })
            .collect()
    }

    /// Peers whose routes may be used now and were not before, or the other way round. Adds the addresses that changed hands.
    fn admit_peers(
        &mut self,
        changes: &[Change],
        changed: &[ObjectId],
        dirty: &mut BTreeSet<IpAddr>,
    ) -> BTreeSet<String> {
        fn claim(object: Option<&Object>) -> Option<(IpAddr, String)> {
            let Some(Object::Peer(peer)) = object else { return None };
            Some((peer.address, peer.name.clone()))
        }
        for change in changes {
            if matches!(change.id, ObjectId::Peer(_)) {
                self.peers.change(claim(change.old.as_ref()), claim(change.new.as_ref()), dirty);
            }
        }
        let mut names: BTreeSet<String> = BTreeSet::new();
        names.extend(changed.iter().filter_map(|id| match id {
            ObjectId::Peer(name) => Some(name.clone()),
            _ => None,
        }));
        for address in &*dirty {
            names.extend(self.peers.all(address).iter().cloned());
        }
        let own = self.own_address();
        let mut others = BTreeSet::new();
        for name in names {
            let id = ObjectId::Peer(name.clone());
            let peer = match self.sound.get(&id) {
                Some(Object::Peer(peer)) => Some(Arc::clone(peer)),
                _ => None,
            };
            let mut refused = Vec::new();
            if let Some(peer) = &peer {
                let holder = match self.peers.holder(&peer.address) {
                    _ if own == Some(peer.address) => Some(ObjectId::Node),
                    Some(holder) if *holder != name => Some(ObjectId::Peer(holder.clone())),
                    _ => None,
                };
                refused.extend(holder.map(|holder| taken("address", peer.address, holder)));
                self.find(&id, refused.clone());
            }
            let admitted = peer.filter(|_| refused.is_empty());
            let blocked = admitted.is_none() && self.objects.contains_key(&id);
            let was = if blocked {
                !self.blocked.insert(name.clone())
            } else {
                self.blocked.remove(&name)
            };
            put(&mut self.intent.peers, name.clone(), admitted);
            if was != blocked {
                others.insert(name);
            }
        }
        others
    }

    fn admit_pods(&mut self, changes: &[Change], mut names: BTreeSet<ObjectName>) {
        fn claim(object: Option<&Object>) -> Option<(IpAddr, ObjectName)> {
            let Some(Object::Pod(pod)) = object else { return None };
            Some((pod.address, pod.name.clone()))
        }
        let mut dirty = BTreeSet::new();
        for Change { id, old, new } in changes {
            let ObjectId::Pod(name) = id else { continue };
            names.insert(name.clone());
            self.pods.change(claim(old.as_ref()), claim(new.as_ref()), &mut dirty);
        }
        for address in dirty {
            names.extend(self.pods.all(&address).iter().cloned());
            let holder = self.pods.holder(&address).and_then(|name| {
                match self.sound.get(&ObjectId::Pod(name.clone()))? {
                    Object::Pod(pod) => Some(Arc::clone(pod)),
                    _ => None,
                }
            });
            put(&mut self.intent.pods, address, holder);
        }
        for name in names {
            let id = ObjectId::Pod(name.clone());
            let Some(Object::Pod(pod)) = self.sound.get(&id) else { continue };
            let mut findings = Vec::new();
            if let Some(holder) = self.pods.holder(&pod.address).filter(|holder| **holder != name) {
                let text = format!("has address {}, and so has Pod {holder}", pod.address);
                findings.push(Finding::note(text));
            }
            // The vif is what counts.
            let vifs = self.pod_vifs.get(&name).map_or(&[][..], Vec::as_slice);
            if let [(vif, address), ..] = vifs
                && vifs.iter().all(|(_, address)| *address != pod.address)
            {
                let text = format!("has address {}, but vif {vif} has {address}", pod.address);
                findings.push(Finding::note(text));
            }
            self.find(&id, findings);
        }
    }
}

fn faults(id: &ObjectId, object: &Object) -> Vec<Reason> {
    let mut wrong = check(object);
    let own = object.id();
    if own != *id {
        wrong.push(Reason::invalid("", format!("is given as {id}, and calls itself {own}")));
    }
    wrong
}

fn taken(what: &str, value: impl fmt::Display, holder: ObjectId) -> Finding {
    Finding::refused(Reason::Taken { what: what.to_owned(), value: format!("{value}"), holder })
}

/// Makes the findings of an object these.
pub(crate) fn set_findings(all: &mut Findings, id: &ObjectId, mut findings: Vec<Finding>) {
    findings.sort();
    findings.dedup();
    let findings = (!findings.is_empty()).then(|| findings.into());
    put(all, id.clone(), findings);
}

/// Makes an entry of a map this one, and leaves the map as it is if it has it.
fn put<K: Ord + Clone, V: Clone + PartialEq>(map: &mut OrdMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) if map.get(&key) != Some(&value) => _ = map.insert(key, value),
        Some(_) => {}
        None if map.contains_key(&key) => _ = map.remove(&key),
        None => {}
    }
}

#[cfg(test)]
mod tests;
