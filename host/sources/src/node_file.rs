//! The node file: what is particular to one node.
//!
//! ```yaml
//! name: cent222
//! fabric: { address: 10.169.25.20/24, mac: "02:00:0a:a9:19:14" }
//! vrfs:
//!   - { id: 2, name: k8s-default-pod-network }
//! vifs:
//!   - id: 7
//!     name: client
//!     pod: { namespace: ns-user-1, name: client }
//!     address: 10.47.255.237
//!     mac: "02:00:0a:2f:ff:ed"
//!     vrf: 2
//!     label: 25
//! remotes:
//!   - name: cent333
//!     address: 10.169.25.21
//!     labels: { 10.47.255.238: 43 }
//! ```
//!
//! Strict: unknown fields, duplicates, reserved labels, VRFs that do not exist are faults, all of which are listed.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::path::Path;

use penstock_model::{
    Encapsulation, Fabric, MacAddr, MplsLabel, NodeConfig, ObjectName, PodVif, Prefix, RemoteNode,
    VifId, Vrf, VrfId,
};
use schemars::JsonSchema;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::{Fault, SourceError};

mod validate;

/// A node file as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Penstock node file")]
pub struct NodeFile {
    /// Name of the node, as in `nodeName` of endpoints.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Its place in the fabric.
    pub fabric: FabricFile,
    /// VRFs.
    pub vrfs: Vec<VrfFile>,
    /// Interfaces of this node's pods.
    #[serde(default)]
    pub vifs: Vec<VifFile>,
    /// The nodes that it tunnels to.
    #[serde(default)]
    pub remotes: Vec<RemoteFile>,
}

/// The node's place in the fabric.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FabricFile {
    /// Tunnel end point with the fabric's prefix length, like 10.169.25.20/24.
    #[schemars(with = "String", regex(pattern = r"^\d+\.\d+\.\d+\.\d+/\d+$"))]
    pub address: Prefix,
    /// MAC address of the fabric port and of `vhost0`.
    #[schemars(with = "String", regex(pattern = r"^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$"))]
    pub mac: MacAddr,
}

/// A VRF.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VrfFile {
    /// Number on the card; 0 is the fabric's own.
    #[schemars(range(min = 1, max = 4095))]
    pub id: u16,
    /// Name.
    pub name: String,
    /// Numbers of VRFs whose pods have routes in this one too.
    #[serde(default)]
    pub imports: Vec<u16>,
}

/// A pod's interface.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VifFile {
    /// Number on the card; 0 is the fabric, 1 vhost0, 2 pkt0.
    #[schemars(range(min = 3, max = 255))]
    pub id: u8,
    /// Name of the port.
    pub name: String,
    /// The pod.
    pub pod: PodRef,
    /// The pod's address.
    #[schemars(with = "String", regex(pattern = r"^\d+\.\d+\.\d+\.\d+$"))]
    pub address: Ipv4Addr,
    /// The pod's MAC address.
    #[schemars(with = "String", regex(pattern = r"^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$"))]
    pub mac: MacAddr,
    /// Number of its VRF.
    pub vrf: u16,
    /// Label under which this node accepts packets for the pod.
    #[schemars(range(min = 16, max = 8191))]
    pub label: u32,
}

/// Names a pod.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodRef {
    /// Namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// Another node or a gateway.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RemoteFile {
    /// Name of the node.
    pub name: String,
    /// Its tunnel end point.
    #[schemars(with = "String", regex(pattern = r"^\d+\.\d+\.\d+\.\d+$"))]
    pub address: Ipv4Addr,
    /// How it wants its packets.
    #[serde(default)]
    pub encapsulation: EncapsulationFile,
    /// Numbers of the VRFs here that import its routes; all if there are none.
    #[serde(default)]
    pub vrfs: Vec<u16>,
    /// Addresses of its pods, and the label it advertises for each.
    #[serde(default, deserialize_with = "unique_keys")]
    #[schemars(with = "BTreeMap<String, u32>")]
    pub labels: Vec<(Ipv4Addr, u32)>,
    /// Shorter prefixes that it advertises, and the label for each.
    #[serde(default, deserialize_with = "unique_keys")]
    #[schemars(with = "BTreeMap<String, u32>")]
    pub prefixes: Vec<(Prefix, u32)>,
}

/// How packets to a node are wrapped.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EncapsulationFile {
    /// MPLS over UDP (RFC 7510).
    #[default]
    MplsOverUdp,
    /// MPLS over GRE (RFC 4023).
    MplsOverGre,
}

fn default_namespace() -> String {
    "default".to_owned()
}

/// Reads a mapping whose keys must differ, which a map type would hide.
fn unique_keys<'de, D, K>(deserializer: D) -> Result<Vec<(K, u32)>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord + fmt::Display,
{
    struct Pairs<K>(std::marker::PhantomData<K>);
    impl<'de, K: Deserialize<'de> + Ord + fmt::Display> Visitor<'de> for Pairs<K> {
        type Value = Vec<(K, u32)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a mapping from addresses to labels")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs: Vec<(K, u32)> = Vec::new();
            while let Some((key, label)) = map.next_entry()? {
                if pairs.iter().any(|(other, _)| *other == key) {
                    return Err(serde::de::Error::custom(format!("{key} is there twice")));
                }
                pairs.push((key, label));
            }
            Ok(pairs)
        }
    }
    deserializer.deserialize_map(Pairs(std::marker::PhantomData))
}

/// Reads the text of a node file; `path` is for messages.
///
/// # Errors
/// All faults found.
pub fn parse(path: &Path, text: &str) -> Result<NodeConfig, SourceError> {
    let file: NodeFile = serde_yaml_ng::from_str(text).map_err(|error| {
        SourceError::Faults(vec![Fault {
            path: path.to_owned(),
            line: error.location().map(|at| at.line()),
            message: error.to_string(),
        }])
    })?;
    let faults = validate::validate(&file);
    if faults.is_empty() {
        Ok(file.into())
    } else {
        let fault = |message| Fault { path: path.to_owned(), line: None, message };
        Err(SourceError::Faults(faults.into_iter().map(fault).collect()))
    }
}

/// The JSON Schema of a node file, as text.
#[must_use]
pub fn schema() -> String {
    let mut text = serde_json::to_string_pretty(&schemars::schema_for!(NodeFile))
        .unwrap_or_else(|error| error.to_string());
    text.push('\n');
    text
}

impl From<NodeFile> for NodeConfig {
    fn from(file: NodeFile) -> Self {
        let vrf_ids = |ids: Vec<u16>| ids.into_iter().map(VrfId).collect();
        Self {
            name: file.name,
            fabric: Fabric { address: file.fabric.address, mac: file.fabric.mac },
            vrfs: file
                .vrfs
                .into_iter()
                .map(|vrf| Vrf { id: VrfId(vrf.id), name: vrf.name, imports: vrf_ids(vrf.imports) })
                .collect(),
            vifs: file
                .vifs
                .into_iter()
                .map(|vif| PodVif {
                    id: VifId(vif.id),
                    name: vif.name,
                    pod: ObjectName { namespace: vif.pod.namespace, name: vif.pod.name },
                    address: vif.address,
                    mac: vif.mac,
                    vrf: VrfId(vif.vrf),
                    label: MplsLabel(vif.label),
                })
                .collect(),
            remotes: file
                .remotes
                .into_iter()
                .map(|remote| RemoteNode {
                    name: remote.name,
                    address: remote.address,
                    encapsulation: match remote.encapsulation {
                        EncapsulationFile::MplsOverUdp => Encapsulation::MplsOverUdp,
                        EncapsulationFile::MplsOverGre => Encapsulation::MplsOverGre,
                    },
                    vrfs: vrf_ids(remote.vrfs),
                    labels: remote.labels.into_iter().map(|(a, l)| (a, MplsLabel(l))).collect(),
                    prefixes: remote
                        .prefixes
                        .into_iter()
                        .map(|(p, l)| (p.network(), MplsLabel(l)))
                        .collect(),
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests;
