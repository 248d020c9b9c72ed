//! Routes as they are announced, and the RIB that they make: who can be reached in which VRF, and how.
//!
//! Example: node `cent333` announces its pod 10.47.255.238 with label 43. That is the [`Route`] `10.47.255.238/32` of
//! `cent333`; in the RIB it is a [`Path`] of (VRF 2, 10.47.255.238/32). If another node announces the same prefix, there are
//! two paths, of which the better one is used.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::sync::Arc;

use imbl::OrdMap;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{Encapsulation, MplsLabel, ObjectId, VrfId};

/// A prefix that somebody announces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The prefix, without host bits; a pod's is /32 (IPv4) or /128.
    pub prefix: IpNet,
    /// VRFs of this node that import it; empty = all.
    pub vrfs: Vec<VrfId>,
    /// The way there.
    pub path: Path,
}

impl Route {
    /// What identifies it.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        ObjectId::Route { announcer: self.path.announcer.to_string(), prefix: self.prefix }
    }

    /// Whether it leads to one address only.
    #[must_use]
    pub fn is_host(&self) -> bool {
        self.prefix.prefix_len() == self.prefix.max_prefix_len()
    }
}

/// A way to a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// Tunnel end point.
    pub next_hop: IpAddr,
    /// Label pushed.
    pub label: MplsLabel,
    /// How packets are wrapped.
    pub encapsulation: Encapsulation,
    /// The higher the better; 100 unless somebody says otherwise (as LOCAL_PREF of BGP, RFC 4271 section 5.1.5).
    pub preference: u32,
    /// Who announces it: a node's name, a BGP peer.
    pub announcer: Arc<str>,
}

impl Path {
    /// Preference of a path about which nothing is said.
    pub const PREFERENCE: u32 = 100;

    /// Orders paths to one prefix, the best first.
    #[must_use]
    pub fn rank(&self) -> (Reverse<u32>, &str) {
        (Reverse(self.preference), &self.announcer)
    }
}

/// Paths to each prefix of each VRF, the best first: highest preference, then lowest announcer by name. Never an empty list.
pub type Rib = OrdMap<(VrfId, IpNet), Arc<[Path]>>;

/// What this node announces to others: how they reach it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Advertisement {
    /// VRF whose route it is.
    pub vrf: VrfId,
    /// The prefix: a local pod's, or a floating IP's that has a member here.
    pub prefix: IpNet,
    /// The label under which this node accepts packets for it.
    pub label: MplsLabel,
    /// This node's tunnel end point.
    pub next_hop: IpAddr,
}
