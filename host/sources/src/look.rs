//! One look at the files: which there are, and what tells without reading them whether they changed.
//!
//! A look costs one system call a file. Two looks that are equal with some time between them mean that nobody writes.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::Paths;
use crate::text::plain;

/// What changes when a file is written or replaced. Links are followed, so that one that points elsewhere is a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Device and inode.
    file: (u64, u64),
    /// Its size.
    pub(crate) bytes: u64,
    /// When its content was last written: seconds, nanoseconds.
    written: (i64, i64),
    /// When it was last changed in any way, which no program can set back: seconds, nanoseconds.
    changed: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            bytes: metadata.len(),
            written: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// A stamp, or why there is none.
pub(crate) type Stamped = Result<Stamp, String>;

/// The directory of manifests as it is at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directory {
    /// Device and inode of what its path leads to.
    pub(crate) identity: (u64, u64),
    /// Its manifests, ordered by name.
    pub(crate) files: BTreeMap<PathBuf, Stamped>,
    /// What has a manifest's name and is no file: a pipe, a device.
    pub(crate) others: Vec<PathBuf>,
}

/// Node file and manifests at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// The node file.
    pub(crate) node: Stamped,
    /// The directory, or why it cannot be read.
    pub(crate) directory: Result<Directory, String>,
}

impl Look {
    /// Looks.
    pub(crate) fn take(paths: &Paths) -> Self {
        Self { node: stamp(&paths.node), directory: directory(&paths.manifests) }
    }

    /// The files that are not the same in both, the node file among them; those that are in one of the two only, too.
    pub(crate) fn differences(&self, other: &Self, node: &Path) -> Vec<PathBuf> {
        let none = BTreeMap::new();
        let files = |look: &Self| look.directory.as_ref().map_or(none.clone(), |d| d.files.clone());
        let (ours, theirs) = (files(self), files(other));
        let mut paths: Vec<PathBuf> = ours
            .iter()
            .filter(|(path, stamp)| theirs.get(*path) != Some(*stamp))
            .map(|(path, _)| path.clone())
            .chain(theirs.keys().filter(|path| !ours.contains_key(*path)).cloned())
            .collect();
        if self.node != other.node {
            paths.push(node.to_owned());
        }
        paths
    }
}

/// The stamp of a file.
pub(crate) fn stamp(path: &Path) -> Stamped {
    std::fs::metadata(path).map(|found| Stamp::of(&found)).map_err(|error| plain(&error))
}

/// The manifests of a directory: its `*.yaml`, `*.yml` and `*.json`. Hidden files (an editor's, a mounted volume's
/// bookkeeping) are none.
fn directory(path: &Path) -> Result<Directory, String> {
    let text = |error: std::io::Error| plain(&error);
    let found = std::fs::metadata(path).map_err(text)?;
    let mut directory = Directory {
        identity: (found.dev(), found.ino()),
        files: BTreeMap::new(),
        others: Vec::new(),
    };
    for entry in std::fs::read_dir(path).map_err(text)? {
        let path = entry.map_err(text)?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        let manifest = path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json");
        if hidden || !manifest {
            continue;
        }
        match std::fs::metadata(&path) {
            Ok(found) if found.is_file() => {
                directory.files.insert(path, Ok(Stamp::of(&found)));
            }
            Ok(found) if found.is_dir() => {}
            Ok(_) => directory.others.push(path),
            // Removed since the directory was listed, unless a link that leads nowhere is still there.
            Err(_) if std::fs::symlink_metadata(&path).is_err() => {}
            Err(error) => {
                directory.files.insert(path, Err(plain(&error)));
            }
        }
    }
    directory.others.sort();
    Ok(directory)
}
