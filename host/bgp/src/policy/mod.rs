//! What of the node's routes is told to peers, and what of theirs the node takes: between BGP's words and the model's.

mod export;
mod import;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use penstock_model::{Encapsulation, VrfId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::community::RouteTarget;

pub use export::Exporter;
pub use import::{Imported, Importer, Unused};

/// The node, as far as routes are concerned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// Its tunnel end point: the next hop of its routes, and what their distinguishers begin with.
    pub node: Ipv4Addr,
    /// How it takes packets, the best first; and how it sends those of routes that do not say how they are to be sent: as the first.
    pub encapsulations: Vec<Encapsulation>,
    /// Targets of each VRF. Routes of others stay in the node, and it learns none for them.
    pub vrfs: BTreeMap<VrfId, Targets>,
}

/// Route targets of a VRF: in Contrail those of its virtual network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Targets {
    /// It has the routes that have one of these.
    #[serde(default)]
    pub import: BTreeSet<RouteTarget>,
    /// Its routes get these.
    #[serde(default)]
    pub export: BTreeSet<RouteTarget>,
}

/// A policy cannot be; whoever wrote it is to blame.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PolicyError {
    /// No encapsulation.
    #[error("no encapsulation is given: the node could take no packets of others")]
    NoEncapsulation,
    /// The next hop must be an address of one machine.
    #[error("{0} is not the address of a node")]
    NotANode(Ipv4Addr),
    /// The targets would not fit in one message with their routes.
    #[error("VRF {vrf} exports to {count} route targets, more than {most}")]
    ManyTargets {
        /// The VRF.
        vrf: VrfId,
        /// How many.
        count: usize,
        /// How many may be.
        most: usize,
    },
    /// Its number has no place in a distinguisher.
    #[error("VRF {0} cannot have route targets: numbers above {1} have no distinguisher")]
    Number(VrfId, u16),
}

impl Policy {
    /// More export targets of a VRF than this are refused.
    pub const MOST_EXPORT_TARGETS: usize = 64;
    /// The highest number of a VRF that can have routes of others.
    pub const LAST_VRF: u16 = export::ALTERNATE - 1;

    /// Whether it can be.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), PolicyError> {
        let node = self.node;
        if node.is_unspecified() || node.is_multicast() || node.is_broadcast() || node.is_loopback()
        {
            return Err(PolicyError::NotANode(node));
        }
        if self.encapsulations.is_empty() {
            return Err(PolicyError::NoEncapsulation);
        }
        for (&vrf, targets) in &self.vrfs {
            let (count, most) = (targets.export.len(), Self::MOST_EXPORT_TARGETS);
            if count > most {
                return Err(PolicyError::ManyTargets { vrf, count, most });
            }
            if vrf.0 > Self::LAST_VRF {
                return Err(PolicyError::Number(vrf, Self::LAST_VRF));
            }
        }
        Ok(())
    }

    /// All targets that some VRF imports.
    #[must_use]
    pub fn imported(&self) -> BTreeSet<RouteTarget> {
        self.vrfs.values().flat_map(|targets| targets.import.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests;
