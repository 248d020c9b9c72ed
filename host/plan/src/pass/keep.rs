//! What becomes of a route that is refused: the card keeps what it has of it, as far as that is true.
//!
//! If the compiler refused it, that is as far as it leads to pods that its owner wants; so nobody goes on getting the traffic of an
//! address that has passed to somebody else, and no backend that was taken away goes on serving.
//!
//! A member that is gone, or not wanted there, is taken out in place, word by word, as there may be no room for another ring: first
//! the words by which it gets new flows lead to another member (or, without any, the group has none), then its slot becomes a hole.
//! One that only takes no new flows any more departs or drains in the same way: its slot stays, for those that it has.

use std::collections::BTreeSet;
use std::net::IpAddr;

use penstock_abi::table::{EcmpSlot, NextHop};
use penstock_compile::{Group, Hop, NextHopKey, RouteTarget};
use penstock_model::{MplsLabel, VifId, VrfId};

use super::Pass;
use crate::card::Step;
use crate::group::{self, OldSlot, Pods};
use crate::planner::Planner;
use crate::routes::{Composite, Owner, slot_ways};
use crate::words;

/// Who may stay behind a route that is refused.
#[derive(Debug)]
pub(super) enum Wanted<'a> {
    /// Everybody who is not gone.
    Anybody,
    /// Members of this group, and who departed from it.
    Group(&'a Group),
    /// Who is reached by one of these, with the address there.
    Only(BTreeSet<(Hop, IpAddr)>),
}

impl Pass<'_> {
    /// What the compiler says of a floating IP that it refuses, by the hops of those who are wanted in the VRF of the route.
    pub(super) fn wanted_at(&self, key: Owner) -> Option<Wanted<'static>> {
        let pods = self.desired.refused.get(&key.address())?;
        let vrfs: Vec<VrfId> = match key.vrf() {
            Some(vrf) => vec![vrf],
            None => self.desired.vrfs.keys().copied().collect(),
        };
        let hop = |vrf: VrfId, pod: IpAddr| match self.desired.routes.get(&(vrf, pod))? {
            RouteTarget::Hop(hop) => Some((*hop, pod)),
            RouteTarget::Group(_) | RouteTarget::Listener(_) => None,
        };
        let hops = vrfs.iter().flat_map(|vrf| pods.iter().filter_map(|pod| hop(*vrf, *pod)));
        // What the node has, or passes on, needs no route.
        let node = Hop { next_hop: NextHopKey::Receive(VifId::VHOST), label: None };
        let behind_it = pods.iter().map(|pod| (node, *pod));
        Some(Wanted::Only(hops.chain(behind_it).collect()))
    }

    /// Keeps what the card has of a route or a listener, but those of its members that are gone.
    pub(super) fn keep(&mut self, key: Owner, wanted: &Wanted<'_>) {
        self.planner.routes.idle.remove(&key);
        self.planner.routes.spare.remove(&key);
        let card = &self.planner.card;
        if let Some(composite) = self.planner.routes.composite(card, key) {
            return self.keep_group(key, &composite, wanted);
        }
        let Some(id) = self.planner.routes.pointed(card, key) else { return };
        let word: NextHop = card.at(id.into());
        let next_hop = words::next_hop_key(&word).filter(|_| word.valid);
        let label = match key {
            Owner::Local(_) => return,
            Owner::Listener(_) => None,
            Owner::Route(vrf, address) => {
                // It is shown what a listener leads to.
                let listeners = self.planner.routes.listeners_at(address);
                let mut groups = listeners.map(Owner::Listener);
                if groups.any(|other| {
                    self.planner.routes.composite(card, other).is_some_and(|group| group.id == id)
                }) {
                    return;
                }
                let route = self.planner.routes.get(card, (vrf, address)).map(|(_, route)| route);
                route.filter(|route| route.label_valid).map(|route| MplsLabel(route.label))
            }
        };
        let is_true = next_hop.is_some_and(|next_hop| {
            let refuses = matches!(next_hop, NextHopKey::Discard | NextHopKey::Reject);
            let leads = match wanted {
                Wanted::Only(hops) => hops.iter().any(|(hop, _)| *hop == Hop { next_hop, label }),
                Wanted::Anybody | Wanted::Group(_) => false,
            };
            self.usable(next_hop).is_ok() && (refuses || (leads && self.reachable(next_hop)))
        });
        if !is_true {
            self.remove(key);
        }
    }

    /// Whether somebody is to be taken out of a slot.
    fn is_gone(&self, slot: &OldSlot, wanted: &Wanted<'_>) -> bool {
        let Some(who) = &slot.who else { return true };
        let (stays, known) = match wanted {
            // Nothing says that it leads elsewhere.
            Wanted::Anybody => (slot.stays, who.pods == Pods::Unknown),
            Wanted::Group(group) => (slot.stays, group::wanted(slot, group).is_some()),
            // It leads to one who is wanted, and did before.
            Wanted::Only(hops) => {
                let moved = matches!(who.pods, Pods::Moved(_));
                let mapped = who.mapped.map(|(address, _)| address);
                let is = |(hop, pod): &(Hop, IpAddr)| {
                    *hop == who.hop && mapped.is_none_or(|address| address == *pod)
                };
                (false, !moved && hops.iter().any(is))
            }
        };
        !(stays || known && self.reachable(who.hop.next_hop))
    }

    /// What becomes of the word of a slot, where those drain who shall if `drains`, and a refusal stands in for members if
    /// `refuses`. It is never better than it was: who takes no new flows has no word by which he would.
    fn kept_word(
        &self,
        slot: &OldSlot,
        word: EcmpSlot,
        wanted: &Wanted<'_>,
        (drains, refuses): (bool, bool),
    ) -> EcmpSlot {
        if !word.valid {
            return word;
        }
        if self.is_gone(slot, wanted) {
            return EcmpSlot { generation: word.generation, ..EcmpSlot::default() };
        }
        let Wanted::Group(group) = wanted else { return word };
        match group::wanted(slot, group).map(|at| group.members[at]) {
            Some(member) => EcmpSlot { drain: word.drain || (drains && member.draining), ..word },
            // A refusal must not count as somebody else who takes them.
            None => EcmpSlot { drain: true, evict_udp: !refuses, ..word },
        }
    }

    /// The same for a group that shares its ring: it gets one of its own first, or goes if there is no room for that.
    fn keep_apart(&mut self, key: Owner, composite: &Composite, wanted: &Wanted<'_>) {
        let Planner { card, routes, .. } = &mut *self.planner;
        let Some(first) = routes.ring.allocate(composite.words()) else {
            return self.remove(key);
        };
        routes.part_ring(card, key, composite, first);
        let parted = routes.composite_at(card, composite.id);
        if let Some(parted) = parted {
            self.keep_group(key, &parted, wanted);
        }
    }

    fn keep_group(&mut self, key: Owner, composite: &Composite, wanted: &Wanted<'_>) {
        let slots = self.old_slots(key, composite);
        let words: Vec<EcmpSlot> =
            (0..composite.words()).map(|n| self.ring_word(composite, n)).collect();
        let (words, live) = words.split_at(slots.len());
        // A live word without a generation is no member: it refuses.
        let is_member = |word: &EcmpSlot| word.valid && word.generation != 0;
        let refuses = live.iter().any(|word| word.valid && !is_member(word));
        let takes = |word: &EcmpSlot| word.valid && !word.drain;
        let keep = |drains: bool| -> Vec<EcmpSlot> {
            let slots = slots.iter().zip(words);
            slots
                .map(|(slot, word)| self.kept_word(slot, *word, wanted, (drains, refuses)))
                .collect()
        };
        // Those that terminate take new connections if nobody else does.
        let kept = Some(keep(true)).filter(|kept| kept.iter().any(takes));
        let mut kept = kept.unwrap_or_else(|| keep(false));
        let live_words = live;
        let live = &refill(live, &mut kept);
        let is_gone = |word: &EcmpSlot| {
            is_member(word) && !kept.get(usize::from(word.slot)).is_some_and(takes)
        };
        let other = kept.iter().copied().find(takes);
        let changes = kept != words || live[..] != *live_words || live.iter().any(is_gone);
        if changes && self.planner.routes.is_shared(composite) {
            return self.keep_apart(key, composite, wanted);
        }
        let Planner { card, routes, .. } = &mut *self.planner;
        let shape = card.shape();
        let before = slot_ways(card, key, composite);
        let index = |n: usize| shape.ring_index(composite.first, n as u32);
        match other {
            Some(other) => {
                for (n, word) in live.iter().enumerate() {
                    let word = if is_gone(word) { other } else { *word };
                    card.write(Step::Point, index(slots.len() + n), word);
                }
            }
            None if live.iter().any(is_gone) => {
                let word: NextHop = card.at(composite.id.into());
                card.write(Step::Point, composite.id.into(), NextHop { live: 0, ..word });
                for n in slots.len()..slots.len() + live.len() {
                    card.clear::<EcmpSlot>(Step::Unmake, index(n));
                }
                routes.ring.release_tail(composite.first, composite.words(), composite.slots);
                if composite.slots == 0 {
                    routes.leave_ring(card, composite);
                }
            }
            None => {}
        }
        let changed = || kept.iter().zip(words).enumerate().filter(|(_, (new, old))| new != old);
        // Who stays first. Then nobody who leaves a member that goes may come to another that does.
        for (n, (new, _)) in changed().filter(|(_, (new, _))| new.valid) {
            card.write(Step::Point, index(n), *new);
        }
        let taken_out = || changed().filter(|(_, (new, _))| !new.valid);
        if taken_out().count() > 1 {
            for (n, (_, old)) in taken_out() {
                card.write(Step::Point, index(n), EcmpSlot { drain: true, ..*old });
            }
        }
        for (n, (hole, _)) in taken_out() {
            card.write(Step::Point, index(n), *hole);
        }
        let after = slot_ways(card, key, composite);
        routes.renew_slots(&before, after);
    }
}

/// The live words of a group that changes in place, with a word for each slot that takes new connections: a plan that broke off
/// may have given its word to another. It has one of those that stand there twice, or that lead to who takes none; a slot for
/// which there is none drains.
fn refill(live: &[EcmpSlot], kept: &mut [EcmpSlot]) -> Vec<EcmpSlot> {
    let takes = |word: &EcmpSlot| word.valid && !word.drain;
    let mut live = live.to_vec();
    let mut has = vec![false; kept.len()];
    let mut free = Vec::new();
    for (n, word) in live.iter().enumerate().filter(|(_, word)| word.valid && word.generation != 0)
    {
        let slot = usize::from(word.slot);
        if kept.get(slot).is_some_and(takes) && !has[slot] {
            has[slot] = true;
        } else {
            free.push(n);
        }
    }
    let mut free = free.into_iter();
    for (word, _) in kept.iter_mut().zip(has).filter(|(word, has)| takes(word) && !has) {
        match free.next() {
            Some(n) => live[n] = *word,
            None => word.drain = true,
        }
    }
    live
}
