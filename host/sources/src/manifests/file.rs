//! One file of manifests: what of it is in force, given what it says and what was in force before.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use penstock_model::{Effect, Finding, ObjectId, Reason};

use crate::error::file_id;
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
    /// What is wrong with it, by object, and with it as a whole.
    pub(super) findings: BTreeMap<ObjectId, Vec<Finding>>,
}

impl File {
    /// A file that cannot be read: it stays as it was.
    pub(super) fn unreadable(before: Option<&Self>, path: &Path, why: &Unreadable) -> Self {
        let mut file =
            Self { said: None, findings: BTreeMap::new(), ..before.cloned().unwrap_or_default() };
        file.refuse(path, before, why.fault.reason());
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
            let before = before.cloned().unwrap_or_default();
            let mut file =
                Self { said: Some(Arc::clone(said)), findings: BTreeMap::new(), ..before.clone() };
            file.refuse(path, Some(&before), Reason::invalid(path.display().to_string(), text));
            return file;
        }
        let nothing = Items::new();
        let old = before.map_or(&nothing, |before| &before.items);
        let mut kept = Items::new();
        let mut findings: BTreeMap<ObjectId, Vec<Finding>> = BTreeMap::new();
        for (key, reasons) in &said.refused {
            let effect = match old.get(key) {
                Some(item) => {
                    kept.insert(key.clone(), item.clone());
                    Effect::Kept
                }
                None => Effect::Refused,
            };
            let list = reasons.iter().map(|reason| Finding { effect, reason: reason.clone() });
            findings.entry(key.id()).or_default().extend(list);
        }
        if !said.untold.is_empty() {
            // Any of the missing ones may be what cannot be told.
            let missing = old.iter().filter(|(key, _)| !said.items.contains_key(*key));
            kept.extend(missing.map(|(key, item)| (key.clone(), item.clone())));
            let effect = if kept.is_empty() { Effect::Refused } else { Effect::Kept };
            let more = Reason::Text { text: format!("{} further faults", said.more_untold) };
            let more = (said.more_untold > 0).then_some(more);
            let list = said.untold.iter().cloned().chain(more);
            let list = list.map(|reason| Finding { effect, reason });
            findings.entry(file_id(path)).or_default().extend(list);
        }
        for (key, reasons) in &said.partial {
            let list = reasons.iter().cloned().map(Finding::partial);
            findings.entry(key.id()).or_default().extend(list);
        }
        for (key, first) in &said.again {
            findings.entry(key.id()).or_default().push(Finding::defined(first));
        }
        let mut notes: Vec<String> = said.passed_over().collect();
        if said.is_empty() && !said.says_none() {
            notes.push("holds no object".to_owned());
        }
        if !notes.is_empty() {
            let notes = notes.into_iter().map(Finding::note);
            findings.entry(file_id(path)).or_default().extend(notes);
        }
        let seen = said.seen + kept.len();
        let items = if kept.is_empty() {
            Arc::clone(&said.items)
        } else {
            kept.extend(said.items.iter().map(|(key, item)| (key.clone(), item.clone())));
            Arc::new(kept)
        };
        Self { said: Some(Arc::clone(said)), items, seen, held: false, findings }
    }

    /// Lets objects stay in force that the file does not hold any more.
    pub(super) fn hold(&mut self, gone: Items) {
        let items = self.items.iter().map(|(key, item)| (key.clone(), item.clone()));
        self.seen += gone.len();
        self.items = Arc::new(gone.into_iter().chain(items).collect());
        self.held = true;
    }

    /// Whether it says that there is no object.
    pub(super) fn says_none(&self) -> bool {
        self.said.as_ref().is_some_and(|said| said.says_none())
    }

    /// Whether there is nothing of it.
    pub(super) fn is_gone(&self) -> bool {
        self.said.is_none() && self.items.is_empty() && self.findings.is_empty()
    }

    /// Keys that are not the same in both files' objects.
    pub(super) fn differences<'a>(before: &'a Items, after: &'a Items) -> Vec<&'a Key> {
        let changed = after.iter().filter(|(key, item)| before.get(*key) != Some(*item));
        let gone = before.keys().filter(|key| !after.contains_key(*key));
        changed.map(|(key, _)| key).chain(gone).collect()
    }

    fn refuse(&mut self, path: &Path, before: Option<&Self>, reason: Reason) {
        let kept = before.is_some_and(|before| !before.items.is_empty());
        let effect = if kept { Effect::Kept } else { Effect::Refused };
        self.findings.insert(file_id(path), vec![Finding { effect, reason }]);
    }
}
