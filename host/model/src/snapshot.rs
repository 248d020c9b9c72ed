//! The whole intent for a node at one moment.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::{LoadBalancer, MacAddr, NodeConfig, ObjectName, Prefix};

/// Everything that the tables are compiled from. Sources publish it whole; there are no deltas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The node.
    pub node: NodeConfig,
    /// Load balancers, ordered by name, each name once.
    pub load_balancers: Vec<LoadBalancer>,
    /// Pods that the sources know of, by address: for names in views, never for routes.
    pub pods: BTreeMap<Ipv4Addr, Pod>,
    /// Tunnel end point -> MAC address of the next hop towards it, resolved by the node's kernel. Whoever fills it keeps
    /// the last known address of a neighbour that is being confirmed, so that a probe does not look like a departure.
    pub neighbours: BTreeMap<Ipv4Addr, MacAddr>,
    /// Ranges in which `externalIPs` are served, by the operator's leave; none unless given. Sources leave it empty.
    pub external_ranges: Vec<Prefix>,
    /// Ranges of services, pods and nodes, in which no `externalIPs` are served even so. Sources leave it empty.
    pub cluster_ranges: Vec<Prefix>,
    /// What the sources left out, and why. Not an error: the rest holds.
    pub notes: Vec<Note>,
}

/// A pod as a source knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Its name.
    pub name: ObjectName,
    /// The node it runs on, empty if not known.
    pub node: String,
}

/// Something that was left out or looks wrong, for the operator.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Note {
    /// What it is about: an object's name, a file and line, an address.
    pub subject: String,
    /// What was done about it and why.
    pub text: String,
}

impl Note {
    /// A note about `subject`.
    #[must_use]
    pub fn new(subject: impl fmt::Display, text: impl fmt::Display) -> Self {
        Self { subject: subject.to_string(), text: text.to_string() }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.text)
    }
}
