//! Writes the node file that a node's daemon is started with, from the lab's topology.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use anyhow::Result;
use serde::Serialize;

use crate::topology::{Node, Pod, PodNetwork, Topology, mac_of};

/// What the daemon reads; its schema is `docs/node-schema.json`.
#[derive(Serialize)]
struct NodeFile<'a> {
    name: &'a str,
    fabric: Fabric,
    #[serde(skip_serializing_if = "Option::is_none")]
    vhost0: Option<Vhost>,
    vrfs: [Vrf<'a>; 1],
    vifs: Vec<Vif<'a>>,
    remotes: Vec<Remote<'a>>,
}

#[derive(Serialize)]
struct Fabric {
    address: String,
    mac: String,
}

#[derive(Serialize)]
struct Vhost {
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<u32>,
    outside: bool,
}

#[derive(Serialize)]
struct Vrf<'a> {
    id: u16,
    name: &'a str,
}

#[derive(Serialize)]
struct Vif<'a> {
    id: u8,
    name: &'a str,
    pod: PodName<'a>,
    address: Ipv4Addr,
    mac: String,
    vrf: u16,
    label: u32,
}

#[derive(Serialize)]
struct PodName<'a> {
    namespace: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
struct Remote<'a> {
    name: &'a str,
    address: Ipv4Addr,
    labels: BTreeMap<Ipv4Addr, u32>,
}

/// The node file of `node`, as YAML text.
///
/// # Errors
/// The text cannot be made.
pub(crate) fn render(topology: &Topology, node: &Node) -> Result<String> {
    let network = &topology.pod_network;
    let remotes = topology.nodes.iter().filter(|remote| remote.name != node.name);
    let file = NodeFile {
        name: &node.name,
        fabric: Fabric {
            address: format!("{}/{}", node.address, topology.underlay.prefix_length),
            mac: mac_of(node.address),
        },
        vhost0: (node.label.is_some() || node.outside)
            .then_some(Vhost { label: node.label, outside: node.outside }),
        vrfs: [Vrf { id: network.vrf, name: &network.vrf_name }],
        vifs: node.pods.iter().map(|pod| vif(network, pod)).collect(),
        remotes: remotes
            .map(|remote| Remote {
                name: &remote.name,
                address: remote.address,
                labels: remote
                    .pods
                    .iter()
                    .map(|pod| (pod.address, pod.label))
                    .chain(remote.label.map(|label| (remote.address, label)))
                    .collect(),
            })
            .collect(),
    };
    Ok(serde_yaml_ng::to_string(&file)?)
}

fn vif<'a>(network: &'a PodNetwork, pod: &'a Pod) -> Vif<'a> {
    Vif {
        id: pod.vif,
        name: &pod.name,
        pod: PodName { namespace: &network.namespace, name: &pod.name },
        address: pod.address,
        mac: mac_of(pod.address),
        vrf: network.vrf,
        label: pod.label,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_node_with_a_label_is_reached_by_others() {
        let topology = Topology::parse(include_str!("../topology/cluster.yaml")).unwrap();
        let text = render(&topology, &topology.nodes[0]).unwrap();
        assert!(text.contains("10.169.25.21: 21") && !text.contains("10.169.25.20: 20"), "{text}");
        assert!(text.contains("vhost0:\n  label: 20\n  outside: true\n"), "{text}");
    }

    /// The committed node files of the chapter, which other tests use, say the same as the topology.
    #[test]
    fn the_chapters_node_files_are_what_the_lab_writes() {
        let topology = Topology::chapter().unwrap();
        for node in &topology.nodes {
            let path = format!("../../tests/manifests/chapter/{}.yaml", node.name);
            let committed = std::fs::read_to_string(path).unwrap();
            let parse = |text: &str| serde_yaml_ng::from_str::<serde_yaml_ng::Value>(text).unwrap();
            assert_eq!(
                parse(&render(&topology, node).unwrap()),
                parse(&committed),
                "{}",
                node.name
            );
        }
    }
}
