//! One file of manifests: what of it is in force, given what it says and what was in force before.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use penstock_model::{Effect, Finding, Reason};

use crate::gather::Unreadable;
use crate::kubernetes::{Items, Key, Said};

/// What of a file is in force.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    /// What it said, if that could be read.
    pub(super) said: Option<Arc<Said>>,
    /// Its objects that are in force.
    pub(super) items: Arc<Items>,
    /// Objects that it held, those that were passed over among them.
    pub(super) seen: usize,
    /// Some of `items` only wait for the confirmation that they are gone.
    pub(super) held: bool,
    /// What is wrong with its objects.
    pub(super) findings: BTreeMap<Key, Vec<Finding>>,
    /// What is wrong with it as a whole.
    pub(super) whole: Vec<Finding>,
}

impl File {
    /// A file that cannot be read: it stays as it was.
    pub(super) fn unreadable(before: Option<&Self>, why: &Unreadable) -> Self {
        let mut file = before.cloned().unwrap_or_default();
        file.said = None;
        file.refuse(why.fault.reason());
        file
    }

    /// A file that says this.
    pub(super) fn says(before: Option<&Self>, path: &Path, said: &Arc<Said>) -> Self {
        let had = before.map_or(0, |before| before.seen);
        if said.is_empty() && !said.says_none() && had > 0 {
            // A shell truncates before it writes, a full disk leaves nothing.
            let text = format!(
                "holds no object, and held {had} before; remove the file, or write an empty List, if they are to go"
            );
            let mut file = before.cloned().unwrap_or_default();
            file.said = Some(Arc::clone(said));
            file.refuse(Reason::invalid(path.display().to_string(), text));
            return file;
        }
        let nothing = Items::new();
        let old = before.map_or(&nothing, |before| &before.items);
        let mut kept = Items::new();
        let mut findings: BTreeMap<Key, Vec<Finding>> = BTreeMap::new();
        let mut whole = Vec::new();
        for (key, reasons) in &said.refused {
            let effect = match old.get(key) {
                Some(item) => {
                    kept.insert(key.clone(), item.clone());
                    Effect::Kept
                }
                None => Effect::Refused,
            };
            let list = reasons.iter().map(|reason| Finding { effect, reason: reason.clone() });
            findings.entry(key.clone()).or_default().extend(list);
        }
        if !said.untold.is_empty() {
            // Any of the missing ones may be what cannot be told.
            let missing = old.iter().filter(|(key, _)| !said.items.contains_key(*key));
            kept.extend(missing.map(|(key, item)| (key.clone(), item.clone())));
            let effect = if kept.is_empty() { Effect::Refused } else { Effect::Kept };
            let more = Reason::Text { text: format!("{} further faults", said.more_untold) };
            let more = (said.more_untold > 0).then_some(more);
            let list = said.untold.iter().cloned().chain(more);
            whole.extend(list.map(|reason| Finding { effect, reason }));
        }
        for (key, reasons) in &said.partial {
            let list = reasons.iter().cloned().map(Finding::partial);
            findings.entry(key.clone()).or_default().extend(list);
        }
        for (key, first) in &said.again {
            findings.entry(key.clone()).or_default().push(Finding::defined(first));
        }
        whole.extend(said.passed_over().map(Finding::note));
        if said.is_empty() && !said.says_none() {
            whole.push(Finding::note("holds no object"));
        }
        let seen = said.seen + kept.len();
        let items = if kept.is_empty() {
            Arc::clone(&said.items)
        } else {
            kept.extend(said.items.iter().map(|(key, item)| (key.clone(), item.clone())));
            Arc::new(kept)
        };
        Self { said: Some(Arc::clone(said)), items, seen, held: false, findings, whole }
    }

    /// Lets objects stay in force that the file does not hold any more.
    pub(super) fn hold(&mut self, gone: Items) {
        let items = self.items.iter().map(|(key, item)| (key.clone(), item.clone()));
        self.seen += gone.len();
        self.items = Arc::new(gone.into_iter().chain(items).collect());
        self.held = true;
    }

    /// Whether it says the object; else what is in force of it is a guess, if anything is.
    pub(super) fn says_object(&self, key: &Key) -> bool {
        self.said.as_ref().is_some_and(|said| said.items.contains_key(key))
    }

    /// Lets go of an object that it does not say.
    pub(super) fn let_go(&mut self, key: &Key) {
        if Arc::make_mut(&mut self.items).remove(key).is_some() {
            self.seen = self.seen.saturating_sub(1);
        }
    }

    /// Whether it says that there is no object.
    pub(super) fn says_none(&self) -> bool {
        self.said.as_ref().is_some_and(|said| said.says_none())
    }

    /// Whether there is nothing of it.
    pub(super) fn is_gone(&self) -> bool {
        self.said.is_none()
            && self.items.is_empty()
            && self.findings.is_empty()
            && self.whole.is_empty()
    }

    /// Keys that are not the same in both files' objects.
    pub(super) fn differences<'a>(before: &'a Items, after: &'a Items) -> Vec<&'a Key> {
        let changed = after.iter().filter(|(key, item)| before.get(*key) != Some(*item));
        let gone = before.keys().filter(|key| !after.contains_key(*key));
        changed.map(|(key, _)| key).chain(gone).collect()
    }

    /// It cannot be taken as it is: what is in force of it stays.
    fn refuse(&mut self, reason: Reason) {
        let effect = if self.items.is_empty() { Effect::Refused } else { Effect::Kept };
        self.findings.clear();
        self.whole = vec![Finding { effect, reason }];
    }
}
