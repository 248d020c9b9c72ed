//! Load balancers, each made anew only when its service or one of its slices changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use penstock_model::{Findings, Object, ObjectId, ObjectName, OrdMap};

use super::addresses::{self, Foreign};
use super::objects::{EndpointSlice, Node, Pod, Service};
use super::translate::{self, Named, Notes};
use super::{Item, Key, Kind, slice_id};
use crate::difference::{put, set};

/// The objects in force, and what they come to.
#[derive(Debug, Default)]
pub(crate) struct Balancers {
    services: BTreeMap<ObjectName, Arc<Service>>,
    slices: BTreeMap<ObjectName, Arc<EndpointSlice>>,
    /// Slices of each service.
    by_service: BTreeMap<ObjectName, BTreeSet<ObjectName>>,
    foreign: Foreign,
    /// Services that want addresses which may be foreign.
    want_more: BTreeSet<ObjectName>,
    /// Load balancers, pods, where nodes are, and floating IPs of pods.
    objects: OrdMap<ObjectId, Object>,
    /// What is left out of services and slices that are right.
    findings: Findings,
}

impl Balancers {
    /// Load balancers, pods, where nodes are, and floating IPs of pods.
    pub(crate) fn objects(&self) -> &OrdMap<ObjectId, Object> {
        &self.objects
    }

    /// What was left out, and why.
    pub(crate) fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Takes the objects that changed: as they are now, or none.
    pub(crate) fn update(&mut self, changes: impl IntoIterator<Item = (Key, Option<Item>)>) {
        let mut dirty = BTreeSet::new();
        for (Key { kind, name }, item) in changes {
            match (kind, item) {
                (Kind::Service, item) => {
                    let service = match item {
                        Some(Item::Service(service)) => Some(service),
                        _ => None,
                    };
                    self.put_service(name, service, &mut dirty);
                }
                (Kind::Slice, item) => {
                    let slice = match item {
                        Some(Item::Slice(slice)) => Some(slice),
                        _ => None,
                    };
                    self.put_slice(&name, slice, &mut dirty);
                }
                (Kind::Pod, Some(Item::Pod(pod))) => self.put_pod(&name, Some(&pod)),
                (Kind::Pod, _) => self.put_pod(&name, None),
                (Kind::Node, Some(Item::Node(node))) => self.put_node(name.name, Some(&node)),
                (Kind::Node, _) => self.put_node(name.name, None),
                (Kind::FloatingIp, item) => {
                    let ip = match item {
                        Some(Item::FloatingIp(ip)) => Some(Object::FloatingIp(ip)),
                        _ => None,
                    };
                    put(&mut self.objects, ObjectId::FloatingIp(name), ip);
                }
            }
        }
        for name in dirty {
            self.translate(name);
        }
    }

    fn put_pod(&mut self, name: &ObjectName, pod: Option<&Pod>) {
        let pod = pod.and_then(|pod| translate::pod(name, pod));
        let object = pod.map(|pod| Object::Pod(Arc::new(pod)));
        put(&mut self.objects, ObjectId::Pod(name.clone()), object);
    }

    fn put_node(&mut self, name: String, node: Option<&Node>) {
        let zone = node.and_then(|node| translate::zone(&name, node));
        let object = zone.map(|zone| Object::Zone(Arc::new(zone)));
        put(&mut self.objects, ObjectId::Zone(name), object);
    }

    fn put_service(
        &mut self,
        name: ObjectName,
        service: Option<Arc<Service>>,
        dirty: &mut BTreeSet<ObjectName>,
    ) {
        set(&mut self.findings, ObjectId::LoadBalancer(name.clone()), Vec::new());
        let before = self.services.remove(&name);
        let foreign = |service: &Option<Arc<Service>>| -> BTreeSet<_> {
            let foreign = service.iter().filter(|service| translate::is_foreign(&service.metadata));
            foreign.flat_map(|service| addresses::cluster_ips(&service.spec)).collect()
        };
        let (gone, come) = (foreign(&before), foreign(&service));
        if gone != come {
            for address in gone {
                if let Some(owners) = self.foreign.get_mut(&address) {
                    owners.remove(&name);
                    if owners.is_empty() {
                        self.foreign.remove(&address);
                    }
                }
            }
            for address in come {
                self.foreign.entry(address).or_default().insert(name.clone());
            }
            // Others may want what has become another's, or is no longer.
            dirty.extend(self.want_more.iter().cloned());
        }
        self.want_more.remove(&name);
        if let Some(service) = service {
            if addresses::wants_more(&service) {
                self.want_more.insert(name.clone());
            }
            self.services.insert(name.clone(), service);
        }
        dirty.insert(name);
    }

    fn put_slice(
        &mut self,
        name: &ObjectName,
        slice: Option<Arc<EndpointSlice>>,
        dirty: &mut BTreeSet<ObjectName>,
    ) {
        let mut findings = Vec::new();
        if let Some(before) = self.slices.remove(name)
            && let Ok(service) = translate::service_of(name, &before)
        {
            if let Some(slices) = self.by_service.get_mut(&service) {
                slices.remove(name);
                if slices.is_empty() {
                    self.by_service.remove(&service);
                }
            }
            dirty.insert(service);
        }
        if let Some(slice) = slice {
            match translate::service_of(name, &slice) {
                Ok(service) => {
                    self.by_service.entry(service.clone()).or_default().insert(name.clone());
                    dirty.insert(service);
                }
                Err(finding) => findings.extend(finding),
            }
            self.slices.insert(name.clone(), slice);
        }
        set(&mut self.findings, slice_id(name), findings);
    }

    /// Translates a service and its slices anew.
    fn translate(&mut self, name: ObjectName) {
        let slices = self.by_service.get(&name).into_iter().flatten();
        let slices: Vec<Named<'_>> =
            slices.filter_map(|name| Some((name, &**self.slices.get(name)?))).collect();
        let service = self.services.get(&name).map(|service| &**service);
        let mut notes = Notes::default();
        let balancer = translate::group(&name, service, &slices, &self.foreign, &mut notes);
        let ids = slices.iter().map(|(name, _)| slice_id(name));
        let id = ObjectId::LoadBalancer(name);
        for id in ids.chain([id.clone()]) {
            let findings = notes.0.remove(&id).unwrap_or_default();
            set(&mut self.findings, id, findings);
        }
        put(&mut self.objects, id, balancer.map(|b| Object::LoadBalancer(Arc::new(b))));
    }
}

#[cfg(test)]
mod tests;
