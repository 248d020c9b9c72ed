//! What a running lab consists of, as its supervisor writes it down for everybody else.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Name of the namespace that holds the bridge between the nodes.
pub const UNDERLAY: &str = "underlay";

/// A running lab.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LabState {
    /// Name of the lab.
    pub name: String,
    /// Process id of the supervisor.
    pub supervisor: u32,
    /// Folder of manifests that the daemons watch.
    pub manifests: PathBuf,
    /// Namespaces by name: pods, nodes and [`UNDERLAY`].
    pub namespaces: BTreeMap<String, Namespace>,
    /// Nodes by name.
    pub nodes: BTreeMap<String, NodeState>,
}

/// One network namespace.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Namespace {
    /// Process that holds it.
    pub holder: u32,
    /// `pod`, `node` or `underlay`.
    pub kind: String,
    /// Address of its interface, if it has one.
    pub address: Option<String>,
    /// The node it belongs to, for a pod.
    pub node: Option<String>,
}

/// One node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeState {
    /// Socket of the simulated card.
    pub card: PathBuf,
    /// Socket of the daemon, for `penstock --api`.
    pub api: PathBuf,
    /// The node file given to the daemon.
    pub node_file: PathBuf,
}

/// One process of a running lab.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProcessState {
    /// Name: `cent222/card`, `cent222/penstockd`, `client/http-80`, ...
    pub name: String,
    /// Namespace it runs in.
    pub namespace: String,
    /// Process id, if it runs.
    pub pid: Option<u32>,
    /// How it ended, if it did.
    pub exit: Option<String>,
    /// File that takes its output.
    pub log: PathBuf,
}
