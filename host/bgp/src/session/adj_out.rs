//! What a peer is told: the Adj-RIB-Out. It knows what should be told and what has been, and gives the difference in pieces, as
//! fast as the peer reads; a prefix that changes twice meanwhile is told once.

use std::collections::{BTreeSet, VecDeque};

use imbl::OrdMap;
use imbl::ordmap::DiffItem;

use crate::community::RouteTarget;
use crate::path::{VpnPath, VpnPrefix};
use crate::wire::Membership;

/// More memberships than this are taken for one of all targets: a peer must not fill this node's memory.
const MOST_MEMBERSHIPS: usize = 16_384;

/// Routes towards one peer.
#[derive(Debug, Default)]
pub(super) struct AdjOut {
    wanted: OrdMap<VpnPrefix, VpnPath>,
    /// The wanted ones are all that there are.
    complete: bool,
    /// Prefixes that the peer has.
    told: BTreeSet<VpnPrefix>,
    /// Prefixes about which it may have to be told.
    pending: BTreeSet<VpnPrefix>,
    /// Targets that the peer wants; nothing = all.
    memberships: Option<BTreeSet<Membership>>,
    /// Memberships that came when there were too many already: all targets.
    overflow: bool,
    end_of_rib: bool,
}

impl AdjOut {
    /// What should be told from now on.
    pub(super) fn set(&mut self, wanted: &OrdMap<VpnPrefix, VpnPath>, complete: bool) {
        for item in self.wanted.diff(wanted) {
            self.pending.insert(match item {
                DiffItem::Add(prefix, _) | DiffItem::Remove(prefix, _) => *prefix,
                DiffItem::Update { new: (prefix, _), .. } => *prefix,
            });
        }
        self.wanted = wanted.clone();
        self.complete |= complete;
    }

    /// A connection begins: the peer knows nothing, and says what it wants if `constrained`.
    pub(super) fn begin(&mut self, constrained: bool) {
        self.told.clear();
        self.end_of_rib = false;
        self.overflow = false;
        self.memberships = constrained.then(BTreeSet::new);
        self.again();
    }

    /// Everything is to be told once more.
    pub(super) fn again(&mut self) {
        self.pending = self.wanted.keys().copied().chain(self.told.iter().copied()).collect();
    }

    /// The peer wants these targets, or does not want them any more.
    pub(super) fn want(&mut self, wanted: Vec<Membership>, unwanted: &[Membership]) {
        let Some(memberships) = &mut self.memberships else { return };
        let before = memberships.len();
        let mut changed = false;
        for membership in unwanted {
            changed |= memberships.remove(membership);
        }
        for membership in wanted {
            if memberships.len() >= MOST_MEMBERSHIPS {
                self.overflow = true;
            } else {
                changed |= memberships.insert(membership);
            }
        }
        if changed || self.overflow && before < MOST_MEMBERSHIPS {
            self.again();
        }
    }

    fn wants(&self, mut targets: impl Iterator<Item = RouteTarget>) -> bool {
        match &self.memberships {
            Some(memberships) if !self.overflow => {
                targets.any(|target| memberships.iter().any(|membership| membership.covers(target)))
            }
            _ => true,
        }
    }

    /// At most `most` changes to tell, each once.
    pub(super) fn take(&mut self, most: usize) -> Vec<(VpnPrefix, Option<VpnPath>)> {
        let mut changes = Vec::new();
        while changes.len() < most {
            let Some(prefix) = self.pending.pop_first() else { break };
            let path = self.wanted.get(&prefix).cloned();
            let path = path.filter(|path| self.wants(path.attributes.targets()));
            let had = match &path {
                Some(_) => !self.told.insert(prefix),
                None => self.told.remove(&prefix),
            };
            if path.is_some() || had {
                changes.push((prefix, path));
            }
        }
        changes
    }

    /// Whether the end of all routes is to be told now; if so, it is taken for told.
    pub(super) fn take_end(&mut self) -> bool {
        let due = self.complete && self.pending.is_empty() && !self.end_of_rib;
        self.end_of_rib |= due;
        due
    }

    /// The peer has been told that these are all.
    pub(super) fn has_ended(&self) -> bool {
        self.end_of_rib
    }

    /// How many routes the peer has.
    pub(super) fn told(&self) -> usize {
        self.told.len()
    }

    /// Prefixes that the peer has yet to be told about.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }
}

/// Which targets are wanted, towards one peer.
#[derive(Debug, Default)]
pub(super) struct Targets {
    wanted: BTreeSet<RouteTarget>,
    told: BTreeSet<RouteTarget>,
    ended: bool,
}

impl Targets {
    pub(super) fn set(&mut self, wanted: &BTreeSet<RouteTarget>) {
        self.wanted.clone_from(wanted);
    }

    pub(super) fn begin(&mut self) {
        self.told.clear();
        self.ended = false;
    }

    pub(super) fn again(&mut self) {
        self.told.clear();
    }

    /// Targets that are no longer wanted, targets that are wanted, and whether these are the first; taken for told.
    pub(super) fn take(&mut self) -> VecDeque<Told> {
        let gone: Vec<_> = self.told.difference(&self.wanted).copied().collect();
        let came: Vec<_> = self.wanted.difference(&self.told).copied().collect();
        self.told.clone_from(&self.wanted);
        let mut out = VecDeque::new();
        if !gone.is_empty() {
            out.push_back(Told::Unwanted(gone));
        }
        if !came.is_empty() {
            out.push_back(Told::Wanted(came));
        }
        if !std::mem::replace(&mut self.ended, true) {
            out.push_back(Told::End);
        }
        out
    }
}

/// Something to tell of targets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    Wanted(Vec<RouteTarget>),
    Unwanted(Vec<RouteTarget>),
    End,
}
