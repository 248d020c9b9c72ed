//! What a lab consists of: nodes, the pods on them and their addresses, read from a YAML file.
//!
//! In: the text of a topology file. Out: a [`Topology`] whose names, addresses, vif numbers and labels are
//! known to be consistent. Nothing here touches the machine.
//!
//! The chapter's testbed is built in ([`Topology::chapter`]): client 10.47.255.237 and a backend on `cent222`
//! (10.169.25.20), a backend 10.47.255.238 on `cent333` (10.169.25.21).

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use penstock_abi::limits;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The chapter's testbed, as committed.
const CHAPTER: &str = include_str!("../topology/chapter.yaml");

/// What is wrong with a topology file.
#[derive(Debug, Error)]
pub enum TopologyError {
    /// The text is not YAML of the expected shape; the author of the file must mend it.
    #[error("the topology does not parse: {0}")]
    Syntax(#[from] serde_yaml_ng::Error),
    /// The text parses but contradicts itself or a limit of the card.
    #[error("the topology is inconsistent: {0}")]
    Inconsistent(String),
    /// It gives something a name that is none.
    #[error("the topology is inconsistent")]
    Name(#[from] NameError),
}

/// A text that is not a name.
#[derive(Debug, Error)]
#[error("`{0}` is not a name of 1 to 63 characters a-z, 0-9 and `-`")]
pub struct NameError(String);

/// A whole testbed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Topology {
    /// Name of the lab, unless `--name` says otherwise.
    pub name: String,
    /// The network that the pods share.
    pub pod_network: PodNetwork,
    /// The network between the nodes.
    #[serde(default)]
    pub underlay: Underlay,
    /// Further arguments of each node's daemon.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub daemon_arguments: Vec<String>,
    /// The nodes, each with a card.
    pub nodes: Vec<Node>,
}

/// The pods' side of the lab.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodNetwork {
    /// VRF number of the network on every card.
    pub vrf: u16,
    /// Full name of the VRF, `<domain>:<project>:<network>:<instance>` in Contrail.
    pub vrf_name: String,
    /// Kubernetes namespace of the pods.
    pub namespace: String,
    /// The virtual gateway: next hop of each pod's default route.
    pub gateway: Ipv4Addr,
    /// MTU of the pods' interfaces; the tunnel adds 32 bytes of IPv4, UDP and MPLS to each packet.
    #[serde(default = "default_mtu")]
    pub mtu: u16,
    /// Gives each pod a permanent neighbour entry for the gateway, so that no ARP reply is needed.
    #[serde(default)]
    pub static_neighbour: bool,
}

/// The nodes' side of the lab: one bridge.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Underlay {
    /// Prefix length of the fabric addresses.
    pub prefix_length: u8,
    /// MTU of the fabric and of `vhost0`.
    #[serde(default = "default_underlay_mtu")]
    pub mtu: u16,
}

impl Default for Underlay {
    fn default() -> Self {
        Underlay { prefix_length: 24, mtu: default_underlay_mtu() }
    }
}

/// One node: a card, a daemon, a kernel that owns the fabric address.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Node {
    /// Kubernetes node name; also the name of the node's namespace in the lab.
    pub name: String,
    /// Fabric address (the tunnel end point), owned by the node's kernel on `vhost0`.
    pub address: Ipv4Addr,
    /// MPLS label by which others reach the node itself; without one only its own pods do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<u32>,
    /// Pods reach through it what no node announces.
    #[serde(default)]
    pub outside: bool,
    /// Pods that run here.
    pub pods: Vec<Pod>,
}

/// One pod: a network namespace behind one vif.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pod {
    /// Pod name; also the name of its namespace in the lab.
    pub name: String,
    /// Pod address.
    pub address: Ipv4Addr,
    /// vif number on the node's card.
    pub vif: u8,
    /// MPLS label that the node advertises for the pod.
    pub label: u32,
    /// TCP ports on which a small HTTP server listens from the start.
    #[serde(default)]
    pub http: Vec<u16>,
    /// UDP ports on which an echo server listens from the start.
    #[serde(default)]
    pub udp_echo: Vec<u16>,
}

const fn default_mtu() -> u16 {
    1400
}

const fn default_underlay_mtu() -> u16 {
    1500
}

/// Kernel limit of an interface name, without the final NUL.
const INTERFACE_NAME_MAX: usize = 15;
/// Bytes that encapsulation adds inside the fabric's MTU: IPv4 20, UDP 8, MPLS 4.
const TUNNEL_OVERHEAD: u16 = 32;

impl Topology {
    /// The committed testbed of the chapter.
    ///
    /// # Errors
    /// Only if the committed file is broken, which a test rules out.
    pub fn chapter() -> Result<Self, TopologyError> {
        Self::parse(CHAPTER)
    }

    /// Reads and checks the text of a topology file.
    ///
    /// # Errors
    /// The text does not parse, or names, addresses, vif numbers or labels clash.
    pub fn parse(text: &str) -> Result<Self, TopologyError> {
        let topology: Topology = serde_yaml_ng::from_str(text)?;
        topology.check()?;
        Ok(topology)
    }

    /// All pods with their nodes, in the order of the file.
    pub fn pods(&self) -> impl Iterator<Item = (&Node, &Pod)> {
        self.nodes.iter().flat_map(|node| node.pods.iter().map(move |pod| (node, pod)))
    }

    fn check(&self) -> Result<(), TopologyError> {
        let fail = |text: String| Err(TopologyError::Inconsistent(text));
        check_name(&self.name)?;
        if self.nodes.is_empty() {
            return fail("it has no node".to_owned());
        }
        if self.underlay.prefix_length > 32 {
            return fail(format!("prefix length {} is above 32", self.underlay.prefix_length));
        }
        if self.pod_network.mtu + TUNNEL_OVERHEAD > self.underlay.mtu {
            return fail(format!(
                "pod MTU {} leaves no room for the {TUNNEL_OVERHEAD} bytes of the tunnel in the underlay's {}",
                self.pod_network.mtu, self.underlay.mtu
            ));
        }
        self.check_underlay()?;
        let mut names = BTreeSet::from(["underlay".to_owned()]);
        let mut addresses = BTreeSet::from([self.pod_network.gateway]);
        for node in &self.nodes {
            check_name(&node.name)?;
            if fabric_interface(&node.name).len() > INTERFACE_NAME_MAX {
                return fail(format!("node name `{}` is longer than 11 characters", node.name));
            }
            if !names.insert(node.name.clone()) {
                return fail(format!("name `{}` is used twice", node.name));
            }
            if !addresses.insert(node.address) {
                return fail(format!("address {} is used twice", node.address));
            }
            let mut vifs = BTreeSet::new();
            let mut labels: BTreeSet<u32> = node.label.into_iter().collect();
            if let Some(label) =
                node.label.filter(|l| !(limits::LABEL_FIRST..limits::LABELS).contains(l))
            {
                return fail(format!("label {label} of node `{}` is out of range", node.name));
            }
            for pod in &node.pods {
                check_name(&pod.name)?;
                if !names.insert(pod.name.clone()) {
                    return fail(format!("name `{}` is used twice", pod.name));
                }
                if !addresses.insert(pod.address) {
                    return fail(format!("address {} is used twice", pod.address));
                }
                if pod.vif < limits::VIF_FIRST_POD || !vifs.insert(pod.vif) {
                    return fail(format!(
                        "vif {} of pod `{}` is reserved or used twice",
                        pod.vif, pod.name
                    ));
                }
                if !(limits::LABEL_FIRST..limits::LABELS).contains(&pod.label)
                    || !labels.insert(pod.label)
                {
                    return fail(format!(
                        "label {} of pod `{}` is out of range or used twice",
                        pod.label, pod.name
                    ));
                }
            }
        }
        Ok(())
    }

    /// The underlay is one bridge without a router: all nodes must be in one subnet.
    fn check_underlay(&self) -> Result<(), TopologyError> {
        let length = self.underlay.prefix_length;
        let host_bits = u32::MAX.checked_shr(length.into()).unwrap_or(0);
        let subnet = |node: &Node| u32::from(node.address) & !host_bits;
        let Some((first, others)) = self.nodes.split_first() else { return Ok(()) };
        match others.iter().find(|node| subnet(node) != subnet(first)) {
            None => Ok(()),
            Some(other) => Err(TopologyError::Inconsistent(format!(
                "nodes `{}` ({}/{length}) and `{}` ({}/{length}) are in different subnets, and the underlay has no router: \
                 change an address or underlay.prefixLength",
                first.name, first.address, other.name, other.address
            ))),
        }
    }
}

/// A name must be usable as a folder and as a Kubernetes name.
///
/// # Errors
/// It is not.
pub(crate) fn check_name(name: &str) -> Result<(), NameError> {
    let fits = !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fits { Ok(()) } else { Err(NameError(name.to_owned())) }
}

/// Name, in the underlay, of a node's fabric interface.
#[must_use]
pub fn fabric_interface(node: &str) -> String {
    format!("fab-{node}")
}

/// The MAC address that the lab gives to the interface with an address: locally administered, readable.
///
/// 10.47.255.237 -> 02:00:0a:2f:ff:ed
#[must_use]
pub fn mac_of(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_chapters_topology_is_consistent() {
        let topology = Topology::chapter().unwrap();
        let client = topology.pods().find(|(_, pod)| pod.name == "client").unwrap();
        assert_eq!(client.0.address, Ipv4Addr::new(10, 169, 25, 20));
        assert_eq!(client.1.address, Ipv4Addr::new(10, 47, 255, 237));
        assert_eq!(mac_of(client.1.address), "02:00:0a:2f:ff:ed");
    }

    fn broken(from: &str, to: &str) -> String {
        assert!(CHAPTER.contains(from), "the test must change something");
        let error = Topology::parse(&CHAPTER.replacen(from, to, 1)).unwrap_err();
        format!("{:#}", anyhow::Error::from(error))
    }

    #[test]
    fn the_clusters_topology_is_consistent() {
        let text = include_str!("../topology/cluster.yaml");
        let topology = Topology::parse(text).unwrap();
        assert_eq!(topology.nodes[1].label, Some(21));
        for (from, to) in [("label: 20\n", "label: 25\n"), ("label: 20\n", "label: 3\n")] {
            let error = Topology::parse(&text.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains("label"), "{error}");
        }
    }

    #[test]
    fn nodes_without_a_way_to_each_other_are_refused() {
        let error = broken("10.169.25.21", "10.169.26.21");
        for part in ["cent222", "cent333", "10.169.26.21/24", "different subnets"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(broken("prefixLength: 24", "prefixLength: 32").contains("different subnets"));
        let wide = CHAPTER.replace("10.169.25.21", "10.169.26.21");
        Topology::parse(&wide.replace("prefixLength: 24", "prefixLength: 16")).unwrap();
    }

    #[test]
    fn clashes_are_refused_by_name() {
        assert!(broken("vif: 8", "vif: 7").contains("vif 7"));
        assert!(broken("vif: 8", "vif: 2").contains("vif 2"));
        assert!(broken("label: 28", "label: 25").contains("label 25"));
        assert!(broken("label: 28", "label: 3").contains("label 3"));
        assert!(broken("10.47.255.236", "10.47.255.237").contains("10.47.255.237"));
        assert!(broken("name: cent333", "name: cent222").contains("cent222"));
        assert!(broken("mtu: 1400", "mtu: 1480").contains("1480"));
        assert!(broken("name: client", "name: Client").contains("Client"));
        assert!(broken("name: chapter", "name: ../chapter").contains("../chapter"));
        assert!(broken("vrf: 2", "vfr: 2").contains("vfr"));
    }
}
