//! Kubernetes manifests: their objects, and the load balancers that they describe.
//!
//! [`Objects::add_text`] collects objects out of files, [`Objects::load_balancers`] applies the rules by which a service
//! proxy reads the API. Services and EndpointSlices decide what is forwarded; Pods only give names to addresses.

mod addresses;
mod documents;
mod objects;
mod translate;

pub use objects::{Endpoint, EndpointSlice, Metadata, Pod, Service};
pub use translate::PROXY_NAME;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use penstock_model::{LoadBalancer, Note, ObjectName};

use crate::Fault;

/// The objects found in a set of files, each kind by name.
#[derive(Debug, Default)]
pub struct Objects {
    services: BTreeMap<ObjectName, (PathBuf, Service)>,
    slices: BTreeMap<ObjectName, (PathBuf, EndpointSlice)>,
    pods: BTreeMap<ObjectName, (PathBuf, Pod)>,
}

impl Objects {
    /// Takes the objects of one file. Kinds that are not known are passed over. Returns the faults found; what is without
    /// fault is taken all the same.
    #[must_use]
    pub fn add_text(&mut self, path: &Path, text: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        for document in documents::split(text) {
            if let Err(mut found) = documents::add(self, path, &document) {
                faults.append(&mut found);
            }
        }
        faults
    }

    /// The load balancers, ordered by name, and notes on what was left out.
    #[must_use]
    pub fn load_balancers(&self) -> (Vec<LoadBalancer>, Vec<Note>) {
        translate::load_balancers(
            self.services.iter().map(|(name, (_, service))| (name, service)),
            self.slices.iter().map(|(name, (_, slice))| (name, slice)),
        )
    }

    /// The pods that have an address, by address.
    #[must_use]
    pub fn pods(&self) -> BTreeMap<std::net::Ipv4Addr, penstock_model::Pod> {
        translate::pods(self.pods.iter().map(|(name, (_, pod))| (name, pod)))
    }
}

#[cfg(test)]
mod tests;
