//! Kubernetes manifests: their objects, and the load balancers that they describe.
//!
//! [`Objects::add_text`] collects objects out of files, [`Objects::load_balancers`] applies the rules by which a service
//! proxy reads the API. Services and EndpointSlices decide what is forwarded; Pods only give names to addresses.
//!
//! A file's text becomes documents (`documents`), a document a tree of values (`tree`), a tree objects (`kinds`); one
//! document at a time, so that memory grows with what is kept and the largest document, not with the file.

mod addresses;
mod documents;
mod kinds;
mod objects;
mod passed_over;
mod translate;
mod tree;

pub use documents::{MAX_DOCUMENT_BYTES, MAX_DOCUMENTS};
pub use objects::{Endpoint, EndpointSlice, Metadata, Pod, Service};
pub use translate::PROXY_NAME;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use penstock_model::{LoadBalancer, Note, ObjectName};

use crate::Fault;

/// Faults of a file that are listed. It is refused as a whole, so more of them would only fill the log.
pub(crate) const MAX_FAULTS: usize = 20;

/// An object and the file in which it is. Sets of objects share both.
type Found<T> = (Arc<Path>, Arc<T>);

/// The objects found in a file or in a set of files, each kind by name.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    services: BTreeMap<ObjectName, Found<Service>>,
    slices: BTreeMap<ObjectName, Found<EndpointSlice>>,
    pods: BTreeMap<ObjectName, Found<Pod>>,
    /// What was passed over, by file, version and kind.
    passed_over: BTreeMap<(Arc<Path>, String, String), passed_over::PassedOver>,
    /// Objects of any kind that were seen.
    seen: usize,
    /// Whether there was an empty List.
    empty_list: bool,
}

/// Names an object among those of all kinds.
pub(crate) type Key<'a> = (&'static str, &'a ObjectName);

impl Objects {
    /// Takes the objects of one file. Kinds that are not known are passed over. Returns the faults found, the first ones
    /// if there are many; what is without fault is taken all the same.
    #[must_use]
    pub fn add_text(&mut self, path: &Path, text: &str) -> Vec<Fault> {
        let path: Arc<Path> = path.into();
        let fault = |line, message| Fault { path: path.to_path_buf(), line: Some(line), message };
        let mut faults = Vec::new();
        for (number, document) in documents::split(text).enumerate() {
            if number == MAX_DOCUMENTS {
                let message = format!("more than {MAX_DOCUMENTS} documents: split the file");
                faults.push(fault(document.line, message));
                break;
            }
            if document.text.len() > MAX_DOCUMENT_BYTES {
                let message = format!(
                    "a document of {} bytes, more than the {MAX_DOCUMENT_BYTES} that one may have: split it",
                    document.text.len()
                );
                faults.push(fault(document.line, message));
            } else if let Err(mut found) = kinds::add(self, &path, &document) {
                faults.append(&mut found);
            }
            if faults.len() >= MAX_FAULTS {
                faults.truncate(MAX_FAULTS);
                faults.push(fault(document.line, "further faults are not looked for".to_owned()));
                break;
            }
        }
        faults
    }

    /// Takes what is in other objects. Their names must differ.
    pub(crate) fn extend(&mut self, other: &Self) {
        fn share<T>(
            map: &BTreeMap<ObjectName, Found<T>>,
        ) -> impl Iterator<Item = (ObjectName, Found<T>)> {
            map.iter().map(|(name, (path, object))| {
                (name.clone(), (Arc::clone(path), Arc::clone(object)))
            })
        }
        self.services.extend(share(&other.services));
        self.slices.extend(share(&other.slices));
        self.pods.extend(share(&other.pods));
        self.passed_over.extend(other.passed_over.iter().map(|(k, v)| (k.clone(), v.clone())));
        self.seen += other.seen;
        self.empty_list |= other.empty_list;
    }

    /// What the objects are called that are used.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key<'_>> {
        let services = self.services.keys().map(|name| ("Service", name));
        let slices = self.slices.keys().map(|name| ("EndpointSlice", name));
        services.chain(slices).chain(self.pods.keys().map(|name| ("Pod", name)))
    }

    /// How many objects were seen, those that were passed over among them.
    pub(crate) fn seen(&self) -> usize {
        self.seen
    }

    /// Whether it was said that there is no object, by a List of none. A file that was truncated does not say that.
    pub(crate) fn says_none(&self) -> bool {
        self.seen == 0 && self.empty_list
    }

    /// The load balancers, ordered by name, and notes on what was left out.
    #[must_use]
    pub fn load_balancers(&self) -> (Vec<LoadBalancer>, Vec<Note>) {
        translate::load_balancers(
            self.services.iter().map(|(name, (_, service))| (name, &**service)),
            self.slices.iter().map(|(name, (_, slice))| (name, &**slice)),
        )
    }

    /// Notes on what is of no use here: other kinds, services that are not served, ports that belong to none.
    #[must_use]
    pub fn passed_over(&self) -> Vec<Note> {
        let kinds = self.passed_over.iter();
        let mut notes: Vec<Note> =
            kinds.map(|((path, version, kind), over)| over.note(path, version, kind)).collect();
        let services = self.services.iter().map(|(name, (_, service))| (name, &**service));
        let slices = self.slices.iter().map(|(name, (_, slice))| (name, &**slice));
        notes.extend(passed_over::notes(&services.collect(), slices));
        notes
    }

    /// The pods that have an address, by address.
    #[must_use]
    pub fn pods(&self) -> BTreeMap<std::net::Ipv4Addr, penstock_model::Pod> {
        translate::pods(self.pods.iter().map(|(name, (_, pod))| (name, &**pod)))
    }
}

#[cfg(test)]
mod tests;
