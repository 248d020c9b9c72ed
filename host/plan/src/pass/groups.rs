//! ECMP groups: a new ring beside the old one, and the word that points to it.

use penstock_abi::table::{EcmpSlot, ServiceAddress, TableId};
use penstock_compile::{Group, GroupMember};
use penstock_model::Reason;

use super::Pass;
use super::listeners::{Want, want};
use crate::card::Step;
use crate::group::{self, Choice, OldSlot, Otherwise, Ring, SMALL_SLOTS, Size};
use crate::maps::MapKey;
use crate::planner::Planner;
use crate::routes::{Composite, Owner, Routes};
use crate::words;

impl Pass<'_> {
    /// A group that has members.
    pub(super) fn group_of(&mut self, key: Owner, group: &Group) -> Result<(), Reason> {
        self.can_be_said(key, group)?;
        self.group(key, group, Otherwise::Discard)
    }

    /// Whether the card knows all members of a group, and they are not too many.
    pub(super) fn can_be_said(&self, key: Owner, group: &Group) -> Result<(), Reason> {
        for member in &group.members {
            self.usable(member.hop.next_hop)?;
        }
        let most = self.planner.card.shape().ecmp_group_max;
        if group.members.len() > most as usize {
            let of = u32::try_from(group.members.len()).unwrap_or(u32::MAX);
            return Err(Reason::GroupTooLarge { address: key.address(), served: 0, of });
        }
        Ok(())
    }

    /// Whether the words of a ring, and the one that points to it, fit.
    fn ring_can_be_said(&self, ring: &Ring, choice: Choice) -> Result<(), Reason> {
        for word in &ring.words {
            words::fits(*word)?;
        }
        // Where it begins: no group has a place that its card has not.
        words::fits(Routes::composite_word(0, ring, choice)).map(drop)
    }

    /// Brings somebody's group up to date, or makes it, and leads there.
    pub(super) fn group(
        &mut self,
        key: Owner,
        group: &Group,
        otherwise: Otherwise,
    ) -> Result<(), Reason> {
        let made = self.group_with_maps(key, group, otherwise);
        let Planner { card, maps, .. } = &mut *self.planner;
        maps.put_back(card);
        made
    }

    /// What a member's mapping says, if it has one of its own.
    pub(super) fn map_of(key: Owner, member: &GroupMember) -> Option<Result<MapKey, Reason>> {
        let to = (member.pod?, member.port?);
        Some(words::map_key((key.address(), key.port()?), to))
    }

    fn group_with_maps(
        &mut self,
        key: Owner,
        group: &Group,
        otherwise: Otherwise,
    ) -> Result<(), Reason> {
        match key {
            Owner::Route(vrf, address) => {
                words::route((vrf, address), 0, None, (ServiceAddress::No, 0)).map(drop)?;
            }
            Owner::Listener(key) | Owner::Local(key) => words::service(&key, 0, 0).map(drop)?,
        }
        for member in &group.members {
            if let Some(map) = Self::map_of(key, member) {
                self.reserve_map(map?)?;
            }
        }
        self.planner.routes.spare.remove(&key);
        let old = self.planner.routes.composite(&self.planner.card, key);
        let slots = match old {
            Some(old) => self.old_slots(key, &old),
            None => self
                .slots_of_a_peer(key, group)
                .unwrap_or_else(|| self.slots_of_a_like(key, group, otherwise)),
        };
        let full = self.ring(key, &slots, group, otherwise, Size::Full);
        let choice = Choice::of(group, self.planner.card.shape().clock_khz);
        self.ring_can_be_said(&full, choice)?;
        let slim = self.ring(key, &slots, group, otherwise, Size::Slim);
        // One that was made slim stays as it is until its members change.
        let written = [&full, &slim]
            .into_iter()
            .find_map(|ring| old.filter(|old| self.is_written(old, ring)).map(|old| (old, ring)));
        if let Some((old, ring)) = written {
            let word = Routes::composite_word(old.first, ring, choice);
            self.planner.card.write(Step::Point, old.id.into(), word);
            self.note_spare(key, group, ring);
            return self.lead_to(key, old.id);
        }
        // Without one, nobody has to make room for its ring.
        self.has_place(key)?;
        if self.ring_like(&full).is_some() {
            return self.share(key, group, (old, &full));
        }
        if let Some(old) = old.filter(|old| self.can_change_in_place(key, old, &full)) {
            self.widen(key, group);
            self.write_maps();
            self.change_in_place(&old, (&full, choice));
            self.note_spare(key, group, &full);
            return self.lead_to(key, old.id);
        }
        let id = self.id_for(key, old)?;
        let made = self.ring_for(&full, &slim);
        let (first, size) = made.inspect_err(|_| {
            if old.is_none() {
                self.planner.next_hops.put_back(id);
            }
        })?;
        // Its ring may have been moved to make room.
        let old = self.planner.routes.composite(&self.planner.card, key);
        let ring = if size == Size::Full { full } else { slim };
        self.widen(key, group);
        self.write_maps();
        self.write_group(key, old, (id, first), (&ring, choice));
        self.note_spare(key, group, &ring);
        self.lead_to(key, id)
    }

    /// Reserves a mapping.
    pub(super) fn reserve_map(&mut self, map: MapKey) -> Result<u16, Reason> {
        self.with_room(TableId::FipMap, |planner| planner.maps.reserve(&planner.card, map))
            .ok_or_else(|| self.no_room(TableId::FipMap, String::new))
    }

    /// Writes the mappings that are reserved.
    pub(super) fn write_maps(&mut self) {
        let Planner { card, maps, .. } = &mut *self.planner;
        maps.write_reserved(card);
    }

    /// The words of a group.
    pub(super) fn ring(
        &self,
        key: Owner,
        slots: &[OldSlot],
        group: &Group,
        otherwise: Otherwise,
        size: Size,
    ) -> Ring {
        let Planner { card, next_hops, maps, .. } = &*self.planner;
        let most = card.shape().ecmp_group_max as usize;
        let next_hop_id = |next_hop| next_hops.id(next_hop).unwrap_or(0);
        let map_of = |member: &GroupMember| {
            let map = Self::map_of(key, member)?.ok();
            Some(map.and_then(|map| maps.index(map)).unwrap_or(0))
        };
        group::ring(slots, group, otherwise, (most, size), next_hop_id, map_of)
    }

    /// Whether the mappings of all members are on the card.
    fn has_maps(&self, key: Owner, group: &Group) -> bool {
        let mut maps = group.members.iter().filter_map(|member| Self::map_of(key, member));
        maps.all(|map| map.is_ok_and(|map| self.planner.maps.is_there(map)))
    }

    /// The first word of a large ring that has these words already.
    fn ring_like(&self, ring: &Ring) -> Option<u32> {
        let Planner { card, routes, .. } = &*self.planner;
        if ring.slots > SMALL_SLOTS { routes.ring_like(card, ring) } else { None }
    }

    /// The slots of a large group with the same members, if there is one that is up to date; so a new one can share its ring.
    fn slots_of_a_like(&self, key: Owner, group: &Group, otherwise: Otherwise) -> Vec<OldSlot> {
        if group.members.len() <= SMALL_SLOTS {
            return Vec::new();
        }
        let Planner { card, routes, .. } = &*self.planner;
        let is_like = |key: &Owner| match self.want(*key) {
            Some(Want::Group(other)) => other.members == group.members,
            _ => false,
        };
        let others = routes.large_rings(card).into_iter().filter(|(key, _)| is_like(key));
        let mut slots = others.map(|(key, other)| self.old_slots(key, &other));
        let found = slots.find(|slots| {
            self.ring_like(&self.ring(key, slots, group, otherwise, Size::Full)).is_some()
        });
        found.unwrap_or_default()
    }

    /// Leads a route to the ring of a group that is like its own.
    fn share(
        &mut self,
        key: Owner,
        group: &Group,
        (old, ring): (Option<Composite>, &Ring),
    ) -> Result<(), Reason> {
        let id = self.id_for(key, old)?;
        self.widen(key, group);
        // That, and taking an id, may have ended the round; the ring goes on being somebody's.
        let found = self.ring_like(ring).ok_or_else(|| self.no_ring(ring.words.len() as u32));
        let first = found.inspect_err(|_| {
            if old.is_none() {
                self.planner.next_hops.put_back(id);
            }
        })?;
        let old = self.planner.routes.composite(&self.planner.card, key);
        self.write_maps();
        let choice = Choice::of(group, self.planner.card.shape().clock_khz);
        self.write_group(key, old, (id, first), (ring, choice));
        self.note_spare(key, group, ring);
        self.lead_to(key, id)
    }

    /// Whether a group has these words.
    fn is_written(&self, old: &Composite, ring: &Ring) -> bool {
        (old.slots, old.live) == (ring.slots as u32, ring.live() as u32)
            && (0..).zip(&ring.words).all(|(n, word)| self.ring_word(old, n) == *word)
    }

    /// Notes whether a group could be slimmer. One that is there for those who departed only could not.
    fn note_spare(&mut self, key: Owner, group: &Group, ring: &Ring) {
        if ring.spare && !group.members.is_empty() {
            self.planner.routes.spare.insert(key);
        }
    }

    fn id_for(&mut self, key: Owner, old: Option<Composite>) -> Result<u16, Reason> {
        match old {
            Some(old) => Ok(old.id),
            None => self.new_id(|| format!("the group of {}", key.address())),
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
        let words = |key: &Owner| routes.composite(card, *key).map_or(0, |group| group.words());
        let idle: u32 = routes.idle.iter().map(words).sum();
        let spare = routes.spare.iter().map(|key| {
            let wanted = match self.want(*key) {
                // A slot for each, and a word for new flows for each that takes some.
                Some(Want::Group(group)) => {
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
    pub(super) fn slim(&mut self, key: Owner) -> bool {
        let desired = self.desired;
        let Some(Want::Group(group)) = want(desired, key) else { return false };
        let Some(old) = self.planner.routes.composite(&self.planner.card, key) else {
            return false;
        };
        if self.can_be_said(key, group).is_err() || !self.has_maps(key, group) {
            return false;
        }
        let slots = self.old_slots(key, &old);
        let ring = self.ring(key, &slots, group, Otherwise::Discard, Size::Slim);
        let choice = Choice::of(group, self.planner.card.shape().clock_khz);
        if self.ring_can_be_said(&ring, choice).is_err() {
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
        self.write_group(key, Some(old), (old.id, first), (&ring, choice));
        let leads = self.lead_to(key, old.id).is_ok();
        if leads {
            self.done.insert(key);
        }
        leads
    }

    /// Writes the ring of a group, and points the group to it.
    fn write_group(
        &mut self,
        key: Owner,
        old: Option<Composite>,
        (id, first): (u16, u32),
        (ring, choice): (&Ring, Choice),
    ) {
        let Planner { card, routes, .. } = &mut *self.planner;
        routes.write_ring(card, first, ring);
        let word = Routes::composite_word(first, ring, choice);
        match old {
            Some(old) => routes.flip(card, key, &old, word),
            None => routes.found(card, key, id, word),
        }
        self.written.insert(key, ring.holders.clone());
        self.touched.insert(key.address());
    }

    /// Points to a group; there is a place for that.
    fn lead_to(&mut self, key: Owner, id: u16) -> Result<(), Reason> {
        let led = match key {
            Owner::Route(vrf, address) => self.route_to((vrf, address), id, None),
            Owner::Listener(listener) => self.listen(&listener, |word| word.nh = id),
            Owner::Local(listener) => self.listen(&listener, |word| word.local = id),
        };
        led.inspect_err(|_| {
            let Planner { card, routes, next_hops, .. } = &mut *self.planner;
            if let Some(composite) = routes.composite_at(card, id) {
                routes.disown(card, key, &composite);
                next_hops.give_up(id);
            }
        })
    }

    pub(super) fn ring_word(&self, composite: &Composite, n: u32) -> EcmpSlot {
        let card = &self.planner.card;
        card.at(card.shape().ring_index(composite.first, n))
    }
}
