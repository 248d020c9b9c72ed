//! Reads files, each of them once as long as it does not change.
//!
//! What a file said is kept with the stamp that it had, be it objects or faults, so that one file's change costs nothing
//! for the others, however large they are. What could not be read is tried anew each time, and that alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use penstock_model::NodeConfig;

use crate::kubernetes::Objects;
use crate::look::{Look, Stamp, Stamped};
use crate::text::{Unread, read};
use crate::{Fault, Paths, SourceError, node_file};

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
    pub(crate) files: BTreeMap<PathBuf, Result<Arc<Objects>, Vec<Fault>>>,
    /// What has a manifest's name and is no file.
    pub(crate) others: Vec<PathBuf>,
}

/// What stood in the way of reading files, and may not the next time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trouble {
    /// A file changed between the look and the end of its reading. It counts as being written.
    pub(crate) moved: bool,
    /// The kernel could not read a file.
    pub(crate) refused: bool,
}

/// What a file said, and the stamp that it had then.
type Kept<T> = Option<(Stamp, Result<T, Vec<Fault>>)>;

/// Reads files, and keeps what they said.
#[derive(Debug)]
pub(crate) struct Gatherer {
    paths: Paths,
    node: Kept<NodeConfig>,
    files: BTreeMap<PathBuf, Kept<Arc<Objects>>>,
}

impl Gatherer {
    /// Nothing was read yet.
    pub(crate) fn new(paths: Paths) -> Self {
        Self { paths, node: None, files: BTreeMap::new() }
    }

    /// Reads the files of a look, as far as they are others than before. Those in `unsettled` are being written: they are
    /// not read and count as faulty, also if they are not there at the moment.
    pub(crate) fn gather(&mut self, look: &Look, unsettled: &[PathBuf]) -> Gathered {
        let mut trouble = Trouble::default();
        let path = &self.paths.node;
        let node = if unsettled.contains(path) {
            Err(busy(path))
        } else {
            take(path, &look.node, &mut self.node, &mut trouble, node)
        };
        let manifests = match &look.directory {
            Err(error) => Err(Fault::of(
                &self.paths.manifests,
                format!(
                    "cannot be read: {error}; no service changes until it can (make the directory, or mount what holds it)"
                ),
            )),
            Ok(directory) => {
                self.files.retain(|path, _| directory.files.contains_key(path));
                let here = directory.files.iter().filter(|(path, _)| !unsettled.contains(path));
                let mut here: Vec<(&PathBuf, &Stamped)> = here.collect();
                // The small ones first: the less time has passed since the look, the less likely it is that they changed.
                here.sort_by_key(|(_, stamp)| stamp.as_ref().map_or(0, |stamp| stamp.bytes));
                let mut files: BTreeMap<_, _> = here
                    .into_iter()
                    .map(|(path, stamp)| {
                        let kept = self.files.entry(path.clone()).or_default();
                        (path.clone(), take(path, stamp, kept, &mut trouble, manifest))
                    })
                    .collect();
                let unsettled = unsettled.iter().filter(|path| **path != self.paths.node);
                files.extend(unsettled.map(|path| (path.clone(), Err(busy(path)))));
                let others = directory.others.clone();
                Ok(Manifests { identity: directory.identity, files, others })
            }
        };
        Gathered { node, manifests, trouble }
    }
}

/// Reads a node file alone.
pub(crate) fn node_alone(path: &Path) -> Result<NodeConfig, Vec<Fault>> {
    take(path, &crate::look::stamp(path), &mut None, &mut Trouble::default(), node)
}

fn busy(path: &Path) -> Vec<Fault> {
    vec![Fault::of(path, "is being written")]
}

fn node(path: &Path, text: &str) -> Result<NodeConfig, Vec<Fault>> {
    node_file::parse(path, text).map_err(|SourceError::Faults(faults)| faults)
}

fn manifest(path: &Path, text: &str) -> Result<Arc<Objects>, Vec<Fault>> {
    let mut objects = Objects::default();
    let faults = objects.add_text(path, text);
    if faults.is_empty() { Ok(Arc::new(objects)) } else { Err(faults) }
}

/// What a file says that had this stamp when it was looked at: what is kept, if that is of the same stamp.
fn take<T: Clone>(
    path: &Path,
    stamp: &Stamped,
    kept: &mut Kept<T>,
    trouble: &mut Trouble,
    parse: impl FnOnce(&Path, &str) -> Result<T, Vec<Fault>>,
) -> Result<T, Vec<Fault>> {
    let stamp = stamp.as_ref().map_err(|error| {
        trouble.refused = true;
        vec![Fault::of(path, format!("cannot be read: {error}"))]
    })?;
    if let Some((of, said)) = kept
        && of == stamp
    {
        return said.clone();
    }
    let said = match read(path, stamp) {
        Ok(text) => parse(path, &text),
        Err(Unread::Wrong(fault)) => Err(vec![fault]),
        Err(Unread::Moved) => {
            trouble.moved = true;
            return Err(busy(path));
        }
        Err(Unread::Refused(fault)) => {
            trouble.refused = true;
            return Err(vec![fault]);
        }
    };
    *kept = Some((stamp.clone(), said.clone()));
    said
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn service(name: &str) -> String {
        format!("apiVersion: v1\nkind: Service\nmetadata: {{ name: {name} }}\n")
    }

    /// A directory with these manifests, and no node file.
    fn directory(manifests: &[(&str, &str)]) -> (tempfile::TempDir, Paths) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in manifests {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let paths = Paths { node: dir.path().join("node"), manifests: dir.path().to_owned() };
        (dir, paths)
    }

    #[test]
    fn a_file_is_read_again_only_when_it_changed() {
        let (dir, paths) = directory(&[
            ("a.yaml", &service("a")),
            ("b.yaml", &service("b")),
            ("bad.yaml", "kind: ["),
        ]);
        std::os::unix::fs::symlink("nowhere", dir.path().join("link.yaml")).unwrap();
        let [a, b, bad, link] =
            ["a.yaml", "b.yaml", "bad.yaml", "link.yaml"].map(|name| dir.path().join(name));
        let mut gatherer = Gatherer::new(paths.clone());
        let mut gather = || gatherer.gather(&Look::take(&paths), &[]);
        let first = gather();
        assert!(first.trouble.refused && !first.trouble.moved, "{first:?}");
        let first = first.manifests.unwrap().files;
        fs::write(&b, service("longer")).unwrap();
        fs::write(dir.path().join("nowhere"), service("c")).unwrap();
        let second = gather().manifests.unwrap().files;
        let same =
            |path| Arc::ptr_eq(first[path].as_ref().unwrap(), second[path].as_ref().unwrap());
        assert!(same(&a) && !same(&b));
        assert_eq!(second[&bad].as_ref().unwrap_err(), first[&bad].as_ref().unwrap_err());
        // What was refused may be readable by now.
        assert!(first[&link].is_err() && second[&link].is_ok());
        // What is faulty is not read for that again either: what is kept of it is what is given.
        let kept = vec![Fault::of(&bad, "kept")];
        gatherer.files.get_mut(&bad).unwrap().as_mut().unwrap().1 = Err(kept.clone());
        let third = gatherer.gather(&Look::take(&paths), &[]).manifests.unwrap().files;
        assert_eq!(third[&bad].as_ref().unwrap_err(), &kept);
        // What is gone is forgotten.
        fs::remove_file(&bad).unwrap();
        gatherer.gather(&Look::take(&paths), &[]);
        assert!(!gatherer.files.contains_key(&bad));
    }

    #[test]
    fn a_file_that_changed_since_the_look_is_being_written() {
        let (dir, paths) = directory(&[
            ("a.yaml", &service("a")),
            ("b.yaml", &service("b")),
            ("c.yaml", &service("c")),
        ]);
        let look = Look::take(&paths);
        let [a, b, c] = ["a.yaml", "b.yaml", "c.yaml"].map(|name| dir.path().join(name));
        fs::write(&a, service("longer")).unwrap();
        fs::remove_file(&b).unwrap();
        let gathered = Gatherer::new(paths).gather(&look, &[]);
        assert!(gathered.trouble.moved);
        let files = gathered.manifests.unwrap().files;
        for path in [&a, &b] {
            assert_eq!(files[path].as_ref().unwrap_err(), &busy(path));
        }
        assert_eq!(files[&c].as_ref().unwrap().seen(), 1);
    }
}
