//! What is in force: of each file what it last gave, and when that may change.
//!
//! A file is taken as a whole or not at all, and one that is faulty keeps what it had without holding up the others. Files
//! are under change by programs that know nothing of this one, so an absence is not taken at its word:
//!
//! * A file that held objects and now holds none is faulty: a shell truncates before it writes, a full disk leaves
//!   nothing. Who wants its objects gone removes the file, or writes an empty List.
//! * A directory that is not there, or that an empty one has taken the place of, changes nothing: a mount is missing.
//! * As long as nothing was ever in force, no object at all is no state: the card may serve since before. To begin with
//!   none is said by an empty List.
//! * If more than half of the objects would go at once, and more than a handful, or an empty List has taken their place,
//!   they go when they are still gone [`CONFIRM`] later.
//! * An object that two files define stays that of the file which had it, else it is the first's by name; the other file
//!   is faulty.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock_model::{NodeConfig, Note, ObjectName, Pod, Snapshot};

use crate::gather::{Gathered, Manifests};
use crate::kubernetes::{Key, MAX_FAULTS, Objects};
use crate::{Fault, Paths};

/// How long many objects must have been gone before that is believed.
pub(crate) const CONFIRM: Duration = Duration::from_secs(5);

/// Objects of which the loss is believed at once, however many there were.
const HANDFUL: usize = 5;

/// What is in force.
#[derive(Debug)]
pub(crate) struct Store {
    /// The directory of manifests.
    directory: PathBuf,
    node: Option<NodeConfig>,
    /// Of each manifest what it last gave. No object is in two of them.
    files: BTreeMap<PathBuf, Arc<Objects>>,
    /// Device and inode of the directory in which the manifests were.
    identity: Option<(u64, u64)>,
    /// What has a manifest's name and is no file.
    others: Vec<PathBuf>,
    /// Since when many objects are gone.
    gone_since: Option<Instant>,
    /// Whether there was a snapshot.
    started: bool,
}

/// What a read of the files led to.
#[derive(Debug)]
pub(crate) struct Reading {
    /// What is in force now; none before the first that can be.
    pub(crate) snapshot: Option<Snapshot>,
    /// What is wrong with the files as they are.
    pub(crate) faults: Vec<Fault>,
    /// What is in force in place of what is faulty.
    pub(crate) instead: Vec<Fault>,
    /// When to read again, whether anything changes or not.
    pub(crate) again: Option<Instant>,
}

impl Store {
    /// Nothing is in force.
    pub(crate) fn new(paths: &Paths) -> Self {
        Self {
            directory: paths.manifests.clone(),
            node: None,
            files: BTreeMap::new(),
            identity: None,
            others: Vec::new(),
            gone_since: None,
            started: false,
        }
    }

    /// Whether there was a snapshot.
    pub(crate) fn started(&self) -> bool {
        self.started
    }

    /// Takes what may be taken of a read.
    pub(crate) fn weigh(&mut self, gathered: Gathered, now: Instant) -> Reading {
        let mut reading =
            Reading { snapshot: None, faults: Vec::new(), instead: Vec::new(), again: None };
        match gathered.node {
            Ok(node) => self.node = Some(node),
            Err(faults) => reading.faults.extend(faults),
        }
        match gathered.manifests {
            Ok(manifests) => self.weigh_manifests(manifests, now, &mut reading),
            Err(fault) => {
                self.gone_since = None;
                reading.faults.push(fault);
            }
        }
        self.started |= self.node.is_some() && self.identity.is_some();
        reading.snapshot = self.node.as_ref().filter(|_| self.started).map(|n| self.snapshot(n));
        reading
    }

    fn weigh_manifests(&mut self, read: Manifests, now: Instant, reading: &mut Reading) {
        // Only a read after which objects are gone still counts them as gone.
        let gone_since = self.gone_since.take();
        let replaced = self.identity.is_some_and(|identity| identity != read.identity);
        if replaced && read.files.is_empty() && !self.files.is_empty() {
            reading.faults.push(Fault::of(
                &self.directory,
                "is another directory than before, and empty: no service changes until it holds a manifest",
            ));
            return;
        }
        let identity = read.identity;
        let others = read.others.clone();
        let files = self.choose(read, reading);
        if !self.started && files.values().all(|objects| objects.seen() == 0) {
            // To serve nothing would take away what the card serves since before, unless just that is said.
            let said = !files.is_empty() && files.values().all(|objects| objects.says_none());
            if !said || !reading.instead.is_empty() {
                self.refuse_to_begin(&files, reading);
                return;
            }
        }
        if !self.removal_holds(&files, gone_since, now, reading) {
            return;
        }
        self.files = files;
        self.identity = Some(identity);
        self.others = others;
    }

    /// Says why a directory without any object is not taken as the first.
    fn refuse_to_begin(&self, files: &BTreeMap<PathBuf, Arc<Objects>>, reading: &mut Reading) {
        let silent = files.iter().filter(|(_, objects)| !objects.says_none());
        reading.faults.extend(silent.map(|(path, _)| {
            Fault::of(
                path,
                "holds no object, nor an empty List, which may be an accident: write or remove it",
            )
        }));
        let message = "gives no object, and none was in force before: the card stays as it is (put manifests there, or \
                       mount what holds them; to begin with no service on purpose, put a file with an empty List there: \
                       {apiVersion: v1, kind: List, items: []})";
        reading.faults.push(Fault::of(&self.directory, message));
    }

    /// What each file is to give: what it says, or what it gave before if that cannot be taken.
    fn choose(&self, read: Manifests, reading: &mut Reading) -> BTreeMap<PathBuf, Arc<Objects>> {
        let mut chosen = BTreeMap::new();
        let mut refused: BTreeMap<PathBuf, Vec<Fault>> = BTreeMap::new();
        for (path, objects) in read.files {
            let before = self.files.get(&path);
            let objects = objects.and_then(|objects| {
                let had = before.map_or(0, |before| before.seen());
                if objects.seen() == 0 && !objects.says_none() && had > 0 {
                    let message = format!(
                        "holds no object, and held {had} before; remove the file, or write an empty List, if they are to go"
                    );
                    return Err(vec![Fault::of(&path, message)]);
                }
                Ok(objects)
            });
            match objects {
                Ok(objects) => {
                    chosen.insert(path, objects);
                }
                Err(faults) => {
                    chosen.extend(before.map(|before| (path.clone(), Arc::clone(before))));
                    refused.insert(path, faults);
                }
            }
        }
        // A file that falls back on what it had may take that back from another one. Each turn, one does at least.
        for _ in 0..=chosen.len() {
            let losers = self.losers(&chosen);
            if losers.is_empty() {
                break;
            }
            for (path, faults) in losers {
                match self.files.get(&path) {
                    Some(before) => chosen.insert(path.clone(), Arc::clone(before)),
                    None => chosen.remove(&path),
                };
                refused.insert(path, faults);
            }
        }
        for (path, faults) in refused {
            let message = match chosen.get(&path).map(|objects| objects.seen()) {
                Some(count) => {
                    format!("refused; the {count} objects that it held before stay in force")
                }
                None => "refused; it was not read before, so nothing of it is in force".to_owned(),
            };
            let more = faults.len().saturating_sub(MAX_FAULTS);
            reading.faults.extend(faults.into_iter().take(MAX_FAULTS));
            if more > 0 {
                reading.faults.push(Fault::of(&path, format!("{more} further faults")));
            }
            reading.instead.push(Fault::of(path, message));
        }
        chosen
    }

    /// The files that define what another one has. None of them gave that before: what is in force has no object twice.
    fn losers(&self, chosen: &BTreeMap<PathBuf, Arc<Objects>>) -> BTreeMap<PathBuf, Vec<Fault>> {
        let before: BTreeMap<Key<'_>, &Path> = owners(&self.files);
        let mut owner: BTreeMap<Key<'_>, &Path> = BTreeMap::new();
        let mut losers: BTreeMap<PathBuf, Vec<Fault>> = BTreeMap::new();
        for (path, objects) in chosen {
            for key in objects.keys() {
                let Some(other) = owner.get(&key).copied() else {
                    owner.insert(key, path);
                    continue;
                };
                let (winner, loser) = if before.get(&key) == Some(&path.as_path()) {
                    (path.as_path(), other)
                } else {
                    (other, path.as_path())
                };
                owner.insert(key, winner);
                let (kind, name) = key;
                let message = format!("{kind} {name} is also in {}", winner.display());
                losers.entry(loser.to_owned()).or_default().push(Fault::of(loser, message));
            }
        }
        losers
    }

    /// Whether files may be taken, as far as it is about what would be gone then.
    fn removal_holds(
        &mut self,
        files: &BTreeMap<PathBuf, Arc<Objects>>,
        gone_since: Option<Instant>,
        now: Instant,
        reading: &mut Reading,
    ) -> bool {
        let here: BTreeSet<Key<'_>> = files.values().flat_map(|objects| objects.keys()).collect();
        let before = || self.files.values().flat_map(|objects| objects.keys());
        let (total, gone) = (before().count(), before().filter(|key| !here.contains(key)).count());
        // An empty List is also what a program writes that could not reach what it copies from.
        let emptied = self.files.iter().any(|(path, before)| {
            let none = files.get(path).is_some_and(|objects| objects.says_none());
            none && before.keys().any(|key| !here.contains(&key))
        });
        if !emptied && (gone <= HANDFUL || 2 * gone <= total) {
            return true;
        }
        let since = gone_since.unwrap_or(now);
        let believed = since + CONFIRM;
        if now >= believed {
            return true;
        }
        self.gone_since = Some(since);
        let message = format!(
            "{gone} of {total} objects are gone; they stay in force unless they are still gone {} s later",
            CONFIRM.as_secs()
        );
        reading.faults.push(Fault::of(&self.directory, message));
        reading.again = Some(believed);
        false
    }

    fn snapshot(&self, node: &NodeConfig) -> Snapshot {
        let mut objects = Objects::default();
        let mut empty = Vec::new();
        for (path, file) in &self.files {
            if file.seen() == 0 && !file.says_none() {
                empty.push(Note::new(path.display(), "holds no object"));
            }
            objects.extend(file);
        }
        let (load_balancers, mut notes) = objects.load_balancers();
        let pods = objects.pods();
        notes.extend(moved_pods(node, &pods));
        notes.extend(objects.passed_over());
        notes.extend(empty);
        let others = self.others.iter();
        notes.extend(others.map(|path| Note::new(path.display(), "is no file, passed over")));
        Snapshot { node: node.clone(), load_balancers, pods, notes, ..Snapshot::default() }
    }
}

fn owners(files: &BTreeMap<PathBuf, Arc<Objects>>) -> BTreeMap<Key<'_>, &Path> {
    files
        .iter()
        .flat_map(|(path, objects)| objects.keys().map(move |key| (key, path.as_path())))
        .collect()
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
