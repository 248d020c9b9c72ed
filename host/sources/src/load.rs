//! Reads the node file and the manifests once.

use std::path::{Path, PathBuf};
use std::time::Instant;

use penstock_model::{NodeConfig, Snapshot};

use crate::SourceError;
use crate::gather::{Gatherer, node_alone};
use crate::look::Look;
use crate::store::Store;

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
    let gathered = Gatherer::new(paths.clone()).gather(&Look::take(paths), &[]);
    let reading = Store::new(paths).weigh(gathered, Instant::now());
    match reading.snapshot {
        Some(snapshot) if reading.faults.is_empty() => Ok(snapshot),
        _ => Err(SourceError::Faults(reading.faults)),
    }
}

/// Reads a node file alone.
///
/// # Errors
/// It cannot be read or is wrong; all faults are listed.
pub fn load_node(path: &Path) -> Result<NodeConfig, SourceError> {
    node_alone(path).map_err(SourceError::Faults)
}
