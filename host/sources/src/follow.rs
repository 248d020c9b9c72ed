//! When the files are read: not before they have been left alone, not later than that.
//!
//! Pure but for the files themselves: time comes in, the time of the next step goes out, nothing waits here. Each step is
//! one look at the files ([`Look`]). If it differs from the look that was last read, somebody is writing; once two looks
//! [`QUIET`] apart are equal, the files that changed are read. Files that never come to rest do not hold up the others:
//! after [`PATIENCE`] the others are read, and these keep what they had, as do those that change while files are read.

use std::path::Path;
use std::time::{Duration, Instant};

use penstock_model::Fragment;

use crate::gather::{Gathered, Gatherer};
use crate::look::{Look, Place};

/// Files must look the same for this long before they are read.
pub(crate) const QUIET: Duration = Duration::from_millis(100);
/// Files that change all the time hold up the others for this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// The same before anything is in force: what is not read then is taken from the card.
pub(crate) const FIRST_PATIENCE: Duration = Duration::from_secs(10);
/// Files are looked at this often, whether something says that they changed or not.
pub(crate) const POLL: Duration = Duration::from_secs(2);

/// Makes a source's fragment out of what its files say.
pub(crate) trait Store: Send + 'static {
    /// What one file says.
    type Said: Clone + Send;

    /// Reads the text of a file; faults are a part of what it says.
    fn parse(path: &Path, text: &str) -> Self::Said;

    /// Takes what may be taken of a reading.
    fn weigh(&mut self, gathered: Gathered<Self::Said>, now: Instant) -> Reading;

    /// Whether there was anything to go by.
    fn started(&self) -> bool;
}

/// What a reading of the files led to.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// What the source has to say now.
    pub(crate) fragment: Fragment,
    /// When to read again, whether anything changes or not.
    pub(crate) again: Option<Instant>,
}

/// Follows files step by step.
#[derive(Debug)]
pub(crate) struct Follower<S: Store> {
    place: Place,
    gatherer: Gatherer<S::Said>,
    store: S,
    /// The look whose files were read.
    read: Option<Look>,
    /// The last look at files that are changing, and when it was first taken.
    last: Option<(Instant, Look)>,
    /// Since when they are changing.
    since: Option<Instant>,
    /// When to read them again even if they do not change.
    again: Option<Instant>,
}

/// What a step led to.
#[derive(Debug)]
pub(crate) struct Step {
    /// What was read, if the files were.
    pub(crate) reading: Option<Reading>,
    /// When the next step is due at the latest.
    pub(crate) next: Instant,
}

impl<S: Store> Follower<S> {
    /// Nothing is read yet.
    pub(crate) fn new(place: Place, store: S) -> Self {
        let gatherer = Gatherer::new(S::parse);
        Self { place, gatherer, store, read: None, last: None, since: None, again: None }
    }

    /// Looks at the files and reads them, whether they are at rest or not.
    pub(crate) fn at_once(&mut self, now: Instant) -> Reading {
        let gathered = self.gatherer.gather(&Look::take(&self.place), &[]);
        self.store.weigh(gathered, now)
    }

    /// Looks at the files, and reads them if they are at rest and not the ones that were read.
    pub(crate) fn step(&mut self, now: Instant) -> Step {
        self.seen(Look::take(&self.place), now)
    }

    /// Does what is to be done after a look.
    fn seen(&mut self, look: Look, now: Instant) -> Step {
        if self.read.as_ref() == Some(&look) {
            self.last = None;
            self.since = None;
            if self.again.is_none_or(|again| now < again) {
                return self.wait(now);
            }
            return self.read(look, now);
        }
        let since = *self.since.get_or_insert(now);
        let patience = if self.store.started() { PATIENCE } else { FIRST_PATIENCE };
        let Some((at, before)) = self.last.take() else {
            self.last = Some((now, look));
            return Step { reading: None, next: now + QUIET };
        };
        if before == look {
            if now >= at + QUIET {
                return self.read(look, now);
            }
            self.last = Some((at, before));
            return Step { reading: None, next: at + QUIET };
        }
        let reading = (now >= since + patience).then(|| {
            self.since = None;
            // Other files than those of the last look are in force now, so that one counts as unread if it comes back.
            self.read = None;
            let unsettled = look.differences(&before);
            let gathered = self.gatherer.gather(&look, &unsettled);
            let reading = self.store.weigh(gathered, now);
            self.again = reading.again;
            reading
        });
        self.last = Some((now, look));
        Step { reading, next: now + QUIET }
    }

    fn read(&mut self, look: Look, now: Instant) -> Step {
        let gathered = self.gatherer.gather(&look, &[]);
        let trouble = gathered.trouble;
        if trouble.moved {
            // Somebody writes after all. That holds up the others only as long as nothing is in force.
            let since = *self.since.get_or_insert(now);
            let begins = self.store.started() || now >= since + FIRST_PATIENCE;
            let reading = begins.then(|| self.store.weigh(gathered, now));
            self.again = reading.as_ref().and_then(|reading| reading.again);
            self.read = None;
            self.last = Some((now, look));
            return Step { reading, next: now + QUIET };
        }
        let reading = self.store.weigh(gathered, now);
        let retry = trouble.refused.then_some(now + POLL);
        self.again = [reading.again, retry].into_iter().flatten().min();
        self.read = Some(look);
        self.last = None;
        self.since = None;
        Step { reading: Some(reading), ..self.wait(now) }
    }

    fn wait(&self, now: Instant) -> Step {
        let poll = now + POLL;
        Step { reading: None, next: self.again.map_or(poll, |again| again.min(poll)) }
    }
}

#[cfg(test)]
mod tests;
