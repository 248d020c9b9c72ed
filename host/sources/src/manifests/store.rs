//! What is in force: of each file and object what was last right, and when that may change.
//!
//! An object that is faulty keeps what it was without holding up any other. Files are under change by programs that know
//! nothing of this one, so an absence is not taken at its word:
//!
//! * A file that held objects and now holds none is faulty: a shell truncates before it writes, a full disk leaves
//!   nothing. Who wants its objects gone removes the file, or writes an empty List.
//! * If a part of a file does not say what it is, what else is missing from it stays.
//! * A directory that is not there, or that an empty one has taken the place of, changes nothing: a mount is missing.
//! * As long as nothing was ever in force, no object at all is no state: the card may serve since before. To begin with
//!   none is said by an empty List.
//! * If more than half of the objects would go at once, and more than a handful, or an empty List has taken their place,
//!   they go when they are still gone [`CONFIRM`] later. What else changed counts meanwhile.
//! * An object that two files define stays that of the file which had it, else it is the first's by name.
//!
//! What is done for a reading is in proportion to the files that changed: see `Balancers` for what becomes of objects.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock_model::{Finding, Fragment, ObjectId, Reason};

use super::file::File;
use crate::difference::put;
use crate::error::file_id;
use crate::follow::{Reading, Store};
use crate::gather::Gathered;
use crate::kubernetes::{Balancers, Item, Items, Key, Said};

/// How long many objects must have been gone before that is believed.
pub(crate) const CONFIRM: Duration = Duration::from_secs(5);

/// Objects of which the loss is believed at once, however many there were.
const HANDFUL: usize = 5;

/// Makes the fragment of a directory of manifests.
#[derive(Debug)]
pub(crate) struct ManifestStore {
    directory: PathBuf,
    files: BTreeMap<Arc<Path>, File>,
    /// Which files give an object.
    holders: BTreeMap<Key, Holders>,
    /// Objects that several files give.
    shared: BTreeSet<Key>,
    balancers: Balancers,
    /// Device and inode of the directory in which the manifests were.
    identity: Option<(u64, u64)>,
    /// What has a manifest's name and is no file.
    others: Vec<PathBuf>,
    /// Since when many objects are gone.
    gone_since: Option<Instant>,
    fragment: Fragment,
}

#[derive(Debug)]
struct Holders {
    /// Whose version counts.
    owner: Arc<Path>,
    /// All, ordered by name.
    all: Vec<Arc<Path>>,
}

/// What is to become of files.
type Proposals = BTreeMap<Arc<Path>, File>;

/// What a reading leads to besides the files.
#[derive(Default)]
struct Outcome {
    /// What is wrong with the directory.
    findings: Vec<Finding>,
    again: Option<Instant>,
    stale: bool,
}

impl ManifestStore {
    /// Nothing is in force.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            files: BTreeMap::new(),
            holders: BTreeMap::new(),
            shared: BTreeSet::new(),
            balancers: Balancers::default(),
            identity: None,
            others: Vec::new(),
            gone_since: None,
            fragment: Fragment::empty(super::SOURCE),
        }
    }

    /// Takes what may be taken of a directory that can be read.
    fn weigh_files(
        &mut self,
        gathered: &Gathered<Arc<Said>>,
        identity: (u64, u64),
        now: Instant,
        outcome: &mut Outcome,
    ) -> Proposals {
        // Only a read after which objects are gone still counts them as gone.
        let gone_since = self.gone_since.take();
        let replaced = self.identity.is_some_and(|before| before != identity);
        if replaced && gathered.files.is_empty() && !self.files.is_empty() {
            outcome.stale = true;
            outcome.findings.push(self.refused(
                "is another directory than before, and empty: no service changes until it holds a manifest",
            ));
            return Proposals::new();
        }
        let mut proposals = self.proposals(gathered);
        if !self.started() && !self.may_begin(&mut proposals, outcome) {
            // They are not in force, but what is wrong with them is worth knowing.
            for file in proposals.values_mut() {
                *file = File { findings: std::mem::take(&mut file.findings), ..File::default() };
            }
            return proposals;
        }
        self.hold_back(&mut proposals, gone_since, now, outcome);
        self.identity = Some(identity);
        self.others.clone_from(&gathered.others);
        self.fragment.complete = true;
        proposals
    }

    /// What is to become of the files that are others than before.
    fn proposals(&self, gathered: &Gathered<Arc<Said>>) -> Proposals {
        let mut proposals = Proposals::new();
        for (path, said) in &gathered.files {
            let before = self.files.get(&**path);
            let file = match said {
                Ok(said) => {
                    let same = before.is_some_and(|before| {
                        !before.held
                            && before.said.as_ref().is_some_and(|own| Arc::ptr_eq(own, said))
                    });
                    if same {
                        continue;
                    }
                    File::says(before, path, said)
                }
                Err(why) => File::unreadable(before, path, why),
            };
            proposals.insert(path.as_path().into(), file);
        }
        for path in self.files.keys() {
            if !gathered.files.contains_key(&**path) {
                proposals.insert(Arc::clone(path), File::default());
            }
        }
        proposals
    }

    /// Whether files may be the first to be in force. To serve nothing would take away what the card serves since before,
    /// unless just that is said.
    fn may_begin(&self, proposals: &mut Proposals, outcome: &mut Outcome) -> bool {
        if proposals.values().any(|file| file.seen > 0) {
            return true;
        }
        let here = || proposals.values().filter(|file| !file.is_gone());
        if here().next().is_some() && here().all(File::says_none) {
            return true;
        }
        for (path, file) in &mut *proposals {
            if file.said.as_ref().is_some_and(|said| said.is_empty() && !said.says_none()) {
                let text = "holds no object, nor an empty List, which may be an accident: write or remove it";
                let reason = Reason::invalid(path.display().to_string(), text);
                file.findings.insert(file_id(path), vec![Finding::refused(reason)]);
            }
        }
        outcome.findings.push(self.refused(
            "gives no object, and none was in force before: the card stays as it is (put manifests there, or \
             mount what holds them; to begin with no service on purpose, put a file with an empty List there: \
             {apiVersion: v1, kind: List, items: []})",
        ));
        false
    }

    /// Lets objects stay that are gone, until that is believed.
    fn hold_back(
        &mut self,
        proposals: &mut Proposals,
        gone_since: Option<Instant>,
        now: Instant,
        outcome: &mut Outcome,
    ) {
        let gone = self.gone(proposals);
        let total = self.holders.len();
        // An empty List is also what a program writes that could not reach what it copies from.
        let emptied = proposals.iter().any(|(path, file)| {
            file.says_none()
                && self
                    .files
                    .get(path)
                    .is_some_and(|before| before.items.keys().any(|key| gone.contains(key)))
        });
        if !emptied && (gone.len() <= HANDFUL || 2 * gone.len() <= total) {
            return;
        }
        let since = gone_since.unwrap_or(now);
        let believed = since + CONFIRM;
        if now >= believed {
            return;
        }
        self.gone_since = Some(since);
        outcome.again = Some(believed);
        let text = format!(
            "{} of {total} objects are gone; they stay in force unless they are still gone {} s later",
            gone.len(),
            CONFIRM.as_secs()
        );
        outcome.findings.push(Finding::kept(Reason::invalid(self.place(), text)));
        for (path, file) in proposals {
            let Some(before) = self.files.get(path) else { continue };
            let own = before.items.iter().filter(|(key, _)| gone.contains(*key));
            let own: Items = own.map(|(key, item)| (key.clone(), item.clone())).collect();
            if !own.is_empty() {
                file.hold(own);
            }
        }
    }

    /// Objects that no file would give any more.
    fn gone(&self, proposals: &Proposals) -> BTreeSet<Key> {
        let mut losses: BTreeMap<&Key, usize> = BTreeMap::new();
        let mut gains: BTreeSet<&Key> = BTreeSet::new();
        let nothing = Items::new();
        for (path, file) in proposals {
            let before = self.files.get(path).map_or(&nothing, |before| &before.items);
            for key in before.keys().filter(|key| !file.items.contains_key(*key)) {
                *losses.entry(key).or_default() += 1;
            }
            gains.extend(file.items.keys().filter(|key| !before.contains_key(*key)));
        }
        let gone = losses.into_iter().filter(|(key, count)| {
            let all = self.holders.get(*key).map_or(0, |holders| holders.all.len());
            all == *count && !gains.contains(key)
        });
        gone.map(|(key, _)| key.clone()).collect()
    }

    /// Makes proposals come true.
    fn apply(&mut self, proposals: Proposals) {
        let mut dirty: BTreeMap<Key, Option<Item>> = BTreeMap::new();
        let nothing = Arc::default();
        for (path, file) in &proposals {
            let before = self.files.get(path).map_or(&nothing, |before| &before.items);
            let before = Arc::clone(before);
            if Arc::ptr_eq(&before, &file.items) {
                continue;
            }
            for key in File::differences(&before, &file.items) {
                dirty.entry(key.clone()).or_insert_with(|| self.item(key).cloned());
                let (had, has) = (before.contains_key(key), file.items.contains_key(key));
                if had != has {
                    self.give(key, path, has);
                }
            }
        }
        for (path, file) in proposals {
            self.files.remove(&path);
            // A file that is gone leaves nothing behind.
            if !file.is_gone() {
                self.files.insert(path, file);
            }
        }
        let mut changes = Vec::new();
        for (key, before) in dirty {
            self.settle(&key);
            let item = self.item(&key);
            if item != before.as_ref() {
                changes.push((key.clone(), item.cloned()));
            }
        }
        self.balancers.update(changes);
    }

    /// The version of an object that counts.
    fn item(&self, key: &Key) -> Option<&Item> {
        let owner = &self.holders.get(key)?.owner;
        self.files.get(owner)?.items.get(key)
    }

    /// A file gives an object now, or does no longer.
    fn give(&mut self, key: &Key, path: &Arc<Path>, has: bool) {
        let holders = self
            .holders
            .entry(key.clone())
            .or_insert_with(|| Holders { owner: Arc::clone(path), all: Vec::with_capacity(1) });
        match (holders.all.binary_search(path), has) {
            (Err(place), true) => holders.all.insert(place, Arc::clone(path)),
            (Ok(place), false) => _ = holders.all.remove(place),
            _ => {}
        }
    }

    /// Decides whose version of an object counts: that of the file which had it, else the first one by name.
    fn settle(&mut self, key: &Key) {
        let Some(holders) = self.holders.get_mut(key) else { return };
        if let [first, ..] = &holders.all[..] {
            if holders.all.binary_search(&holders.owner).is_err() {
                holders.owner = Arc::clone(first);
            }
            if holders.all.len() > 1 {
                self.shared.insert(key.clone());
            } else {
                self.shared.remove(key);
            }
        } else {
            self.holders.remove(key);
            self.shared.remove(key);
        }
    }

    /// Everything that was found, by object.
    fn findings(&self, outcome: &Outcome) -> BTreeMap<ObjectId, Vec<Finding>> {
        let mut all: BTreeMap<ObjectId, Vec<Finding>> = BTreeMap::new();
        for (id, findings) in self.files.values().flat_map(|file| &file.findings) {
            all.entry(id.clone()).or_default().extend_from_slice(findings);
        }
        for key in &self.shared {
            let Some(holders) = self.holders.get(key) else { continue };
            for path in holders.all.iter().filter(|path| **path != holders.owner) {
                let by = format!(
                    "{}; that one counts, and not the one in {}",
                    holders.owner.display(),
                    path.display()
                );
                all.entry(key.id()).or_default().push(Finding::defined(by));
            }
        }
        for path in &self.others {
            all.entry(file_id(path)).or_default().push(Finding::note("is no file, passed over"));
        }
        if !outcome.findings.is_empty() {
            all.insert(ObjectId::other("directory", self.place()), outcome.findings.clone());
        }
        all
    }

    fn place(&self) -> String {
        self.directory.display().to_string()
    }

    /// The directory cannot be taken as it is.
    fn refused(&self, text: impl Into<String>) -> Finding {
        let reason = Reason::invalid(self.place(), text);
        if self.started() { Finding::kept(reason) } else { Finding::refused(reason) }
    }
}

impl Store for ManifestStore {
    type Said = Arc<Said>;

    fn parse(path: &Path, text: &str) -> Self::Said {
        Arc::new(Said::read(path, text))
    }

    fn weigh(&mut self, gathered: Gathered<Self::Said>, now: Instant) -> Reading {
        let mut outcome = Outcome::default();
        match &gathered.identity {
            Ok(identity) => {
                let proposals = self.weigh_files(&gathered, *identity, now, &mut outcome);
                self.apply(proposals);
            }
            Err(error) => {
                self.gone_since = None;
                outcome.stale = true;
                let text = format!(
                    "cannot be read: {error}; no service changes until it can (make the directory, or mount what holds it)"
                );
                let finding = self.refused(text);
                outcome.findings.push(finding);
            }
        }
        let told = self.findings(&outcome);
        self.fragment.stale = outcome.stale;
        self.fragment.objects = self.balancers.objects().clone();
        let mut findings = self.balancers.findings().clone();
        for (id, mut list) in told {
            list.extend(findings.get(&id).into_iter().flat_map(|known| known.iter().cloned()));
            list.sort();
            list.dedup();
            put(&mut findings, id, Some(list.into()));
        }
        self.fragment.findings = findings;
        Reading { fragment: self.fragment.clone(), again: outcome.again }
    }

    fn started(&self) -> bool {
        self.fragment.complete
    }
}
