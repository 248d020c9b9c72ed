//! Reads the node file and the manifests once.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use penstock_model::{NodeConfig, Note, ObjectName, Pod, Snapshot};

use crate::kubernetes::Objects;
use crate::{SourceError, node_file};

/// Where the intent lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The node file.
    pub node: PathBuf,
    /// The directory of manifests: its `*.yaml`, `*.yml` and `*.json` files, not those of sub-directories.
    pub manifests: PathBuf,
}

/// Reads the node file and all manifests. `neighbours` of the snapshot is empty: the caller knows the kernel.
///
/// # Errors
/// A file cannot be read or is wrong; all faults are listed.
pub fn load(paths: &Paths) -> Result<Snapshot, SourceError> {
    let node = load_node(&paths.node)?;
    let mut objects = Objects::default();
    let mut faults = Vec::new();
    for path in manifest_files(&paths.manifests)? {
        faults.append(&mut objects.add_text(&path, &read(&path)?));
    }
    if !faults.is_empty() {
        return Err(SourceError::Faults(faults));
    }
    let (load_balancers, mut notes) = objects.load_balancers();
    let pods = objects.pods();
    notes.extend(moved_pods(&node, &pods));
    Ok(Snapshot { node, load_balancers, pods, notes, ..Snapshot::default() })
}

/// Pods whose manifest names another address than the node file does: the node file is what counts.
fn moved_pods(node: &NodeConfig, pods: &BTreeMap<Ipv4Addr, Pod>) -> Vec<Note> {
    let addresses: BTreeMap<&ObjectName, Ipv4Addr> =
        pods.iter().map(|(address, pod)| (&pod.name, *address)).collect();
    let moved = node.vifs.iter().filter_map(|vif| {
        let address = addresses.get(&vif.pod).filter(|address| **address != vif.address)?;
        let text = format!("has address {address}, but vif {} has {}", vif.id, vif.address);
        Some(Note::new(format_args!("Pod {}", vif.pod), text))
    });
    moved.collect()
}

/// Reads a node file alone.
///
/// # Errors
/// It cannot be read or is wrong; all faults are listed.
pub fn load_node(path: &Path) -> Result<NodeConfig, SourceError> {
    node_file::parse(path, &read(path)?)
}

/// The manifests of a directory, ordered by name. Hidden files (an editor's, a mounted volume's bookkeeping) are not.
fn manifest_files(directory: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let fault = |source| SourceError::Io { path: directory.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        let manifest = path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json");
        if manifest && !hidden && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<String, SourceError> {
    std::fs::read_to_string(path)
        .map_err(|source| SourceError::Io { path: path.to_owned(), source })
}
