//! Kubernetes' objects: what a file of manifests says, object by object, or an API server, and the load balancers that they
//! describe.
//!
//! A file's text becomes documents (`documents`), a document a tree of values (`tree`), a tree objects (`kinds`, `at`, `checks`);
//! one document at a time, so that memory grows with what is kept and the largest document, not with the file. Services and
//! EndpointSlices decide what is forwarded (`translate`, by the rules by which a service proxy reads the API); Pods only give
//! names to addresses, and Nodes say where they are.

mod addresses;
mod at;
mod balancers;
mod checks;
mod floating_ip;
mod kinds;
mod objects;
mod passed_over;
mod translate;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use penstock_model::{ObjectId, ObjectName, PodFloatingIp, Reason};
use serde_yaml_ng::Value;

pub(crate) use self::at::Read;
pub(crate) use self::balancers::Balancers;
pub(crate) use self::objects::{EndpointSlice, Node, Pod, Service};
use self::passed_over::PassedOver;
use crate::documents::{self, MAX_DOCUMENT_BYTES, MAX_DOCUMENTS};
use crate::error::place;
use crate::lines::Lines;

/// Faults of a file as a whole that are listed; further ones are counted.
pub(crate) const MAX_FAULTS: usize = 20;

/// A kind of objects that is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `v1` `Service`.
    Service,
    /// `discovery.k8s.io/v1` `EndpointSlice`.
    Slice,
    /// `v1` `Pod`.
    Pod,
    /// `v1` `Node`.
    Node,
    /// `penstock.dev/v1` `FloatingIP`: of manifests only.
    FloatingIp,
}

impl Kind {
    /// Those that an API server has.
    pub const ALL: [Self; 4] = [Self::Service, Self::Slice, Self::Pod, Self::Node];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::Slice => "EndpointSlice",
            Self::Pod => "Pod",
            Self::Node => "Node",
            Self::FloatingIp => "FloatingIP",
        }
    }
}

/// Names an object among those of all kinds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    pub(crate) name: ObjectName,
}

impl Key {
    /// What stands for it in findings.
    pub(crate) fn id(&self) -> ObjectId {
        match self.kind {
            Kind::Service => ObjectId::LoadBalancer(self.name.clone()),
            Kind::Slice => slice_id(&self.name),
            Kind::Pod => ObjectId::Pod(self.name.clone()),
            Kind::Node => ObjectId::Zone(self.name.name.clone()),
            Kind::FloatingIp => ObjectId::FloatingIp(self.name.clone()),
        }
    }
}

fn slice_id(name: &ObjectName) -> ObjectId {
    ObjectId::other("EndpointSlice", name.to_string())
}

/// An object that is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Service(Arc<Service>),
    Slice(Arc<EndpointSlice>),
    Pod(Arc<Pod>),
    Node(Arc<Node>),
    FloatingIp(Arc<PodFloatingIp>),
}

/// Reads an object that an API server gives.
pub(crate) fn read(kind: Kind, mut object: Value) -> Read {
    at::At::at_server().read(kind, &mut object)
}

/// Objects by what names them.
pub(crate) type Items = BTreeMap<Key, Item>;

/// What one file says.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// The objects that can be used.
    pub(crate) items: Arc<Items>,
    /// Those that cannot, and why.
    pub(crate) refused: BTreeMap<Key, Vec<Reason>>,
    /// What is wrong with a part of one that is used without it.
    pub(crate) partial: BTreeMap<Key, Vec<Reason>>,
    /// Those that are there again, and where they are first.
    pub(crate) again: Vec<(Key, String)>,
    /// Documents, or items of Lists, that do not say what they are; the first ones.
    pub(crate) untold: Vec<Reason>,
    /// How many more of them there are.
    pub(crate) more_untold: usize,
    /// What was passed over, by version and kind.
    passed_over: BTreeMap<(String, String), PassedOver>,
    /// Objects of any kind that were seen and are not wrong.
    pub(crate) seen: usize,
    /// Whether there was an empty List.
    empty_list: bool,
}

impl Said {
    /// Reads the text of a file. Kinds that are not known are passed over. What is wrong harms nothing else.
    pub(crate) fn read(path: &Path, text: &str) -> Self {
        let lines = Lines::of_file(text);
        let mut reader = kinds::Reader::new(path, &lines);
        for (number, document) in documents::split(text).enumerate() {
            let reason = |message| Reason::invalid(place(path, Some(document.line)), message);
            if number == MAX_DOCUMENTS {
                let message = format!("more than {MAX_DOCUMENTS} documents: split the file");
                reader.untold(reason(message));
                break;
            }
            if document.text.len() > MAX_DOCUMENT_BYTES {
                let message = format!(
                    "a document of {} bytes, more than the {MAX_DOCUMENT_BYTES} that one may have: split it",
                    document.text.len()
                );
                reader.untold(reason(message));
            } else {
                reader.add(document);
            }
        }
        reader.finish()
    }

    /// Whether nothing of it is wrong.
    pub(crate) fn is_sound(&self) -> bool {
        self.refused.is_empty() && self.untold.is_empty()
    }

    /// Whether it holds nothing, right or wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.seen == 0 && self.is_sound()
    }

    /// Whether it says that there is no object, by a List of none. A file that was truncated does not say that.
    pub(crate) fn says_none(&self) -> bool {
        self.is_empty() && self.empty_list
    }

    /// Notes on what is of no use here.
    pub(crate) fn passed_over(&self) -> impl Iterator<Item = String> {
        self.passed_over.iter().map(|((version, kind), over)| over.text(version, kind))
    }
}

#[cfg(test)]
mod tests;
