//! The node: its place in the fabric, its VRFs, its pods' vifs, and the nodes it tunnels to.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::{MacAddr, MplsLabel, ObjectName, Prefix, VifId, VrfId};

/// All that is particular to one node. Whoever builds it has checked what [`NodeConfig`]'s fields say of themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeConfig {
    /// Name of the node, as in `nodeName` of endpoints.
    pub name: String,
    /// Its place in the fabric.
    pub fabric: Fabric,
    /// VRFs, each number and each name once.
    pub vrfs: Vec<Vrf>,
    /// Vifs of pods; number, name, address and label of each are unlike every other's.
    pub vifs: Vec<PodVif>,
    /// The other nodes; no pod address belongs to two nodes.
    pub remotes: Vec<RemoteNode>,
}

impl NodeConfig {
    /// The vif with this address.
    #[must_use]
    pub fn vif_by_address(&self, address: Ipv4Addr) -> Option<&PodVif> {
        self.vifs.iter().find(|vif| vif.address == address)
    }

    /// The VRF with this number.
    #[must_use]
    pub fn vrf(&self, id: VrfId) -> Option<&Vrf> {
        self.vrfs.iter().find(|vrf| vrf.id == id)
    }

    /// Name of the node, this or another, that has this address.
    #[must_use]
    pub fn owner_of(&self, address: Ipv4Addr) -> Option<&str> {
        if address == self.fabric.address.address {
            return Some(&self.name);
        }
        self.remote_by_address(address).map(|remote| remote.name.as_str())
    }

    /// The remote node with this tunnel end point.
    #[must_use]
    pub fn remote_by_address(&self, address: Ipv4Addr) -> Option<&RemoteNode> {
        self.remotes.iter().find(|remote| remote.address == address)
    }
}

/// The node's place in the fabric. The node's kernel owns the address, through `vhost0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fabric {
    /// Tunnel end point with the fabric's prefix length, `10.169.25.20/24`.
    pub address: Prefix,
    /// MAC address of the fabric port, and of `vhost0`.
    pub mac: MacAddr,
}

impl Default for Fabric {
    fn default() -> Self {
        Self {
            address: Prefix { address: Ipv4Addr::UNSPECIFIED, len: 32 },
            mac: MacAddr::default(),
        }
    }
}

/// A routing table, in Contrail one for each virtual network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vrf {
    /// Number on the card; 0 is the fabric's own.
    pub id: VrfId,
    /// Name.
    pub name: String,
    /// VRFs whose pods have routes in this one too. A VRF always has its own pods' routes.
    pub imports: Vec<VrfId>,
}

/// A pod's interface on the card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodVif {
    /// Number on the card, from [`VifId::FIRST_POD`].
    pub id: VifId,
    /// Name, as the port and the views show it.
    pub name: String,
    /// The pod.
    pub pod: ObjectName,
    /// The pod's address.
    pub address: Ipv4Addr,
    /// The pod's MAC address.
    pub mac: MacAddr,
    /// The VRF it is in.
    pub vrf: VrfId,
    /// The label under which this node accepts packets for it.
    pub label: MplsLabel,
}

/// How packets to a remote node are wrapped.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub enum Encapsulation {
    /// MPLS over UDP (RFC 7510).
    #[default]
    MplsOverUdp,
    /// MPLS over GRE (RFC 4023), which gateways speak.
    MplsOverGre,
}

/// Another node, or a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteNode {
    /// Name of the node.
    pub name: String,
    /// Its tunnel end point.
    pub address: Ipv4Addr,
    /// How it wants its packets.
    pub encapsulation: Encapsulation,
    /// VRFs of this node that import its routes; empty = all.
    pub vrfs: Vec<VrfId>,
    /// Its pods' addresses and the labels it advertises for them.
    pub labels: BTreeMap<Ipv4Addr, MplsLabel>,
    /// Prefixes shorter than /32 that it advertises, as a gateway does.
    pub prefixes: BTreeMap<Prefix, MplsLabel>,
}
