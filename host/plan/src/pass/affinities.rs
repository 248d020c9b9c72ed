//! Under which numbers the clients of listeners are kept.

use std::collections::{BTreeMap, BTreeSet};

use penstock_abi::table::ServiceKey as Word;
use penstock_compile::{Group, ServiceKey};

use super::Pass;
use super::listeners::Want;
use crate::affinities::{Clientele, Members, free_number, members};
use crate::dirty::Dirty;
use crate::group::{OldSlot, wanted};
use crate::planner::Planner;
use crate::routes::Owner;

impl Pass<'_> {
    /// Notes whose clients listeners keep. Says whose they kept before.
    pub(super) fn clienteles(&mut self, dirty: &Dirty) -> BTreeSet<Clientele> {
        let mut left = BTreeSet::new();
        for &key in &dirty.listeners {
            let owner = self.desired.listeners.get(&key).and_then(|entry| entry.affinity.clone());
            let clientele = owner.map(|owner| (owner, key.net, key.protocol, key.port));
            let keeps = clientele.is_some();
            left.extend(self.planner.affinities.set(key, clientele));
            if !keeps {
                self.number(key, 0);
            }
        }
        left
    }

    /// Gives the listeners their numbers whose groups are not as they were, and those with whom another one shared.
    pub(super) fn affinities(&mut self, dirty: &Dirty, left: BTreeSet<Clientele>) {
        let written = self.written.keys().filter_map(|owner| match owner {
            Owner::Listener(key) => Some(key),
            _ => None,
        });
        let touched = dirty.listeners.iter().chain(written);
        let of = |key: &ServiceKey| self.planner.affinities.clientele(key).cloned();
        let clienteles: BTreeSet<Clientele> = touched.filter_map(of).chain(left).collect();
        for clientele in clienteles {
            self.number_all(&clientele);
        }
    }

    fn number_all(&mut self, clientele: &Clientele) {
        let Planner { card, routes, affinities, .. } = &mut *self.planner;
        let listeners = affinities.listeners(clientele);
        let word = |key: &ServiceKey| routes.listener(card, key).map(|(_, word)| word);
        let mut held: BTreeMap<u16, u32> = BTreeMap::new();
        for word in listeners.iter().filter_map(word) {
            *held.entry(word.affinity).or_default() += 1;
        }
        // One without a group keeps the number that it has.
        let mut alike: Vec<(Members, Vec<(ServiceKey, u16)>)> = Vec::new();
        for &key in &listeners {
            let Some((members, word)) = members(card, routes, key).zip(word(&key)) else {
                continue;
            };
            // Where one has nobody, the other may have somebody who departed.
            let agree = |others: &Members| {
                members.iter().all(|(slot, who)| others.get(slot).is_none_or(|other| other == who))
            };
            match alike.iter_mut().find(|(others, _)| agree(others)) {
                Some((others, keys)) => {
                    keys.push((key, word.affinity));
                    others.extend(members);
                }
                None => alike.push((members, vec![(key, word.affinity)])),
            }
        }
        // What others have, too, was not given out to these.
        held.retain(|number, count| *number != 0 && card.affinity_named(*number) == *count);
        for (_, keys) in alike {
            let kept = keys.iter().map(|(_, number)| *number).find(|n| held.contains_key(n));
            let number = kept.or_else(|| free_number(&self.planner.card));
            let Some(number) = number else { continue };
            held.remove(&number);
            for (key, _) in keys {
                self.number(key, number);
            }
        }
    }

    /// Gives a listener that is there a number.
    fn number(&mut self, key: ServiceKey, affinity: u16) {
        let Planner { card, routes, .. } = &mut *self.planner;
        if let Some((_, word)) = routes.listener(card, &key)
            && word.affinity != affinity
        {
            // It stands where it stood.
            let _ = routes.set_listener(card, &key, Word { affinity, ..word });
        }
    }

    /// The slots of a group with the same members whose clients are kept as those of this one are to be: so they can share a number.
    pub(super) fn slots_of_a_peer(&self, key: Owner, group: &Group) -> Option<Vec<OldSlot>> {
        let Owner::Listener(key) = key else { return None };
        let Planner { card, routes, affinities, .. } = &*self.planner;
        let clientele = affinities.clientele(&key)?;
        let is_like = |peer: &ServiceKey| match self.want(Owner::Listener(*peer)) {
            Some(Want::Group(other)) => *peer != key && other.members == group.members,
            _ => false,
        };
        let peers = affinities.listeners(clientele).into_iter().filter(is_like);
        let mut groups = peers.map(Owner::Listener);
        let slots = groups.find_map(|peer| {
            let composite = routes.composite(card, peer)?;
            Some(self.old_slots(peer, &composite))
        })?;
        // Who departed there has no connections here, and the mapping would be that of another address.
        let here = |slot: OldSlot| OldSlot {
            who: slot.who.filter(|_| wanted(&slot, group).is_some()),
            stays: false,
            ..slot
        };
        Some(slots.into_iter().map(here).collect())
    }
}
