//! ECMP groups: a new ring beside the old one, and the word that points to it.

use penstock_abi::table::{EcmpSlot, HostRoute, TableId};
use penstock_compile::{Group, RouteTarget};
use penstock_model::Reason;

use super::Pass;
use crate::card::Step;
use crate::group::{self, OldSlot, Otherwise, Ring, SMALL_SLOTS, Size};
use crate::planner::Planner;
use crate::routes::{Composite, RouteKey, Routes};
use crate::words;

impl Pass<'_> {
    /// The group of a route that has members.
    pub(super) fn group_of(&mut self, key: RouteKey, group: &Group) -> Result<(), Reason> {
        self.can_be_said(key, group)?;
        self.group(key, group, Otherwise::Discard)
    }

    /// Whether the card knows all members of a group, and they are not too many.
    pub(super) fn can_be_said(&self, key: RouteKey, group: &Group) -> Result<(), Reason> {
        for member in &group.members {
            self.usable(member.hop.next_hop)?;
        }
        let most = self.planner.card.shape().ecmp_group_max;
        if group.members.len() > most as usize {
            let of = u32::try_from(group.members.len()).unwrap_or(u32::MAX);
            return Err(Reason::GroupTooLarge { address: key.1, served: 0, of });
        }
        Ok(())
    }

    /// Whether the words of a ring, and the one that points to it, fit.
    fn ring_can_be_said(&self, ring: &Ring, hash_fields: u8) -> Result<(), Reason> {
        for word in &ring.words {
            words::fits(*word)?;
        }
        // Where it begins: no group has a place that its card has not.
        words::fits(Routes::composite_word(0, ring, hash_fields)).map(drop)
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
        let slots = match old {
            Some(old) => self.old_slots(key, &old),
            None => self.slots_of_a_like(group, otherwise),
        };
        let full = self.ring(&slots, group, otherwise, Size::Full);
        self.ring_can_be_said(&full, group.hash_fields)?;
        let slim = self.ring(&slots, group, otherwise, Size::Slim);
        // One that was made slim stays as it is until its members change.
        let written = [&full, &slim]
            .into_iter()
            .find_map(|ring| old.filter(|old| self.is_written(old, ring)).map(|old| (old, ring)));
        if let Some((old, ring)) = written {
            let place = self.route_place(key)?;
            let word = Routes::composite_word(old.first, ring, group.hash_fields);
            self.planner.card.write(Step::Point, old.id.into(), word);
            self.note_spare(key, group, ring);
            return self.lead_to(key, place, old.id, ring.local);
        }
        // Without one, nobody has to make room for its ring.
        self.has_place(key)?;
        if self.ring_like(&full).is_some() {
            return self.share(key, group, (old, &full));
        }
        if let Some(old) = old.filter(|old| self.can_change_in_place(key, old, &full)) {
            let place = self.route_place(key)?;
            self.change_in_place(&old, (&full, group.hash_fields));
            self.note_spare(key, group, &full);
            return self.lead_to(key, place, old.id, full.local);
        }
        let id = self.id_for(key, old)?;
        let made = self.ring_for(&full, &slim).and_then(|(first, size)| {
            // Only now, as a place for which others were moved is to be written before a round ends.
            let place = self.route_place(key).inspect_err(|_| {
                let ring = if size == Size::Full { &full } else { &slim };
                self.planner.routes.ring.release(first, ring.words.len() as u32);
            });
            Ok((first, size, place?))
        });
        let (first, size, place) = made.inspect_err(|_| {
            if old.is_none() {
                self.planner.next_hops.put_back(id);
            }
        })?;
        // Its ring may have been moved to make room.
        let old = self.planner.routes.composite(&self.planner.card, key);
        let ring = if size == Size::Full { full } else { slim };
        self.write_group(key, old, (id, first), place, (&ring, group.hash_fields));
        self.note_spare(key, group, &ring);
        self.lead_to(key, place, id, ring.local)
    }

    /// The words of a group.
    pub(super) fn ring(
        &self,
        slots: &[OldSlot],
        group: &Group,
        otherwise: Otherwise,
        size: Size,
    ) -> Ring {
        let most = self.planner.card.shape().ecmp_group_max as usize;
        group::ring(slots, group, otherwise, (most, size), |next_hop| {
            self.planner.next_hops.id(next_hop).unwrap_or(0)
        })
    }

    /// The first word of a large ring that has these words already.
    fn ring_like(&self, ring: &Ring) -> Option<u32> {
        let Planner { card, routes, .. } = &*self.planner;
        if ring.slots > SMALL_SLOTS { routes.ring_like(card, ring) } else { None }
    }

    /// The slots of a large group with the same members, if there is one that is up to date; so a new one can share its ring.
    fn slots_of_a_like(&self, group: &Group, otherwise: Otherwise) -> Vec<OldSlot> {
        if group.members.len() <= SMALL_SLOTS {
            return Vec::new();
        }
        let Planner { card, routes, .. } = &*self.planner;
        let is_like = |key: &RouteKey| match self.desired.routes.get(key) {
            Some(RouteTarget::Group(other)) => other.members == group.members,
            _ => false,
        };
        let others = routes.large_rings(card).into_iter().filter(|(key, _)| is_like(key));
        let mut slots = others.map(|(key, other)| self.old_slots(key, &other));
        let found = slots.find(|slots| {
            self.ring_like(&self.ring(slots, group, otherwise, Size::Full)).is_some()
        });
        found.unwrap_or_default()
    }

    /// Leads a route to the ring of a group that is like its own.
    fn share(
        &mut self,
        key: RouteKey,
        group: &Group,
        (old, ring): (Option<Composite>, &Ring),
    ) -> Result<(), Reason> {
        let id = self.id_for(key, old)?;
        let place = self.route_place(key);
        // Making a place may have ended the round; the ring goes on being somebody's.
        let found = place.and_then(|place| {
            let first = self.ring_like(ring).ok_or_else(|| self.no_ring(ring.words.len() as u32));
            Ok((place, first?))
        });
        let (place, first) = found.inspect_err(|_| {
            if old.is_none() {
                self.planner.next_hops.put_back(id);
            }
        })?;
        let old = self.planner.routes.composite(&self.planner.card, key);
        self.write_group(key, old, (id, first), place, (ring, group.hash_fields));
        self.note_spare(key, group, ring);
        self.lead_to(key, place, id, ring.local)
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
    fn ring_for(&mut self, full: &Ring, slim: &Ring) -> Result<(u32, Size), Reason> {
        fn allocate(pass: &mut Pass<'_>, ring: &Ring) -> Option<u32> {
            pass.planner.routes.ring.allocate(ring.words.len() as u32)
        }
        if let Some(first) = allocate(self, full) {
            return Ok((first, Size::Full));
        }
        self.end_round();
        if let Some(first) = allocate(self, full) {
            return Ok((first, Size::Full));
        }
        let needed = |ring: &Ring| ring.words.len() as u32;
        if !self.departed_go {
            return Err(self.no_ring(needed(full)));
        }
        if let Some(first) = allocate(self, slim) {
            return Ok((first, Size::Slim));
        }
        if self.would_do(needed(slim)) && self.let_departed_go(TableId::Ecmp) {
            self.end_round();
        }
        if let Some(first) = allocate(self, full) {
            return Ok((first, Size::Full));
        }
        self.compact(needed(full));
        if let Some(first) = allocate(self, full) {
            return Ok((first, Size::Full));
        }
        allocate(self, slim)
            .map(|first| (first, Size::Slim))
            .ok_or_else(|| self.no_ring(needed(slim)))
    }

    /// Whether there could be a range of this size if all who departed went; else they need not.
    fn would_do(&self, len: u32) -> bool {
        let Planner { card, routes, .. } = &*self.planner;
        let words = |key: &RouteKey| routes.composite(card, *key).map_or(0, |group| group.words());
        let idle: u32 = routes.idle.iter().map(words).sum();
        let spare = routes.spare.iter().map(|key| {
            let wanted = match self.desired.routes.get(key) {
                // A slot for each, and a word for new flows for each that takes some.
                Some(RouteTarget::Group(group)) => {
                    let active = group.members.iter().filter(|member| !member.draining).count();
                    (group.members.len() + active) as u32
                }
                _ => 0,
            };
            words(key).saturating_sub(wanted)
        });
        routes.ring.free_words() + idle + spare.sum::<u32>() >= len
    }

    /// Why there is no room for a ring of this size.
    fn no_ring(&self, len: u32) -> Reason {
        if self.planner.routes.ring.free_words() < len {
            return self.no_room(TableId::Ecmp, String::new);
        }
        let table = TableId::Ecmp.desc().name.to_owned();
        Reason::NoPlace { table, key: format!("a group of {len} words in one piece") }
    }

    /// Moves rings down until a range of this size is free, if there is as much in pieces.
    fn compact(&mut self, len: u32) {
        while self.planner.routes.ring.free_words() >= len && !self.planner.routes.ring.has(len) {
            let Planner { card, routes, .. } = &mut *self.planner;
            let mut moved = false;
            for (_, group) in routes.by_place(card) {
                // It may have been moved with another one.
                let Some(group) = routes.composite_at(card, group.id) else { continue };
                let lower = routes.ring.allocate_below(group.words(), group.first);
                if let Some(first) = lower.filter(|_| group.words() > 0) {
                    routes.move_ring(card, &group, first);
                    moved = true;
                }
            }
            if !moved {
                return;
            }
            self.end_round();
        }
    }

    /// Takes those who departed out of a group, for want of room elsewhere. Says whether the group is as small as it can be.
    pub(super) fn slim(&mut self, key: RouteKey) -> bool {
        let desired = self.desired;
        let Some(RouteTarget::Group(group)) = desired.routes.get(&key) else { return false };
        let Some(old) = self.planner.routes.composite(&self.planner.card, key) else {
            return false;
        };
        let Some((place, _)) = self.planner.routes.get(&self.planner.card, key) else {
            return false;
        };
        if self.can_be_said(key, group).is_err() {
            return false;
        }
        let slots = self.old_slots(key, &old);
        let ring = self.ring(&slots, group, Otherwise::Discard, Size::Slim);
        if self.ring_can_be_said(&ring, group.hash_fields).is_err() {
            return false;
        }
        if self.is_written(&old, &ring) {
            return true;
        }
        let len = ring.words.len() as u32;
        let mut first = self.ring_like(&ring).or_else(|| self.planner.routes.ring.allocate(len));
        if first.is_none() {
            self.end_round();
            first = self.planner.routes.ring.allocate(len);
        }
        let Some(first) = first else { return false };
        self.write_group(key, Some(old), (old.id, first), place, (&ring, group.hash_fields));
        let leads = self.lead_to(key, place, old.id, ring.local).is_ok();
        if leads {
            self.done.insert(key);
        }
        leads
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
                if words::is_own(&now) && !ring.local {
                    routes.set(card, place, HostRoute { sources: words::sources(false), ..now });
                }
                routes.flip(card, key, &old, word);
            }
            None => routes.found(card, key, id, word),
        }
        self.written.insert(key, ring.holders.clone());
    }

    /// Points a route to its group.
    fn lead_to(&mut self, key: RouteKey, place: u32, id: u16, own: bool) -> Result<(), Reason> {
        self.set_route(place, words::route(key, id, None, own)?);
        Ok(())
    }

    pub(super) fn ring_word(&self, composite: &Composite, n: u32) -> EcmpSlot {
        let card = &self.planner.card;
        card.at(card.shape().ring_index(composite.first, n))
    }
}
