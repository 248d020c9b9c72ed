//! A directory of Kubernetes manifests as a source.

use std::path::PathBuf;

use crate::Watch;
use crate::look::Place;

mod file;
mod store;

#[cfg(test)]
pub(crate) use store::CONFIRM;
pub(crate) use store::ManifestStore;

/// What this source is called.
pub const SOURCE: &str = "manifests";

/// Follows a directory of manifests, on the current tokio runtime: its `*.yaml`, `*.yml` and `*.json` files, not those of
/// sub-directories.
#[must_use]
pub fn watch(directory: PathBuf) -> Watch {
    Watch::start(SOURCE, Place::Directory(directory.clone()), ManifestStore::new(directory))
}
