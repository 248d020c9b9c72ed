//! Reads the node file and the manifests once, and takes them only if nothing is wrong with them.

use std::path::{Path, PathBuf};
use std::time::Instant;

use penstock_model::{Effect, Fragment, Intent, Policy, Reason, SourceName};

use crate::follow::{Follower, Store};
use crate::look::Place;
use crate::manifests::{self, ManifestStore};
use crate::node_file::{self, NodeStore};
use crate::{Merger, SourceError};

/// Where the intent lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The node file.
    pub node: PathBuf,
    /// The directory of manifests: its `*.yaml`, `*.yml` and `*.json` files, not those of sub-directories.
    pub manifests: PathBuf,
}

/// Reads the node file and all manifests.
///
/// # Errors
/// A file cannot be read, or an object is wrong or in conflict with another one; all that was found is listed.
pub fn load(paths: &Paths, policy: Policy) -> Result<Intent, SourceError> {
    let manifests = paths.manifests.clone();
    let fragments = [
        once(Place::File(paths.node.clone()), NodeStore::new(paths.node.clone())),
        once(Place::Directory(manifests.clone()), ManifestStore::new(manifests)),
    ];
    strict(&[node_file::SOURCE, manifests::SOURCE], policy, &fragments)
}

/// Reads a node file alone.
///
/// # Errors
/// It cannot be read, or an object in it is wrong; all that was found is listed.
pub fn load_node(path: &Path) -> Result<Intent, SourceError> {
    let fragment = once(Place::File(path.to_owned()), NodeStore::new(path.to_owned()));
    strict(&[node_file::SOURCE], Policy::default(), &[fragment])
}

fn once<S: Store>(place: Place, store: S) -> Fragment {
    Follower::new(place, store).at_once(Instant::now()).fragment
}

fn strict(sources: &[&str], policy: Policy, fragments: &[Fragment]) -> Result<Intent, SourceError> {
    let sources = sources.iter().map(|name| SourceName::from(*name)).collect();
    let intent = Merger::new(sources, policy).merge(fragments);
    let all = intent.findings.iter().flat_map(|(id, list)| list.iter().map(move |one| (id, one)));
    // What is passed over is not wrong.
    let wrong = all.filter(|(_, finding)| {
        finding.effect != Effect::Note || matches!(finding.reason, Reason::Defined { .. })
    });
    let wrong: Vec<_> = wrong.map(|(id, finding)| (id.clone(), finding.clone())).collect();
    if wrong.is_empty() { Ok(intent) } else { Err(SourceError::Findings(wrong)) }
}
