//! What of a node file is in force: of each object what was last right.
//!
//! Files are not taken at their word where they are wrong: an object that is refused stays as it was, and where the file does
//! not say what it is about, what is missing stays too. A file that is not there or cannot be read changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use penstock_model::{Effect, Finding, Findings, Fragment, Object, ObjectId, OrdMap, Reason};

use super::parse::{Said, parse};
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
}

impl NodeStore {
    /// Nothing is in force.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, fragment: Fragment::empty(super::SOURCE) }
    }

    fn refuse(&mut self, fault: &Fault) {
        let finding = Finding { effect: self.effect(), reason: fault.reason() };
        self.fragment.findings = Findings::unit(file_id(&self.path), [finding].into());
    }

    /// What becomes of what is refused: it depends on whether there was something before.
    fn effect(&self) -> Effect {
        if self.started() { Effect::Kept } else { Effect::Refused }
    }

    fn take(&mut self, said: &Said) {
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
            if let ObjectId::Peer(name) = id {
                // What it announces goes with it.
                for id in before.keys().filter(|id| is_route_of(id, name)) {
                    keep(&mut objects, id);
                }
            }
        }
        for (name, reasons) in &said.untold_routes {
            for id in before.keys().filter(|id| is_route_of(id, name)) {
                keep(&mut objects, id);
            }
            let list = reasons.iter().cloned().map(Finding::partial);
            findings.entry(ObjectId::Peer(name.clone())).or_default().extend(list);
        }
        for (id, first) in &said.again {
            findings.entry(id.clone()).or_default().push(Finding::defined(first));
        }
        if !said.untold.is_empty() {
            for id in before.keys() {
                keep(&mut objects, id);
            }
            let effect = self.effect();
            let reasons = some(&said.untold);
            let list = reasons.map(|reason| Finding { effect, reason });
            findings.entry(file_id(&self.path)).or_default().extend(list);
        }
        // What stays the same stays shared.
        let gone: Vec<ObjectId> =
            before.keys().filter(|id| !objects.contains_key(id)).cloned().collect();
        for id in gone {
            self.fragment.objects.remove(&id);
        }
        for (id, object) in objects {
            put(&mut self.fragment.objects, id, Some(object));
        }
        set_all(&mut self.fragment.findings, findings);
        self.fragment.complete |= self.fragment.objects.contains_key(&ObjectId::Node);
    }
}

impl Store for NodeStore {
    type Said = Arc<Result<Said, Fault>>;

    fn parse(path: &Path, text: &str) -> Self::Said {
        Arc::new(parse(path, text))
    }

    fn weigh(&mut self, gathered: Gathered<Self::Said>, _: Instant) -> Reading {
        let said = gathered.files.get(&self.path);
        self.fragment.stale = matches!(said, Some(Err(unreadable)) if unreadable.unseen);
        match said {
            Some(Ok(said)) => match &**said {
                Ok(said) => self.take(said),
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
        Reading { fragment, again: None }
    }

    fn started(&self) -> bool {
        self.fragment.complete
    }
}

fn is_route_of(id: &ObjectId, name: &str) -> bool {
    matches!(id, ObjectId::Route { announcer, .. } if announcer == name)
}

/// The first ones, and how many more there are.
fn some(reasons: &[Reason]) -> impl Iterator<Item = Reason> {
    let more = reasons.len().saturating_sub(MAX_FAULTS);
    let more = (more > 0).then(|| Reason::Text { text: format!("{more} further faults") });
    reasons.iter().take(MAX_FAULTS).cloned().chain(more)
}
