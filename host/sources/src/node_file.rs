//! The node file: what is particular to one node.
//!
//! ```yaml
//! name: cent222
//! fabric: { address: 10.169.25.20/24, mac: "02:00:0a:a9:19:14" }
//! vhost0: { vrf: 2, label: 24, outside: true }
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
//! Strict: unknown fields and duplicates are faults. One that is in a VRF, a vif, a remote or a label harms only that; one
//! because of which the file does not say what there is (its syntax, an unknown field at the top, no name or no fabric)
//! refuses the file, and what it said before stays. What is gone from it goes when nothing in the file is wrong, and it is still
//! gone 5 s later: a file that was cut says less, too. Numbers and addresses are checked by the rules that all sources share
//! ([`penstock_model::check`]), conflicts among objects where those of all sources are merged.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use penstock_model::{IpNet, MacAddr, Path};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_yaml_ng::Mapping;

use crate::Watch;
use crate::look::Place;

mod flow_aging;
mod flow_limits;
mod parse;
mod replaced;
mod store;

pub use flow_aging::{FlowAgingFile, PortAgingFile, ProtocolFile};
pub use flow_limits::{FlowLimitFile, FlowLimitsFile};
pub(crate) use store::NodeStore;

/// What this source is called.
pub const SOURCE: &str = "node file";

/// Follows a node file, on the current tokio runtime.
#[must_use]
pub fn watch(path: PathBuf) -> Watch {
    Watch::start(SOURCE, Place::File(path.clone()), NodeStore::new(path))
}

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
    /// Its own interface as an end point of the overlay.
    #[serde(default)]
    pub vhost0: VhostFile,
    /// Labels that the daemon gives to floating IPs of services, one to each that this node serves; none if absent.
    #[serde(default)]
    pub service_labels: Option<LabelBlockFile>,
    /// How long connections that nobody uses stay on the card.
    #[serde(default)]
    pub flow_aging: FlowAgingFile,
    /// What each pod and each other node may have of the card's flow table; as much as there is if absent.
    #[serde(default)]
    pub flow_limits: FlowLimitsFile,
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
    #[schemars(with = "String")]
    pub address: IpNet,
    /// MAC address of the fabric port and of `vhost0`.
    #[schemars(with = "String", regex(pattern = r"^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$"))]
    pub mac: MacAddr,
}

/// The node as an end point of the overlay.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VhostFile {
    /// Number of its VRF: whose pods and services the node reaches; the lowest if absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 4095))]
    pub vrf: Option<u16>,
    /// Label under which this node accepts packets for itself; other nodes list it for its address.
    #[serde(default)]
    #[schemars(range(min = 16, max = 1_048_575))]
    pub label: Option<u32>,
    /// Whether what pods send to addresses that nobody announces goes to the node's kernel.
    #[serde(default)]
    pub outside: bool,
}

/// Labels that follow one another.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelBlockFile {
    /// The first.
    #[schemars(range(min = 16, max = 1_048_575))]
    pub first: u32,
    /// How many there are.
    #[schemars(range(min = 1, max = 1_048_560))]
    pub count: u32,
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
    /// Networks whose floating IPs its pods reach.
    #[serde(default = "default_networks")]
    pub networks: Vec<String>,
    /// By which tunnels packets may come whose replies are routed in it.
    #[serde(default)]
    pub source_check: SourceCheckFile,
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
    pub address: IpAddr,
    /// The pod's MAC address.
    #[schemars(with = "String", regex(pattern = r"^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$"))]
    pub mac: MacAddr,
    /// Number of its VRF.
    pub vrf: u16,
    /// Label under which this node accepts packets for the pod.
    #[schemars(range(min = 16, max = 1_048_575))]
    pub label: u32,
    /// Which of the pod's packets make flow entries on the card.
    #[serde(default)]
    pub learn: LearnFile,
    /// What the pod may have of the card's flow table, in place of what `flowLimits` of the node says.
    #[serde(default)]
    pub flow_limits: Option<FlowLimitFile>,
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
    pub address: IpAddr,
    /// How it wants its packets.
    #[serde(default)]
    pub encapsulation: EncapsulationFile,
    /// Numbers of the VRFs here that import its routes; all if there are none.
    #[serde(default)]
    pub vrfs: Vec<u16>,
    /// Of several that announce one prefix, the one with the highest preference is used.
    #[serde(default = "default_preference")]
    pub preference: u32,
    /// Addresses of its pods, and the label it advertises for each.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, u32>")]
    pub labels: Mapping,
    /// Shorter prefixes that it advertises, and the label for each.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, u32>")]
    pub prefixes: Mapping,
}

/// By which tunnels packets of no known connection may come (the words are RFC 3704's).
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SourceCheckFile {
    /// Those by which packets to their source leave.
    #[default]
    Strict,
    /// Any that is known, if there is a way to their source, and not on this node only.
    Loose,
    /// Any, unless their source is on this node only.
    Off,
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

/// Which packets of a pod make flow entries.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LearnFile {
    /// All.
    #[default]
    Always,
    /// Those to or of a service; the pod's other connections are routed packet by packet.
    Translated,
    /// None: the pod neither serves nor uses a service, and what it sends to one is dropped.
    Never,
}

fn default_networks() -> Vec<String> {
    vec![penstock_model::NetworkName::services().to_string()]
}

fn default_preference() -> u32 {
    Path::PREFERENCE
}

fn default_namespace() -> String {
    "default".to_owned()
}

/// The JSON Schema of a node file, as text.
#[must_use]
pub fn schema() -> String {
    let mut text = serde_json::to_string_pretty(&schemars::schema_for!(NodeFile))
        .unwrap_or_else(|error| error.to_string());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
