//! Objects that are gone and still in force: since when, and for how long yet.
//!
//! Each has a clock of its own, so that one accident is not believed because another one came before it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long an object must have been gone before that is believed.
pub(crate) const CONFIRM: Duration = Duration::from_secs(5);

/// Since when objects are gone.
#[derive(Debug)]
pub(crate) struct Absence<K>(BTreeMap<K, Instant>);

impl<K> Default for Absence<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone> Absence<K> {
    /// Nothing is gone, or it cannot be told. What is gone later counts anew.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }

    /// Which of the objects that are in force and gone from what was just read stay for now. `doubtful` says, given how many of
    /// them are not confirmed yet, and how many are, whether to wait for those that were not gone before.
    pub(crate) fn wait(
        &mut self,
        mut gone: BTreeSet<K>,
        doubtful: impl FnOnce(usize, usize) -> bool,
        now: Instant,
    ) -> Waiting<K> {
        let before = std::mem::take(&mut self.0);
        let all = gone.len();
        gone.retain(|key| before.get(key).is_none_or(|since| now < *since + CONFIRM));
        let doubtful = doubtful(gone.len(), all - gone.len());
        gone.retain(|key| doubtful || before.contains_key(key));
        for key in &gone {
            self.0.insert(key.clone(), before.get(key).copied().unwrap_or(now));
        }
        let again = self.0.values().min().map(|since| *since + CONFIRM);
        Waiting { keys: gone, again }
    }
}

/// Objects that are gone and stay in force for now.
#[derive(Debug)]
pub(crate) struct Waiting<K> {
    pub(crate) keys: BTreeSet<K>,
    /// When the first of them may go.
    pub(crate) again: Option<Instant>,
}
