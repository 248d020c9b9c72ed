//! What is wrong with the files and their objects, told of each object once, however many files name it.
//!
//! What is done for a reading is in proportion to what is told of the files that changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use penstock_model::{Effect, Finding, Findings};

use super::file::File;
use crate::difference::set;
use crate::error::file_id;
use crate::kubernetes::Key;

/// Which files give an object.
#[derive(Debug)]
pub(super) struct Holders {
    /// Whose version counts.
    pub(super) owner: Arc<Path>,
    /// All, ordered by name.
    pub(super) all: Vec<Arc<Path>>,
}

/// What is told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The files in which something is wrong with an object.
    by: BTreeMap<Key, BTreeSet<Arc<Path>>>,
    findings: Findings,
}

impl Told {
    /// All of it.
    pub(super) fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Takes what is wrong with a file as a whole. Adds the objects of which there is something else to tell.
    pub(super) fn take(
        &mut self,
        path: &Arc<Path>,
        before: Option<&File>,
        after: &File,
        changed: &mut BTreeSet<Key>,
    ) {
        set(&mut self.findings, file_id(path), after.whole.clone());
        let nothing = BTreeMap::new();
        let before = before.map_or(&nothing, |before| &before.findings);
        for key in before.keys().filter(|key| !after.findings.contains_key(*key)) {
            if let Some(paths) = self.by.get_mut(key) {
                paths.remove(path);
                if paths.is_empty() {
                    self.by.remove(key);
                }
            }
            changed.insert(key.clone());
        }
        for (key, list) in &after.findings {
            if before.get(key) != Some(list) {
                self.by.entry(key.clone()).or_default().insert(Arc::clone(path));
                changed.insert(key.clone());
            }
        }
    }

    /// Tells what there is to tell of an object now.
    pub(super) fn tell(
        &mut self,
        key: &Key,
        files: &BTreeMap<Arc<Path>, File>,
        holders: Option<&Holders>,
    ) {
        let mut list = Vec::new();
        for path in self.by.get(key).into_iter().flatten() {
            let own = holders.is_some_and(|holders| holders.owner == *path);
            let found = files.get(path).and_then(|file| file.findings.get(key));
            list.extend(found.into_iter().flatten().map(|finding| match finding.effect {
                // What it was in this file is not in force any more: another file says what it is.
                Effect::Kept if !own => Finding::refused(finding.reason.clone()),
                _ => finding.clone(),
            }));
        }
        if let Some(Holders { owner, all }) = holders {
            for path in all.iter().filter(|path| *path != owner) {
                let (owner, path) = (owner.display(), path.display());
                let by = format!("{owner}; that one counts, and not the one in {path}");
                list.push(Finding::defined(by));
            }
        }
        set(&mut self.findings, key.id(), list);
    }
}
