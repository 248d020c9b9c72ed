//! One look at the files: which there are, and what tells without reading them whether they changed.
//!
//! A look costs one system call a file. Two looks that are equal with some time between them mean that nobody writes.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

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

/// Where a source's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is one file.
    File(PathBuf),
    /// It is the manifests in a directory.
    Directory(PathBuf),
}

impl Place {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Directory(path) => path,
        }
    }
}

/// The files of a source at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// Device and inode of what the place's path leads to, or why it cannot be read. Of a file it says what the file's own
    /// stamp says.
    pub(crate) identity: Result<(u64, u64), String>,
    /// The files, ordered by name. One file is there even if it cannot be found.
    pub(crate) files: BTreeMap<PathBuf, Stamped>,
    /// What has a manifest's name and is no file: a pipe, a device.
    pub(crate) others: Vec<PathBuf>,
}

impl Look {
    /// Looks.
    pub(crate) fn take(place: &Place) -> Self {
        match place {
            Place::File(path) => {
                let stamp = stamp(path);
                Self {
                    identity: stamp.as_ref().map(|stamp| stamp.file).map_err(Clone::clone),
                    files: BTreeMap::from([(path.clone(), stamp)]),
                    others: Vec::new(),
                }
            }
            Place::Directory(path) => directory(path).unwrap_or_else(|error| Self {
                identity: Err(plain(&error)),
                files: BTreeMap::new(),
                others: Vec::new(),
            }),
        }
    }

    /// The files that are not the same in both; those that are in one of the two only, too.
    pub(crate) fn differences(&self, other: &Self) -> Vec<PathBuf> {
        let changed =
            self.files.iter().filter(|(path, stamp)| other.files.get(*path) != Some(*stamp));
        let gone = other.files.keys().filter(|path| !self.files.contains_key(*path));
        changed.map(|(path, _)| path).chain(gone).cloned().collect()
    }
}

/// The stamp of a file.
pub(crate) fn stamp(path: &Path) -> Stamped {
    std::fs::metadata(path).map(|found| Stamp::of(&found)).map_err(|error| plain(&error))
}

/// The manifests of a directory: its `*.yaml`, `*.yml` and `*.json`. Hidden files (an editor's, a mounted volume's
/// bookkeeping) are none.
fn directory(path: &Path) -> std::io::Result<Look> {
    let found = std::fs::metadata(path)?;
    let mut look = Look {
        identity: Ok((found.dev(), found.ino())),
        files: BTreeMap::new(),
        others: Vec::new(),
    };
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        let manifest = path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json");
        if hidden || !manifest {
            continue;
        }
        match std::fs::metadata(&path) {
            Ok(found) if found.is_file() => {
                look.files.insert(path, Ok(Stamp::of(&found)));
            }
            Ok(found) if found.is_dir() => {}
            Ok(_) => look.others.push(path),
            // Removed since the directory was listed, unless a link that leads nowhere is still there.
            Err(_) if std::fs::symlink_metadata(&path).is_err() => {}
            Err(error) => {
                look.files.insert(path, Err(plain(&error)));
            }
        }
    }
    look.others.sort();
    Ok(look)
}
