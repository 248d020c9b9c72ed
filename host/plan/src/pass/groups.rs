//! ECMP groups: a new ring beside the old one, and the word that points to it.

use penstock_abi::table::{EcmpSlot, HostRoute, TableId};
use penstock_compile::{Group, RouteTarget};
use penstock_model::Reason;

use super::Pass;
use crate::card::Step;
use crate::group::{self, OldSlot, Otherwise, Ring, Size};
use crate::planner::Planner;
use crate::routes::{Composite, RouteKey, Routes};
use crate::words;

impl Pass<'_> {
    /// The group of a route that has members.
    pub(super) fn group_of(&mut self, key: RouteKey, group: &Group) -> Result<(), Reason> {
        for member in &group.members {
            self.usable(member.hop.next_hop)?;
        }
        let most = self.planner.card.shape().ecmp_group_max;
        if group.members.len() > most as usize {
            let of = u32::try_from(group.members.len()).unwrap_or(u32::MAX);
            return Err(Reason::GroupTooLarge { address: key.1, served: 0, of });
        }
        self.group(key, group, Otherwise::Discard)
    }

    /// Brings a route's group up to date, or makes it.
    pub(super) fn group(
        &mut self,
        key: RouteKey,
        group: &Group,
        otherwise: Otherwise,
    ) -> Result<(), Reason> {
        words::route(key, 0, None, false)?;
        self.planner.routes.spare.remove(&key);
        let old = self.planner.routes.composite(&self.planner.card, key);
        let slots = old.map(|old| self.old_slots(key.0, &old)).unwrap_or_default();
        let full = self.ring(&slots, group, otherwise, Size::Full);
        for word in &full.words {
            // Groups of a larger card have more slots than the field counts.
            words::fits(EcmpSlot { slot: 0, ..*word })?;
        }
        let place = self.route_place(key)?;
        if let Some(old) = old.filter(|old| self.is_written(old, &full)) {
            let word = Routes::composite_word(old.first, &full, group.hash_fields);
            self.planner.card.write(Step::Point, old.id.into(), word);
            self.note_spare(key, group, &full);
            return self.lead_to(key, place, old.id, full.local);
        }
        let slim = self.ring(&slots, group, otherwise, Size::Slim);
        let made = self.id_for(key, old).and_then(|id| {
            let room = self.ring_for(&full, &slim);
            if room.is_none() && old.is_none() {
                self.planner.next_hops.put_back(id);
            }
            let (first, size) = room.ok_or_else(|| self.no_room(TableId::Ecmp, String::new))?;
            Ok((id, first, size))
        });
        let (id, first, size) = made.inspect_err(|_| self.give_place_back(key, place))?;
        // Its ring may have been moved to make room.
        let old = self.planner.routes.composite(&self.planner.card, key);
        let ring = if size == Size::Full { full } else { slim };
        self.write_group(key, old, (id, first), place, (&ring, group.hash_fields));
        self.note_spare(key, group, &ring);
        self.lead_to(key, place, id, ring.local)
    }

    /// The words of a group.
    fn ring(&self, slots: &[OldSlot], group: &Group, otherwise: Otherwise, size: Size) -> Ring {
        let most = self.planner.card.shape().ecmp_group_max as usize;
        group::ring(slots, group, otherwise, (most, size), |next_hop| {
            self.planner.next_hops.id(next_hop).unwrap_or(0)
        })
    }

    /// Whether a group has these words.
    fn is_written(&self, old: &Composite, ring: &Ring) -> bool {
        (old.slots, old.live) == (ring.slots as u32, ring.live() as u32)
            && (0..).zip(&ring.words).all(|(n, word)| self.ring_word(old, n) == *word)
    }

    /// Notes whether a group could be slimmer. One that is there for those who departed only could not.
    fn note_spare(&mut self, key: RouteKey, group: &Group, ring: &Ring) {
        if ring.spare && !group.members.is_empty() {
            self.planner.routes.spare.insert(key);
        }
    }

    fn id_for(&mut self, key: RouteKey, old: Option<Composite>) -> Result<u16, Reason> {
        match old {
            Some(old) => Ok(old.id),
            None => self.new_id(|| format!("the group of {}", key.1)),
        }
    }

    /// A range for the ring of a group. If there is none, what this round gave up is; then who departed goes, of this group
    /// first.
    fn ring_for(&mut self, full: &Ring, slim: &Ring) -> Option<(u32, Size)> {
        fn allocate(pass: &mut Pass<'_>, ring: &Ring) -> Option<u32> {
            pass.planner.routes.ring.allocate(ring.words.len() as u32)
        }
        if let Some(first) = allocate(self, full) {
            return Some((first, Size::Full));
        }
        self.end_round();
        if let Some(first) = allocate(self, full) {
            return Some((first, Size::Full));
        }
        if !self.departed_go {
            return None;
        }
        if let Some(first) = allocate(self, slim) {
            return Some((first, Size::Slim));
        }
        if self.let_departed_go(TableId::Ecmp) {
            self.end_round();
        }
        if let Some(first) = allocate(self, full) {
            return Some((first, Size::Full));
        }
        self.compact(full.words.len() as u32);
        if let Some(first) = allocate(self, full) {
            return Some((first, Size::Full));
        }
        allocate(self, slim).map(|first| (first, Size::Slim))
    }

    /// Moves rings down until a range of this size is free, if there is as much in pieces.
    fn compact(&mut self, len: u32) {
        while self.planner.routes.ring.free_words() >= len && !self.planner.routes.ring.has(len) {
            let Planner { card, routes, .. } = &mut *self.planner;
            let mut moved = false;
            for (key, group) in routes.by_place(card) {
                let lower = routes.ring.allocate_below(group.words(), group.first);
                if let Some(first) = lower.filter(|_| group.words() > 0) {
                    routes.move_ring(card, key, &group, first);
                    moved = true;
                }
            }
            if !moved {
                return;
            }
            self.end_round();
        }
    }

    /// Takes those who departed out of a group, for want of room elsewhere.
    pub(super) fn slim(&mut self, key: RouteKey) {
        let desired = self.desired;
        let Some(RouteTarget::Group(group)) = desired.routes.get(&key) else { return };
        let Some(old) = self.planner.routes.composite(&self.planner.card, key) else { return };
        let Some((place, _)) = self.planner.routes.get(&self.planner.card, key) else { return };
        if group.members.iter().any(|member| self.usable(member.hop.next_hop).is_err()) {
            return;
        }
        let slots = self.old_slots(key.0, &old);
        let ring = self.ring(&slots, group, Otherwise::Discard, Size::Slim);
        let fits = |word: &EcmpSlot| words::fits(EcmpSlot { slot: 0, ..*word }).is_ok();
        if !ring.words.iter().all(fits) || self.is_written(&old, &ring) {
            return;
        }
        let len = ring.words.len() as u32;
        let mut first = self.planner.routes.ring.allocate(len);
        if first.is_none() {
            self.end_round();
            first = self.planner.routes.ring.allocate(len);
        }
        let Some(first) = first else { return };
        self.write_group(key, Some(old), (old.id, first), place, (&ring, group.hash_fields));
        if self.lead_to(key, place, old.id, ring.local).is_ok() {
            self.done.insert(key);
        }
    }

    /// Writes the ring of a group, and points the group to it.
    fn write_group(
        &mut self,
        key: RouteKey,
        old: Option<Composite>,
        (id, first): (u16, u32),
        place: u32,
        (ring, hash_fields): (&Ring, u8),
    ) {
        let Planner { card, routes, .. } = &mut *self.planner;
        routes.write_ring(card, first, ring);
        let word = Routes::composite_word(first, ring, hash_fields);
        match old {
            Some(old) => {
                // Before the first packet can come from elsewhere.
                let now: HostRoute = card.at(place);
                if now.own && !ring.local {
                    routes.set(card, place, HostRoute { own: false, ..now });
                }
                routes.flip(card, key, &old, word);
            }
            None => routes.found(card, key, id, word),
        }
    }

    /// Points a route to its group.
    fn lead_to(&mut self, key: RouteKey, place: u32, id: u16, own: bool) -> Result<(), Reason> {
        self.set_route(place, words::route(key, id, None, own)?);
        Ok(())
    }

    /// Gives back a place that was made for a route that is not written after all.
    fn give_place_back(&mut self, key: RouteKey, place: u32) {
        let Planner { card, routes, .. } = &mut *self.planner;
        let there: HostRoute = card.at(place);
        let own = there.valid && (there.vrf.into(), words::address(there.ip)) == key;
        if !own {
            routes.unmake_place(card, place);
        }
    }

    pub(super) fn ring_word(&self, composite: &Composite, n: u32) -> EcmpSlot {
        let card = &self.planner.card;
        card.at(card.shape().ring_index(composite.first, n))
    }
}
