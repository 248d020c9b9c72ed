//! From the fragments of all sources to one intent: whose version of an object counts, and when all have been heard.
//!
//! * Sources have an order. An object that several give is the first one's, as a whole; the others' versions are noted, if
//!   they say anything else.
//! * The intent is complete when every source has completed its first list, and stays so. A source that begins anew, and has
//!   not completed its list again, counts with what it had.
//! * What may not stand beside one another is [`Admission`]'s to decide.
//!
//! The merger keeps what it was last given and compares, so that a change costs what it is large. What comes out is the same
//! as if the fragments were given to a new one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use penstock_model::{
    Admission, Finding, Findings, Fragment, Intent, Object, ObjectId, ObjectKind, OrdMap, Overlay,
    Policy, Rules, SourceName,
};
use serde::{Deserialize, Serialize};

use crate::difference::{changed_keys, combine};

/// How a source is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// Which.
    pub name: SourceName,
    /// It has completed its first list.
    pub complete: bool,
    /// It cannot see what it reads from; what it gave last counts.
    pub stale: bool,
    /// Its objects by kind, before they are merged.
    pub objects: BTreeMap<ObjectKind, usize>,
    /// What it found.
    #[serde(skip)]
    pub findings: Findings,
}

/// Merges fragments.
#[derive(Debug)]
pub struct Merger {
    /// In order of precedence.
    sources: Vec<Source>,
    policy: Arc<Policy>,
    overlay: Arc<Overlay>,
    /// Of each object the version that counts.
    objects: OrdMap<ObjectId, Object>,
    /// What is said by several sources.
    defined: Findings,
    admission: Admission,
    /// The findings of the admission that are in `findings`.
    admitted: Findings,
    /// All findings.
    findings: Findings,
}

#[derive(Debug)]
struct Source {
    /// What counts of it.
    fragment: Fragment,
    objects: BTreeMap<ObjectKind, usize>,
}

impl Merger {
    /// Nothing was heard yet of any source. They are in order of precedence, the first wins.
    #[must_use]
    pub fn new(sources: Vec<SourceName>, rules: impl Into<Rules>) -> Self {
        let Rules { policy, overlay } = rules.into();
        let source = |name| Source { fragment: Fragment::empty(name), objects: BTreeMap::new() };
        Self {
            sources: sources.into_iter().map(source).collect(),
            policy: Arc::new(policy),
            overlay: Arc::new(overlay),
            objects: OrdMap::new(),
            defined: Findings::new(),
            admission: Admission::new(),
            admitted: Findings::new(),
            findings: Findings::new(),
        }
    }

    /// What the fragments come to. A source of which there is none has said nothing new; one that is not known is passed over.
    pub fn merge(&mut self, fragments: &[Fragment]) -> Intent {
        let mut objects = BTreeSet::new();
        let mut findings = BTreeSet::new();
        for source in &mut self.sources {
            let named = |fragment: &&Fragment| fragment.source == source.fragment.source;
            if let Some(fragment) = fragments.iter().find(named) {
                source.take(fragment, &mut objects, &mut findings);
            }
        }
        for id in objects {
            if self.choose(&id) {
                findings.insert(id);
            }
        }
        let mut intent = self.admission.admit(&self.objects).clone();
        findings.extend(changed_keys(&self.admitted, &intent.findings));
        self.admitted = intent.findings;
        for id in findings {
            self.find(id);
        }
        intent.complete = self.sources.iter().all(|source| source.fragment.complete);
        intent.policy = Arc::clone(&self.policy);
        intent.overlay = Arc::clone(&self.overlay);
        intent.findings = self.findings.clone();
        intent
    }

    /// How the sources are, in order of precedence.
    #[must_use]
    pub fn status(&self) -> Vec<SourceStatus> {
        let status = |source: &Source| SourceStatus {
            name: source.fragment.source.clone(),
            complete: source.fragment.complete,
            stale: source.fragment.stale,
            objects: source.objects.clone(),
            findings: source.fragment.findings.clone(),
        };
        self.sources.iter().map(status).collect()
    }

    /// Chooses the version of an object that counts; whether what is to be noted about that is other than before.
    fn choose(&mut self, id: &ObjectId) -> bool {
        let mut versions = self.sources.iter().filter_map(|source| {
            source.fragment.objects.get(id).map(|object| (&source.fragment.source, object))
        });
        let Some((first, object)) = versions.next() else {
            self.objects.remove(id);
            return self.defined.remove(id).is_some();
        };
        let another = versions.any(|(_, other)| other != object);
        self.objects.insert(id.clone(), object.clone());
        if another {
            let note: Arc<[Finding]> = [Finding::defined(first.as_str())].into();
            self.defined.insert(id.clone(), Arc::clone(&note)).as_ref() != Some(&note)
        } else {
            self.defined.remove(id).is_some()
        }
    }

    /// Collects what there is to say about an object.
    fn find(&mut self, id: ObjectId) {
        let sources = self.sources.iter().map(|source| &source.fragment.findings);
        let all = sources.chain([&self.defined, &self.admitted]);
        combine(&mut self.findings, id, all);
    }
}

impl Source {
    /// Takes what it says now. Adds what changed of it.
    fn take(
        &mut self,
        said: &Fragment,
        objects: &mut BTreeSet<ObjectId>,
        findings: &mut BTreeSet<ObjectId>,
    ) {
        let mut fragment = said.clone();
        if self.fragment.complete && !said.complete {
            fragment.objects = self.fragment.objects.clone();
            fragment.complete = true;
            fragment.stale = true;
        }
        for id in changed_keys(&self.fragment.objects, &fragment.objects) {
            let kind = id.kind();
            let before = self.fragment.objects.contains_key(&id);
            match (before, fragment.objects.contains_key(&id)) {
                (false, true) => *self.objects.entry(kind).or_default() += 1,
                (true, false) => {
                    if let Some(count) = self.objects.get_mut(&kind) {
                        *count -= 1;
                    }
                    self.objects.retain(|_, count| *count > 0);
                }
                _ => {}
            }
            objects.insert(id);
        }
        findings.extend(changed_keys(&self.fragment.findings, &fragment.findings));
        self.fragment = fragment;
    }
}

#[cfg(test)]
mod tests;
