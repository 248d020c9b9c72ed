//! What a peer has told: the Adj-RIB-In, with what is kept of a peer that is away.

use imbl::OrdMap;

use crate::path::{VpnPath, VpnPrefix};
use crate::wire::Update;

/// A path that a peer has told. Two are equal if they say the same, whenever they were told.
#[derive(Clone, Debug)]
pub struct Learned {
    /// The path.
    pub path: VpnPath,
    /// Nobody's session vouches for it any more: worse than all that are not so (RFC 9494).
    pub long_lived_stale: bool,
    /// The count of the peer's returns at which it was told.
    round: u32,
}

#[cfg(test)]
impl Learned {
    /// As if it had just been told.
    pub(crate) fn fresh(path: VpnPath) -> Self {
        Self { path, long_lived_stale: false, round: 0 }
    }
}

impl PartialEq for Learned {
    fn eq(&self, other: &Self) -> bool {
        (&self.path, self.long_lived_stale) == (&other.path, other.long_lived_stale)
    }
}

impl Eq for Learned {}

/// The routes of one peer.
#[derive(Debug)]
pub(super) struct AdjIn {
    routes: OrdMap<VpnPrefix, Learned>,
    round: u32,
    /// What is kept, and how much that may be; see `SessionConfig::most_routes`.
    weight: usize,
    most: usize,
    /// Prefixes that were refused as there is no room for them, since the peer last began to send all.
    refused: u64,
    /// One of them.
    refused_prefix: Option<VpnPrefix>,
    /// Prefixes that the peer took back, since the session was made.
    withdrawn: u64,
}

fn weight(path: &VpnPath) -> usize {
    1 + path.attributes.extended.len() / 8
}

impl AdjIn {
    pub(super) fn new(most: usize) -> Self {
        Self {
            routes: OrdMap::new(),
            round: 0,
            weight: 0,
            most,
            refused: 0,
            refused_prefix: None,
            withdrawn: 0,
        }
    }

    pub(super) fn routes(&self) -> &OrdMap<VpnPrefix, Learned> {
        &self.routes
    }

    pub(super) fn withdrawn(&self) -> u64 {
        self.withdrawn
    }

    pub(super) fn refused(&self) -> (u64, Option<VpnPrefix>) {
        (self.refused, self.refused_prefix)
    }

    /// Whether what was refused for want of room should be asked for again; if so, it is no longer taken for refused.
    pub(super) fn take_room(&mut self) -> bool {
        let again = self.refused > 0 && self.weight <= self.most.saturating_mul(7) / 8;
        if again {
            (self.refused, self.refused_prefix) = (0, None);
        }
        again
    }

    /// Takes over an UPDATE.
    pub(super) fn apply(&mut self, update: Update) {
        for prefix in update.withdrawn {
            self.withdrawn += u64::from(self.routes.contains_key(&prefix));
            self.remove(&prefix);
        }
        for (prefix, path) in update.announced {
            let new = weight(&path);
            let old = self.routes.get(&prefix).map_or(0, |learned| weight(&learned.path));
            if self.weight - old + new > self.most {
                // What was there is not true any more either.
                self.remove(&prefix);
                self.refused += 1;
                self.refused_prefix = Some(prefix);
                continue;
            }
            self.weight = self.weight - old + new;
            let long_lived_stale = path.attributes.long_lived_stale;
            let learned = Learned { path, long_lived_stale, round: self.round };
            self.routes.insert(prefix, learned);
        }
    }

    fn remove(&mut self, prefix: &VpnPrefix) {
        if let Some(learned) = self.routes.remove(prefix) {
            self.weight -= weight(&learned.path);
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        (self.routes, self.weight, self.refused, self.refused_prefix) = (OrdMap::new(), 0, 0, None);
    }

    /// What comes from now on is told anew: the rest is stale.
    pub(super) fn begin_round(&mut self) {
        self.round = self.round.wrapping_add(1);
        (self.refused, self.refused_prefix) = (0, None);
    }

    /// Forgets what has not been told anew since the round began.
    pub(super) fn sweep(&mut self) {
        let stale = self.routes.iter().filter(|(_, learned)| learned.round != self.round);
        let stale: Vec<VpnPrefix> = stale.map(|(prefix, _)| *prefix).collect();
        for prefix in &stale {
            self.remove(prefix);
        }
    }

    /// Makes what has not been told anew worse than all else, and forgets those of which the peer wants it so.
    pub(super) fn age(&mut self) {
        for (prefix, learned) in self.routes.clone() {
            if learned.round == self.round {
                continue;
            }
            if learned.path.attributes.no_long_lived {
                self.remove(&prefix);
            } else if !learned.long_lived_stale {
                self.routes.insert(prefix, Learned { long_lived_stale: true, ..learned });
            }
        }
    }
}
