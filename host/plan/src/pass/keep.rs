//! What becomes of a route that is refused: the card keeps what it has of it, as far as that is true.
//!
//! A member that is gone is taken out in place, word by word, as there may be no room for another ring: first the words by
//! which it gets new flows lead to another member (or, without any, the group has none), then its slot becomes a hole.

use penstock_abi::table::{EcmpSlot, HostRoute, NextHop};
use penstock_compile::{Group, NextHopKey};

use super::Pass;
use crate::card::Step;
use crate::group::{self, OldSlot, Pods};
use crate::planner::Planner;
use crate::routes::{Composite, RouteKey, slot_ways};
use crate::words;

impl Pass<'_> {
    /// Keeps what the card has of a route, but those of its members that are gone. Members of `wanted` are not.
    pub(super) fn keep(&mut self, key: RouteKey, wanted: Option<&Group>) {
        self.planner.routes.idle.remove(&key);
        self.planner.routes.spare.remove(&key);
        let card = &self.planner.card;
        if let Some(composite) = self.planner.routes.composite(card, key) {
            return self.keep_group(key, &composite, wanted);
        }
        let Some((_, route)) = self.planner.routes.get(card, key) else { return };
        let word: NextHop = card.at(route.nh.into());
        let next_hop = words::next_hop_key(&word).filter(|_| word.valid);
        let is_true = next_hop.is_some_and(|next_hop| {
            let refuses = matches!(next_hop, NextHopKey::Discard | NextHopKey::Reject);
            self.usable(next_hop).is_ok() && (refuses || self.is_refused(key.1))
        });
        if !is_true {
            self.remove_route(key);
        }
    }

    /// Whether somebody is to be taken out of a slot.
    fn is_gone(&self, slot: &OldSlot, wanted: Option<&Group>) -> bool {
        let Some(who) = &slot.who else { return true };
        let known = match wanted {
            Some(group) => group::wanted(slot, group).is_some(),
            // Nothing says that it leads elsewhere.
            None => who.pods == Pods::Unknown,
        };
        !slot.stays && !(known && self.reachable(who.hop.next_hop))
    }

    fn keep_group(&mut self, key: RouteKey, composite: &Composite, wanted: Option<&Group>) {
        let slots = self.old_slots(key.0, composite);
        let words: Vec<EcmpSlot> =
            (0..composite.words()).map(|n| self.ring_word(composite, n)).collect();
        let (words, live) = words.split_at(slots.len());
        let gone: Vec<bool> = slots
            .iter()
            .zip(words)
            .map(|(slot, word)| word.valid && self.is_gone(slot, wanted))
            .collect();
        // A live word without a generation is no member: it refuses.
        let is_gone = |word: &EcmpSlot| {
            word.valid && word.generation != 0 && gone.get(usize::from(word.slot)) == Some(&true)
        };
        if !gone.contains(&true) {
            return;
        }
        let rest = || words.iter().zip(&gone).filter(|(word, gone)| word.valid && !**gone);
        let other = rest().map(|(word, _)| *word).find(|word| !word.drain);
        let is_here = |word: &EcmpSlot| {
            let next_hop: NextHop = self.planner.card.at(word.nh.into());
            matches!(words::next_hop_key(&next_hop), Some(NextHopKey::Encap(_)))
        };
        let local = rest().next().is_some() && rest().all(|(word, _)| is_here(word));
        let Planner { card, routes, .. } = &mut *self.planner;
        let shape = card.shape();
        let before = slot_ways(card, key, composite);
        if let Some((place, route)) = routes.get(card, key)
            && route.own
            && !local
        {
            routes.set(card, place, HostRoute { own: false, ..route });
        }
        let index = |n: usize| shape.ring_index(composite.first, n as u32);
        match other {
            Some(other) => {
                for (n, _) in live.iter().enumerate().filter(|(_, word)| is_gone(word)) {
                    card.write(Step::Point, index(slots.len() + n), other);
                }
            }
            None if live.iter().any(is_gone) => {
                let word: NextHop = card.at(composite.id.into());
                card.write(Step::Point, composite.id.into(), NextHop { live: 0, ..word });
                for n in slots.len()..slots.len() + live.len() {
                    card.clear::<EcmpSlot>(Step::Unmake, index(n));
                }
                routes.ring.release_tail(composite.first, composite.words(), composite.slots);
            }
            None => {}
        }
        for (n, word) in words.iter().enumerate().filter(|(n, _)| gone[*n]) {
            let hole = EcmpSlot { generation: word.generation, ..EcmpSlot::default() };
            card.write(Step::Point, index(n), hole);
        }
        let after = slot_ways(card, key, composite);
        routes.renew_slots(before, after);
        if let Some((place, route)) = routes.get(card, key)
            && route.own != local
        {
            routes.set(card, place, HostRoute { own: local, ..route });
        }
    }
}
