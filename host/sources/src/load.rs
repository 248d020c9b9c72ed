//! Reads the node file and the manifests once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use penstock_model::{NodeConfig, Snapshot};

use crate::kubernetes::Objects;
use crate::look::{Look, Stamped};
use crate::store::Store;
use crate::text::{Unread, read};
use crate::{Fault, SourceError, node_file};

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
    let gathered = gather(paths, &Look::take(paths), &[]);
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
    node(path, &crate::look::stamp(path), &mut Trouble::default()).map_err(SourceError::Faults)
}

/// What the files say, each for itself.
#[derive(Debug)]
pub(crate) struct Gathered {
    /// The node file, or its faults.
    pub(crate) node: Result<NodeConfig, Vec<Fault>>,
    /// The manifests, or why their directory cannot be read.
    pub(crate) manifests: Result<Manifests, Fault>,
    /// What stood in the way of reading.
    pub(crate) trouble: Trouble,
}

/// What the manifests of a directory say, each for itself.
#[derive(Debug)]
pub(crate) struct Manifests {
    /// Device and inode of the directory.
    pub(crate) identity: (u64, u64),
    /// The objects of each file, or its faults.
    pub(crate) files: BTreeMap<PathBuf, Result<Objects, Vec<Fault>>>,
    /// What has a manifest's name and is no file.
    pub(crate) others: Vec<PathBuf>,
}

/// What stood in the way of reading files, and may not the next time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trouble {
    /// A file changed while it was read.
    pub(crate) moved: bool,
    /// The kernel could not read a file.
    pub(crate) refused: bool,
}

/// Reads the files of a look. Those in `unsettled` are being written: they are not read and count as faulty, also if they
/// are not there at the moment.
pub(crate) fn gather(paths: &Paths, look: &Look, unsettled: &[PathBuf]) -> Gathered {
    let mut trouble = Trouble::default();
    let busy = |path: &Path| vec![Fault::of(path, "is being written")];
    let node = if unsettled.contains(&paths.node) {
        Err(busy(&paths.node))
    } else {
        node(&paths.node, &look.node, &mut trouble)
    };
    let manifests = look.directory.as_ref().map_err(|error| {
        let message = format!(
            "cannot be read: {error}; no service changes until it can (make the directory, or mount what holds it)"
        );
        Fault::of(&paths.manifests, message)
    });
    let manifests = manifests.map(|directory| {
        let mut files = BTreeMap::new();
        for (path, stamp) in &directory.files {
            if !unsettled.contains(path) {
                files.insert(path.clone(), manifest(path, stamp, &mut trouble));
            }
        }
        let unsettled = unsettled.iter().filter(|path| **path != paths.node);
        files.extend(unsettled.map(|path| (path.clone(), Err(busy(path)))));
        Manifests { identity: directory.identity, files, others: directory.others.clone() }
    });
    Gathered { node, manifests, trouble }
}

fn node(path: &Path, stamp: &Stamped, trouble: &mut Trouble) -> Result<NodeConfig, Vec<Fault>> {
    let text = text(path, stamp, trouble)?;
    node_file::parse(path, &text).map_err(|SourceError::Faults(faults)| faults)
}

fn manifest(path: &Path, stamp: &Stamped, trouble: &mut Trouble) -> Result<Objects, Vec<Fault>> {
    let text = text(path, stamp, trouble)?;
    let mut objects = Objects::default();
    let faults = objects.add_text(path, &text);
    if faults.is_empty() { Ok(objects) } else { Err(faults) }
}

fn text(path: &Path, stamp: &Stamped, trouble: &mut Trouble) -> Result<String, Vec<Fault>> {
    let stamp = stamp.as_ref().map_err(|error| {
        trouble.refused = true;
        vec![Fault::of(path, format!("cannot be read: {error}"))]
    })?;
    read(path, stamp).map_err(|unread| match unread {
        Unread::Moved => {
            trouble.moved = true;
            vec![Fault::of(path, "changed while it was read")]
        }
        Unread::Refused(fault) => {
            trouble.refused = true;
            vec![fault]
        }
        Unread::Wrong(fault) => vec![fault],
    })
}
