//! Writes the node file that a node's daemon is started with, from the lab's topology.

use anyhow::Result;
use serde_json::json;

use crate::topology::{Node, Topology, mac_of};

/// The node file of `node`, as YAML text.
///
/// # Errors
/// The text cannot be made.
pub(crate) fn render(_topology: &Topology, node: &Node) -> Result<String> {
    let file = json!({
        "name": node.name,
        "mac": mac_of(node.address),
    });
    Ok(serde_yaml_ng::to_string(&file)?)
}
