//! What of a node file is in force: of each object what was last right.
//!
//! Files are not taken at their word where they are wrong: an object that is refused stays as it was, and where the file does
//! not say what it is about, what is missing stays too. A file that is not there or cannot be read changes nothing.
//!
//! Nor is what is *gone* from a file believed at once, as one that was cut may be well formed: it stays while anything in the
//! file is wrong, and else for [`CONFIRM`]. Unless something else has come to its place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use penstock_model::{Effect, Finding, Findings, Fragment, Object, ObjectId, OrdMap, Reason};

use super::parse::{Said, parse};
use super::replaced::Places;
use crate::absence::{Absence, CONFIRM, Waiting};
use crate::difference::{put, set_all};
use crate::error::{Fault, file_id};
use crate::follow::{Reading, Store};
use crate::gather::Gathered;

/// Faults of a file as a whole that are listed.
const MAX_FAULTS: usize = 20;

/// Makes the fragment of a node file.
#[derive(Debug)]
pub(crate) struct NodeStore {
    path: PathBuf,
    fragment: Fragment,
    /// Of objects that are gone, those that stay for now.
    absence: Absence<ObjectId>,
}

impl NodeStore {
    /// Nothing is in force.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, fragment: Fragment::empty(super::SOURCE), absence: Absence::default() }
    }

    fn refuse(&mut self, fault: &Fault) {
        self.absence.forget();
        let finding = Finding { effect: self.effect(), reason: fault.reason() };
        self.fragment.findings = Findings::unit(file_id(&self.path), [finding].into());
    }

    /// What becomes of what is refused: it depends on whether there was something before.
    fn effect(&self) -> Effect {
        if self.started() { Effect::Kept } else { Effect::Refused }
    }

    /// Takes what may be taken of what the file says. Says when that may be more, if nothing changes.
    fn take(&mut self, said: &Said, now: Instant) -> Option<Instant> {
        let mut findings: BTreeMap<ObjectId, Vec<Finding>> = BTreeMap::new();
        let before = &self.fragment.objects;
        let mut objects = said.objects.clone();
        let keep = |objects: &mut BTreeMap<ObjectId, Object>, id: &ObjectId| {
            let kept = before.get(id);
            if let Some(object) = kept {
                objects.entry(id.clone()).or_insert_with(|| object.clone());
            }
            kept.is_some()
        };
        for (id, reasons) in &said.refused {
            let effect = if keep(&mut objects, id) { Effect::Kept } else { Effect::Refused };
            let reasons = reasons.iter().cloned();
            let list = reasons.map(|reason| Finding { effect, reason });
            findings.entry(id.clone()).or_default().extend(list);
        }
        for (name, reasons) in &said.untold_routes {
            let list = reasons.iter().cloned().map(Finding::partial);
            findings.entry(ObjectId::Peer(name.clone())).or_default().extend(list);
        }
        for (id, first) in &said.again {
            findings.entry(id.clone()).or_default().push(Finding::defined(first));
        }
        let mut whole: Vec<Finding> = Vec::new();
        if !said.untold.is_empty() {
            let effect = self.effect();
            whole.extend(some(&said.untold).map(|reason| Finding { effect, reason }));
        }
        let (gone, stay, again) = self.weigh_gone(said, &objects, now);
        if stay > 0 {
            let (total, seconds) = (self.fragment.objects.len(), CONFIRM.as_secs());
            let when = if again.is_some() {
                format!("they stay in force unless they are still gone {seconds} s later")
            } else {
                "they stay in force while anything in it is wrong".to_owned()
            };
            let text = format!("{stay} of {total} objects are gone; {when}");
            whole.push(Finding::kept(Reason::invalid(self.path.display().to_string(), text)));
        }
        if !whole.is_empty() {
            findings.entry(file_id(&self.path)).or_default().extend(whole);
        }
        // What stays the same stays shared.
        for id in gone {
            self.fragment.objects.remove(&id);
        }
        for (id, object) in objects {
            put(&mut self.fragment.objects, id, Some(object));
        }
        set_all(&mut self.fragment.findings, findings);
        self.fragment.complete |= self.fragment.objects.contains_key(&ObjectId::Node);
        again
    }

    /// Which of the objects in force go, as the file does not name them any more; how many others of these stay, and when
    /// the first of them may go.
    fn weigh_gone(
        &mut self,
        said: &Said,
        objects: &BTreeMap<ObjectId, Object>,
        now: Instant,
    ) -> (Vec<ObjectId>, usize, Option<Instant>) {
        let before = &self.fragment.objects;
        let come = objects.iter().filter(|(id, object)| before.get(*id) != Some(*object));
        let come = Places::of(come.map(|(_, object)| object));
        let gone = before.iter().filter(|(id, _)| !objects.contains_key(*id));
        let (replaced, gone): (Vec<_>, Vec<_>) = gone.partition(|(_, object)| come.has(object));
        let mut go: Vec<ObjectId> = replaced.into_iter().map(|(id, _)| id.clone()).collect();
        // What a remote announces goes with it.
        let peers: BTreeSet<String> = go.iter().filter_map(peer).map(str::to_owned).collect();
        let with = |id: &ObjectId| announcer(id).is_some_and(|name| peers.contains(name));
        let (with, gone): (Vec<_>, Vec<_>) =
            gone.into_iter().map(|(id, _)| id.clone()).partition(with);
        let gone: BTreeSet<ObjectId> = gone.into_iter().collect();
        go.extend(with);
        if !self.fragment.complete {
            go.extend(gone);
            return (go, 0, None);
        }
        if !said.is_sound() {
            self.absence.forget();
            return (go, gone.len(), None);
        }
        let Waiting { keys, again } = self.absence.wait(gone.clone(), |_, _| true, now);
        go.extend(gone.difference(&keys).cloned());
        (go, keys.len(), again)
    }
}

impl Store for NodeStore {
    type Said = Arc<Result<Said, Fault>>;

    fn parse(path: &Path, text: &str) -> Self::Said {
        Arc::new(parse(path, text))
    }

    fn weigh(&mut self, gathered: Gathered<Self::Said>, now: Instant) -> Reading {
        let mut again = None;
        let said = gathered.files.get(&self.path);
        self.fragment.stale = matches!(said, Some(Err(unreadable)) if unreadable.unseen);
        match said {
            Some(Ok(said)) => match &**said {
                Ok(said) => again = self.take(said, now),
                Err(fault) => self.refuse(fault),
            },
            Some(Err(unreadable)) => self.refuse(&unreadable.fault),
            None => {}
        }
        let mut fragment = self.fragment.clone();
        if !fragment.complete {
            // Without the node nothing can be served.
            fragment.objects = OrdMap::new();
        }
        Reading { fragment, again }
    }

    fn started(&self) -> bool {
        self.fragment.complete
    }
}

fn peer(id: &ObjectId) -> Option<&str> {
    match id {
        ObjectId::Peer(name) => Some(name),
        _ => None,
    }
}

fn announcer(id: &ObjectId) -> Option<&str> {
    match id {
        ObjectId::Route { announcer, .. } => Some(announcer),
        _ => None,
    }
}

/// The first ones, and how many more there are.
fn some(reasons: &[Reason]) -> impl Iterator<Item = Reason> {
    let more = reasons.len().saturating_sub(MAX_FAULTS);
    let more = (more > 0).then(|| Reason::Text { text: format!("{more} further faults") });
    reasons.iter().take(MAX_FAULTS).cloned().chain(more)
}
