//! Reads files, each of them once as long as it does not change.
//!
//! What a file said is kept with the stamp that it had, be it objects or faults, so that one file's change costs nothing
//! for the others, however large they are. What could not be read is tried anew each time, and that alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::Fault;
use crate::look::{Look, Stamp, Stamped};
use crate::text::{Unread, read};

/// What the files say, each for itself.
#[derive(Debug)]
pub(crate) struct Gathered<T> {
    /// Device and inode of the place, or why it cannot be read.
    pub(crate) identity: Result<(u64, u64), String>,
    /// What each file says, or why it says nothing.
    pub(crate) files: BTreeMap<PathBuf, Result<T, Unreadable>>,
    /// What has a manifest's name and is no file.
    pub(crate) others: Vec<PathBuf>,
    /// What stood in the way of reading.
    pub(crate) trouble: Trouble,
}

/// Why a file says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// Why.
    pub(crate) fault: Fault,
    /// Whether that is because the file cannot be seen; else it is no text, or too large, or being written.
    pub(crate) unseen: bool,
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
type Kept<T> = Option<(Stamp, Result<T, Unreadable>)>;

/// Reads files, and keeps what they said.
#[derive(Debug)]
pub(crate) struct Gatherer<T> {
    parse: fn(&Path, &str) -> T,
    files: BTreeMap<PathBuf, Kept<T>>,
}

impl<T: Clone> Gatherer<T> {
    /// Nothing was read yet.
    pub(crate) fn new(parse: fn(&Path, &str) -> T) -> Self {
        Self { parse, files: BTreeMap::new() }
    }

    /// Reads the files of a look, as far as they are others than before. Those in `unsettled` are being written: they are
    /// not read and count as faulty, also if they are not there at the moment.
    pub(crate) fn gather(&mut self, look: &Look, unsettled: &[PathBuf]) -> Gathered<T> {
        let mut trouble = Trouble::default();
        if look.identity.is_ok() {
            self.files.retain(|path, _| look.files.contains_key(path));
        }
        let here = look.files.iter().filter(|(path, _)| !unsettled.contains(path));
        let mut here: Vec<(&PathBuf, &Stamped)> = here.collect();
        // The small ones first: the less time has passed since the look, the less likely it is that they changed.
        here.sort_by_key(|(_, stamp)| stamp.as_ref().map_or(0, |stamp| stamp.bytes));
        let mut files: BTreeMap<_, _> = here
            .into_iter()
            .map(|(path, stamp)| {
                let kept = self.files.entry(path.clone()).or_default();
                (path.clone(), take(path, stamp, kept, &mut trouble, self.parse))
            })
            .collect();
        files.extend(unsettled.iter().map(|path| (path.clone(), Err(busy(path)))));
        Gathered { identity: look.identity.clone(), files, others: look.others.clone(), trouble }
    }
}

fn busy(path: &Path) -> Unreadable {
    Unreadable { fault: Fault::of(path, "is being written"), unseen: false }
}

/// What a file says that had this stamp when it was looked at: what is kept, if that is of the same stamp.
fn take<T: Clone>(
    path: &Path,
    stamp: &Stamped,
    kept: &mut Kept<T>,
    trouble: &mut Trouble,
    parse: impl FnOnce(&Path, &str) -> T,
) -> Result<T, Unreadable> {
    let stamp = stamp.as_ref().map_err(|error| {
        trouble.refused = true;
        let fault = Fault::of(path, format!("cannot be read: {error}"));
        Unreadable { fault, unseen: true }
    })?;
    if let Some((of, said)) = kept
        && of == stamp
    {
        return said.clone();
    }
    let said = match read(path, stamp) {
        Ok(text) => Ok(parse(path, &text)),
        Err(Unread::Wrong(fault)) => Err(Unreadable { fault, unseen: false }),
        Err(Unread::Moved) => {
            trouble.moved = true;
            return Err(busy(path));
        }
        Err(Unread::Refused(fault)) => {
            trouble.refused = true;
            return Err(Unreadable { fault, unseen: true });
        }
    };
    *kept = Some((stamp.clone(), said.clone()));
    said
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::*;
    use crate::look::Place;

    /// Says what it read, in an allocation of its own.
    fn gatherer() -> Gatherer<Arc<str>> {
        Gatherer::new(|_, text| text.into())
    }

    /// A directory with these manifests.
    fn directory(manifests: &[(&str, &str)]) -> (tempfile::TempDir, Place) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in manifests {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let place = Place::Directory(dir.path().to_owned());
        (dir, place)
    }

    #[test]
    fn a_file_is_read_again_only_when_it_changed() {
        let (dir, place) = directory(&[("a.yaml", "a"), ("b.yaml", "b")]);
        fs::write(dir.path().join("bad.yaml"), b"\xff").unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("link.yaml")).unwrap();
        let [a, b, bad, link] =
            ["a.yaml", "b.yaml", "bad.yaml", "link.yaml"].map(|name| dir.path().join(name));
        let mut gatherer = gatherer();
        let mut gather = || gatherer.gather(&Look::take(&place), &[]);
        let first = gather();
        assert!(first.trouble.refused && !first.trouble.moved, "{first:?}");
        let first = first.files;
        fs::write(&b, "longer").unwrap();
        fs::write(dir.path().join("nowhere"), "c").unwrap();
        let second = gather().files;
        let same =
            |path| Arc::ptr_eq(first[path].as_ref().unwrap(), second[path].as_ref().unwrap());
        assert!(same(&a) && !same(&b));
        assert_eq!(second[&bad].as_ref().unwrap_err(), first[&bad].as_ref().unwrap_err());
        // What was refused may be readable by now.
        assert!(first[&link].as_ref().is_err_and(|error| error.unseen) && second[&link].is_ok());
        // What is faulty is not read for that again either: what is kept of it is what is given.
        let kept = Unreadable { fault: Fault::of(&bad, "kept"), unseen: false };
        gatherer.files.get_mut(&bad).unwrap().as_mut().unwrap().1 = Err(kept.clone());
        let third = gatherer.gather(&Look::take(&place), &[]).files;
        assert_eq!(third[&bad].as_ref().unwrap_err(), &kept);
        // What is gone is forgotten.
        fs::remove_file(&bad).unwrap();
        gatherer.gather(&Look::take(&place), &[]);
        assert!(!gatherer.files.contains_key(&bad));
    }

    #[test]
    fn a_file_that_changed_since_the_look_is_being_written() {
        let (dir, place) = directory(&[("a.yaml", "a"), ("b.yaml", "b"), ("c.yaml", "c")]);
        let look = Look::take(&place);
        let [a, b, c] = ["a.yaml", "b.yaml", "c.yaml"].map(|name| dir.path().join(name));
        fs::write(&a, "longer").unwrap();
        fs::remove_file(&b).unwrap();
        let gathered = gatherer().gather(&look, &[]);
        assert!(gathered.trouble.moved);
        let files = gathered.files;
        for path in [&a, &b] {
            assert_eq!(files[path].as_ref().unwrap_err(), &busy(path));
        }
        assert_eq!(&**files[&c].as_ref().unwrap(), "c");
    }
}
