//! Prefixes: which are served, and the order in which their words change.
//!
//! Within a step of a round, what is new comes from the longest prefix to the shortest, then words that change, then default
//! routes; what goes, goes the other way round. So an address leads where it led or where it shall lead, and nowhere else.

use std::collections::BTreeSet;

use penstock_abi::table::{DefaultRoute, TableId};
use penstock_compile::{Desired, Hop};
use penstock_model::Reason;

use super::Pass;
use crate::card::Step;
use crate::dirty::Dirty;
use crate::planner::Planner;
use crate::prefixes::{PrefixKey, is_default, owners, parts_of};
use crate::refusal::What;
use crate::words;

impl Pass<'_> {
    /// Removes prefixes that are not wanted, and those of their parts that no other wanted prefix will have.
    pub(super) fn unwanted_prefixes(&mut self, dirty: &Dirty) {
        let desired = self.desired;
        let Planner { card, prefixes, .. } = &mut *self.planner;
        let mut gone = BTreeSet::new();
        for &key in by_length(dirty).iter().rev().filter(|key| !is_wanted(desired, **key)) {
            if !prefixes.forget(key) {
                continue;
            }
            if is_default(key) {
                card.clear::<DefaultRoute>(Step::Unpoint, key.0.0.into());
            }
            let unowned = |part: &_| !owners(*part).any(|owner| is_wanted(desired, owner));
            gone.extend(parts_of(key).filter(unowned));
        }
        // In order of rank from its end, whatever prefixes they were of: one that longer ones cover leaves no trace in the
        // tables, and a planner that never knew it plans the same.
        for part in gone.into_iter().rev() {
            prefixes.clear(card, part);
        }
    }

    /// Writes prefixes that are wanted, and gives parts to whom they belong now.
    pub(super) fn prefixes(&mut self, dirty: &Dirty) {
        let mut touched = BTreeSet::new();
        let mut defaults = Vec::new();
        for key in by_length(dirty) {
            touched.extend(parts_of(key));
            let Some(&hop) = self.desired.prefixes.get(&key) else { continue };
            let done = if is_default(key) {
                self.default_route(key, hop).map(|word| defaults.push((key, word)))
            } else {
                self.prefix(key, hop)
            };
            if let Err(reason) = done {
                // Shorter ones would match in its place; so they do without it.
                let Planner { card, prefixes, .. } = &mut *self.planner;
                prefixes.forget(key);
                if is_default(key) {
                    card.clear::<DefaultRoute>(Step::Unpoint, key.0.0.into());
                }
                self.refuse(What::Prefix(key.0, key.1), reason);
            }
        }
        let Planner { card, prefixes, .. } = &mut *self.planner;
        // In order of rank: the longest first.
        for part in touched {
            prefixes.settle(card, part);
        }
        for (key, word) in defaults {
            card.write(Step::Point, key.0.0.into(), word);
        }
    }

    fn prefix(&mut self, key: PrefixKey, hop: Hop) -> Result<(), Reason> {
        let id = self.usable(hop.next_hop)?;
        words::prefix(key, hop, id, 0)?;
        let sources = self.sources_of_prefix(key, hop);
        let word = words::prefix(key, hop, id, sources)?;
        let Planner { card, prefixes, .. } = &mut *self.planner;
        prefixes.look_for_lengths(card);
        let expand = |planner: &mut Planner| planner.prefixes.expand(&mut planner.card, key, word);
        self.with_room(TableId::Prefix, expand)
            .ok_or_else(|| self.no_room(TableId::Prefix, || key.1.to_string()))?;
        self.planner.prefixes.serve(key, word);
        Ok(())
    }

    fn default_route(&mut self, key: PrefixKey, hop: Hop) -> Result<DefaultRoute, Reason> {
        let id = self.usable(hop.next_hop)?;
        words::prefix(key, hop, id, 0)?;
        let capacity = self.planner.card.shape().vrfs;
        if u32::from(key.0.0) >= capacity {
            let table = TableId::DefaultRoute.desc().name.to_owned();
            return Err(Reason::TableFull { table, capacity });
        }
        let sources = self.sources_of_prefix(key, hop);
        self.planner.prefixes.serve(key, words::prefix(key, hop, id, sources)?);
        Ok(words::default_route(hop, id, sources))
    }
}

/// Whether a prefix is wanted, and the next hop that it needs: without, it goes like one that is not wanted.
fn is_wanted(desired: &Desired, key: PrefixKey) -> bool {
    let hop = desired.prefixes.get(&key);
    let spec = hop.and_then(|hop| Some((hop.next_hop, desired.next_hops.get(&hop.next_hop)?)));
    spec.is_some_and(|(next_hop, spec)| words::next_hop(next_hop, spec).is_ok())
}

/// Prefixes, the longest first.
fn by_length(dirty: &Dirty) -> Vec<PrefixKey> {
    let mut keys: Vec<PrefixKey> = dirty.prefixes.iter().copied().collect();
    keys.sort_by_key(|(_, prefix)| std::cmp::Reverse(prefix.prefix_len()));
    keys
}
