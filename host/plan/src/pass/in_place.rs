//! The change of a large group in place: a few words instead of another ring.
//!
//! Each word takes effect at once and whole, so after each of them the group must be sound: a word for new flows is always
//! that of a slot that takes some, as it is then. So the words for new flows leave those slots that change, for others that
//! do not; then the slots change, who comes first and who goes last; then the words for new flows come to those who take some
//! from now on.
//!
//! A ring that several groups read changes for all of them, so only if all want the same. Otherwise the one that wants
//! something else gets another ring, and the others keep this one.

use std::collections::BTreeSet;

use penstock_abi::table::EcmpSlot;

use super::Pass;
use super::listeners::Want;
use crate::card::Step;
use crate::group::{Choice, Otherwise, Ring, SMALL_SLOTS, Size};
use crate::planner::Planner;
use crate::routes::{Composite, Owner, Routes, slot_ways};

fn takes(word: &EcmpSlot) -> bool {
    word.valid && !word.drain
}

impl Pass<'_> {
    /// Whether a group can become `ring` where it is: a large one that keeps its size, and somebody in it who takes new flows
    /// before and after.
    pub(super) fn can_change_in_place(&self, key: Owner, old: &Composite, ring: &Ring) -> bool {
        let Planner { card, routes, .. } = &*self.planner;
        ring.slots > SMALL_SLOTS
            && (old.slots as usize, old.live as usize) == (ring.slots, ring.live())
            && self.staying(old, ring).is_some()
            && routes
                .readers(card, old)
                .iter()
                .all(|(reader, group)| *reader == key || self.wants(*reader, group, ring))
    }

    /// Whether the group of a route is to have this ring.
    fn wants(&self, key: Owner, old: &Composite, ring: &Ring) -> bool {
        let Some(Want::Group(group)) = self.want(key) else { return false };
        if self.is_refused(key.address()) || self.can_be_said(key, group).is_err() {
            return false;
        }
        let slots = self.old_slots(key, old);
        self.ring(key, &slots, group, Otherwise::Discard, Size::Full).words == ring.words
    }

    /// The first word of a slot that takes new flows and stays as it is.
    fn staying(&self, old: &Composite, ring: &Ring) -> Option<EcmpSlot> {
        let slots = (0..).zip(&ring.words[..ring.slots]);
        slots
            .filter(|(_, word)| takes(word))
            .find(|(n, word)| self.ring_word(old, *n) == **word)
            .map(|(_, word)| *word)
    }

    /// Makes a group `ring` where it is, see [`Pass::can_change_in_place`].
    pub(super) fn change_in_place(&mut self, old: &Composite, (ring, choice): (&Ring, Choice)) {
        let Some(staying) = self.staying(old, ring) else { return };
        let (slots, live) = ring.words.split_at(ring.slots);
        let now: Vec<EcmpSlot> = (0..old.words()).map(|n| self.ring_word(old, n)).collect();
        let (slots_now, live_now) = now.split_at(ring.slots);
        let changing: BTreeSet<usize> =
            (0..slots.len()).filter(|&n| slots[n] != slots_now[n]).collect();
        let changes = |word: &EcmpSlot| changing.contains(&usize::from(word.slot));

        let Planner { card, routes, .. } = &mut *self.planner;
        let shape = card.shape();
        let readers = routes.readers(card, old);
        let before: Vec<_> =
            readers.iter().map(|(key, group)| slot_ways(card, *key, group)).collect();
        let at = |n: usize| shape.ring_index(old.first, n as u32);
        for (n, word) in live.iter().enumerate().filter(|(n, _)| changes(&live_now[*n])) {
            card.write(
                Step::Point,
                at(slots.len() + n),
                if changes(word) { staying } else { *word },
            );
        }
        // Whether who was in a slot goes, and has not drained yet.
        let goes = |n: &&usize| {
            let (new, old) = (&slots[**n], &slots_now[**n]);
            old.valid && (!new.valid || new.generation != old.generation)
        };
        for &n in changing.iter().filter(|n| !goes(n)) {
            card.write(Step::Point, at(n), slots[n]);
        }
        // Nobody who leaves a member that goes may come to another that does.
        if changing.iter().filter(goes).count() > 1 {
            for &n in changing.iter().filter(goes) {
                card.write(Step::Point, at(n), EcmpSlot { drain: true, ..slots_now[n] });
            }
        }
        for &n in changing.iter().filter(goes) {
            card.write(Step::Point, at(n), slots[n]);
        }
        for (n, word) in live.iter().enumerate() {
            card.write(Step::Point, at(slots.len() + n), *word);
        }
        let word = Routes::composite_word(old.first, ring, choice);
        card.write(Step::Point, old.id.into(), word);
        for ((key, group), before) in readers.iter().zip(before) {
            let after = slot_ways(card, *key, group);
            routes.renew_slots(&before, after);
            self.written.insert(*key, ring.holders.clone());
            self.touched.insert(key.address());
        }
    }
}
