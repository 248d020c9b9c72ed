//! Host routes of the card: where they stand, whom they reach, and the groups behind them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use imbl::OrdSet;
use penstock_abi::hash;
use penstock_abi::table::{EcmpSlot, HostRoute, NextHop};
use penstock_model::VrfId;
use penstock_tables::Keyed as _;

use crate::buckets::Buckets;
use crate::card::{Card, Step};
use crate::group::{Ring, SMALL_SLOTS};
use crate::ring::RingSpace;
use crate::words;

/// What identifies a host route.
pub(crate) type RouteKey = (VrfId, IpAddr);

/// A way to a pod: next hop id, label or 0, VRF, address.
pub(crate) type Way = (u16, u32, VrfId, IpAddr);

/// A composite next hop that is a route's own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Composite {
    pub(crate) id: u16,
    /// First word in the ring memory.
    pub(crate) first: u32,
    pub(crate) slots: u32,
    pub(crate) live: u32,
}

impl Composite {
    pub(crate) fn words(&self) -> u32 {
        self.slots + self.live
    }
}

/// The index.
#[derive(Debug)]
pub(crate) struct Routes {
    pub(crate) places: Buckets,
    /// Routes of the card, by address.
    by_address: BTreeSet<(IpAddr, VrfId)>,
    /// Routes to one next hop, by the way that they go. Shared with what a plan remembers of the time before it.
    ways: OrdSet<Way>,
    /// Slots of groups, by the way that their members are reached; the address is the group's.
    slots: BTreeSet<Way>,
    /// Groups, by id, and whose they are.
    owners: BTreeMap<u16, RouteKey>,
    /// Groups that are there only for those who departed.
    pub(crate) idle: BTreeSet<RouteKey>,
    /// Groups that would be smaller without those who departed.
    pub(crate) spare: BTreeSet<RouteKey>,
    pub(crate) ring: RingSpace,
    /// Groups by the first word of the ring that they read; large ones that are alike share one.
    rings: BTreeMap<u32, BTreeSet<u16>>,
}

/// What of a card no look-up sees: it is cleared before anything else.
#[derive(Debug, Default)]
pub(crate) struct Strays {
    pub(crate) routes: Vec<u32>,
    pub(crate) ring_words: Vec<u32>,
    pub(crate) groups: Vec<u16>,
}

fn key_of(route: &HostRoute) -> RouteKey {
    (route.vrf.into(), words::address(route.ip))
}

fn hashed((vrf, address): RouteKey) -> Option<u128> {
    match address {
        IpAddr::V4(address) if vrf.0 < 1 << 12 => Some(hash::host_route_key(vrf.0, address.into())),
        _ => None,
    }
}

/// The label of a route, 0 for none: no valid label is 0.
fn label(route: &HostRoute) -> u32 {
    if route.label_valid { route.label } else { 0 }
}

impl Routes {
    pub(crate) fn new(card: &Card) -> (Self, Strays) {
        let tables = card.tables();
        let shape = card.shape();
        let entries = tables.of::<HostRoute>().iter();
        let (places, mut routes) = Buckets::new(
            shape.host_route_rows_log2,
            entries
                .filter(|(_, route)| route.valid)
                .map(|(index, route)| (index, hash::host_route_key(route.vrf, route.ip))),
        );
        routes.extend(tables.of::<HostRoute>().iter().filter(|(_, r)| !r.valid).map(|(i, _)| i));
        // At 0 is what discards, whatever the card was found with there.
        let is_group = |id: u32, nh: &NextHop| id != 0 && words::is_composite(nh);
        let composites = || tables.of::<NextHop>().iter().filter(|(id, nh)| is_group(*id, nh));
        let range = |nh: &NextHop| (nh.base, u32::from(nh.slots) + u32::from(nh.live));
        let in_rings: BTreeSet<u32> = composites()
            .map(|(_, nh)| range(nh))
            .flat_map(|(first, len)| (0..len).map(move |n| shape.ring_index(first, n)))
            .collect();
        let ring_words = tables.of::<EcmpSlot>().indices();
        let ring_words = ring_words.filter(|index| !in_rings.contains(index)).collect();
        let mut all = Self {
            places,
            by_address: BTreeSet::new(),
            ways: OrdSet::new(),
            slots: BTreeSet::new(),
            owners: BTreeMap::new(),
            idle: BTreeSet::new(),
            spare: BTreeSet::new(),
            ring: RingSpace::new(shape, composites().map(|(_, nh)| range(nh))),
            rings: BTreeMap::new(),
        };
        for (id, _) in composites() {
            all.read_ring(card, id as u16);
        }
        let strays: BTreeSet<u32> = routes.iter().copied().collect();
        let mut known: Vec<&HostRoute> = tables
            .of::<HostRoute>()
            .iter()
            .filter(|(index, _)| !strays.contains(index))
            .map(|(_, route)| route)
            .collect();
        // A group belongs to the first route that points to it.
        known.sort_unstable_by_key(|route| route.key());
        for route in known {
            let key = key_of(route);
            all.note(card, route);
            if card.get(route.nh.into()).is_some_and(|nh| is_group(route.nh.into(), &nh)) {
                all.owners.entry(route.nh).or_insert(key);
            }
        }
        for (&id, &key) in &all.owners {
            if let Some(composite) = all.composite_at(card, id) {
                all.slots.extend(slot_ways(card, key, &composite));
            }
        }
        let nobodys = composites().map(|(id, _)| id as u16);
        let groups = nobodys.filter(|id| !all.owners.contains_key(id)).collect();
        (all, Strays { routes, ring_words, groups })
    }

    /// Where a route stands, and what it says.
    pub(crate) fn get(&self, card: &Card, key: RouteKey) -> Option<(u32, HostRoute)> {
        let index = self.places.get(hashed(key)?)?;
        Some((index, card.at(index)))
    }

    /// All routes of the card.
    pub(crate) fn keys(&self) -> impl Iterator<Item = RouteKey> {
        self.by_address.iter().map(|&(address, vrf)| (vrf, address))
    }

    /// Routes of the card to an address.
    pub(crate) fn at(&self, address: IpAddr) -> impl Iterator<Item = RouteKey> {
        let range = (address, VrfId(0))..=(address, VrfId(u16::MAX));
        self.by_address.range(range).map(|&(address, vrf)| (vrf, address))
    }

    /// Whether there is a place for a route, or can be.
    pub(crate) fn has_place(&self, key: RouteKey) -> bool {
        hashed(key).is_some_and(|key| self.places.has(key))
    }

    /// A place for a route that the card does not have; what is moved for it is written.
    pub(crate) fn make_place(&mut self, card: &mut Card, key: RouteKey) -> Option<u32> {
        let place = self.places.place(hashed(key)?)?;
        for (from, to) in place.moves {
            let moved: HostRoute = card.at(from);
            card.write(Step::Point, to, moved);
        }
        Some(place.index)
    }

    /// Writes a route at its place.
    pub(crate) fn set(&mut self, card: &mut Card, index: u32, route: HostRoute) {
        let old: HostRoute = card.at(index);
        if old.valid && old.key() == route.key() {
            self.forget(&old);
        }
        card.write(Step::Point, index, route);
        self.note(card, &route);
    }

    /// Removes a route; its group, if it is its own, is not used any more.
    pub(crate) fn remove(&mut self, card: &mut Card, index: u32) {
        let old: HostRoute = card.at(index);
        self.forget(&old);
        let (vrf, address) = key_of(&old);
        self.by_address.remove(&(address, vrf));
        card.clear::<HostRoute>(Step::Unpoint, index);
        self.places.leave(index);
    }

    fn note(&mut self, card: &Card, route: &HostRoute) {
        let (vrf, address) = key_of(route);
        self.by_address.insert((address, vrf));
        if !card.get(route.nh.into()).is_some_and(|nh| words::is_composite(&nh)) {
            self.ways.insert((route.nh, label(route), vrf, address));
        }
    }

    fn forget(&mut self, route: &HostRoute) {
        let (vrf, address) = key_of(route);
        self.ways.remove(&(route.nh, label(route), vrf, address));
    }

    /// The ways of routes to one next hop, as they are now.
    pub(crate) fn ways(&self) -> OrdSet<Way> {
        self.ways.clone()
    }

    /// The way of a route to one next hop.
    pub(crate) fn way(&self, card: &Card, key: RouteKey) -> Option<(u16, u32)> {
        let (_, route) = self.get(card, key)?;
        let (nh, label) = (route.nh, label(&route));
        self.ways.contains(&(nh, label, key.0, key.1)).then_some((nh, label))
    }

    /// Groups of a VRF with a member that is reached in this way.
    pub(crate) fn groups_by(
        &self,
        nh: u16,
        label: u32,
        vrf: VrfId,
    ) -> impl Iterator<Item = RouteKey> {
        let here = self.slots.range((nh, label, vrf, LOWEST)..);
        here.take_while(move |way| (way.0, way.1, way.2) == (nh, label, vrf))
            .map(|way| (way.2, way.3))
    }

    /// Routes of a VRF to one next hop that go this way.
    pub(crate) fn routes_by(
        &self,
        nh: u16,
        label: u32,
        vrf: VrfId,
    ) -> impl Iterator<Item = RouteKey> {
        let here = self.ways.range((nh, label, vrf, LOWEST)..);
        here.take_while(move |way| (way.0, way.1, way.2) == (nh, label, vrf))
            .map(|way| (way.2, way.3))
    }

    /// Everything that leads to a next hop: routes, and groups with such a member.
    pub(crate) fn users(&self, nh: u16) -> impl Iterator<Item = RouteKey> {
        let lowest = (nh, 0, VrfId(0), LOWEST);
        let routes = self.ways.range(lowest..).take_while(move |way| way.0 == nh);
        let groups = self.slots.range(lowest..).take_while(move |way| way.0 == nh);
        routes.chain(groups).map(|way| (way.2, way.3))
    }

    /// The group that is a route's own.
    pub(crate) fn composite(&self, card: &Card, key: RouteKey) -> Option<Composite> {
        let (_, route) = self.get(card, key)?;
        self.owners.get(&route.nh).filter(|owner| **owner == key)?;
        self.composite_at(card, route.nh)
    }

    /// A group by its id.
    pub(crate) fn composite_at(&self, card: &Card, id: u16) -> Option<Composite> {
        let word: NextHop = card.get(id.into()).filter(words::is_composite)?;
        Some(Composite { id, first: word.base, slots: word.slots.into(), live: word.live.into() })
    }

    /// Writes the words of a ring to a range that was given out.
    pub(crate) fn write_ring(&mut self, card: &mut Card, first: u32, ring: &Ring) {
        for (n, word) in (0..).zip(&ring.words) {
            card.write(Step::Make, card.shape().ring_index(first, n), *word);
        }
    }

    /// All groups, in order of their rings.
    pub(crate) fn by_place(&self, card: &Card) -> Vec<(RouteKey, Composite)> {
        let groups = self.owners.iter();
        let mut groups: Vec<(RouteKey, Composite)> =
            groups.filter_map(|(&id, &key)| Some((key, self.composite_at(card, id)?))).collect();
        groups.sort_unstable_by_key(|(_, group)| (group.first, group.id));
        groups
    }

    /// Copies a ring as it is.
    fn copy_ring(card: &mut Card, old: &Composite, first: u32) {
        let shape = card.shape();
        for n in 0..old.words() {
            let word: EcmpSlot = card.at(shape.ring_index(old.first, n));
            card.write(Step::Make, shape.ring_index(first, n), word);
        }
    }

    /// Moves a ring as it is, with all groups that read it.
    pub(crate) fn move_ring(&mut self, card: &mut Card, old: &Composite, first: u32) {
        Self::copy_ring(card, old, first);
        for (key, group) in self.readers(card, old) {
            let word: NextHop = card.at(group.id.into());
            self.flip(card, key, &group, NextHop { base: first, ..word });
        }
    }

    /// Gives a group that shares its ring one of its own, at `first`.
    pub(crate) fn part_ring(
        &mut self,
        card: &mut Card,
        key: RouteKey,
        old: &Composite,
        first: u32,
    ) {
        Self::copy_ring(card, old, first);
        let word: NextHop = card.at(old.id.into());
        self.flip(card, key, old, NextHop { base: first, ..word });
    }

    /// The groups that read the ring of a group, with whose they are.
    pub(crate) fn readers(&self, card: &Card, group: &Composite) -> Vec<(RouteKey, Composite)> {
        let ids = self.rings.get(&group.first).into_iter().flatten();
        ids.filter_map(|id| Some((*self.owners.get(id)?, self.composite_at(card, *id)?))).collect()
    }

    /// Whether others read the ring of a group, those included that are about to go.
    pub(crate) fn is_shared(&self, group: &Composite) -> bool {
        self.rings.get(&group.first).is_some_and(|ids| ids.len() > 1)
    }

    /// The first word of a ring that has these words already.
    pub(crate) fn ring_like(&self, card: &Card, ring: &Ring) -> Option<u32> {
        let shape = card.shape();
        let size = (ring.slots as u32, ring.live() as u32);
        self.rings.iter().find_map(|(&first, ids)| {
            let group = self.composite_at(card, *ids.first()?)?;
            let is_alike = (group.slots, group.live) == size
                && (0..)
                    .zip(&ring.words)
                    .all(|(n, word)| card.at::<EcmpSlot>(shape.ring_index(first, n)) == *word);
            is_alike.then_some(first)
        })
    }

    /// All groups that read large rings, one for each ring.
    pub(crate) fn large_rings(&self, card: &Card) -> Vec<(RouteKey, Composite)> {
        let one = |ids: &BTreeSet<u16>| {
            let id = ids.iter().find(|id| self.owners.contains_key(id))?;
            Some((self.owners[id], self.composite_at(card, *id)?))
        };
        let all = self.rings.values().filter_map(one);
        all.filter(|(_, group)| group.slots as usize > SMALL_SLOTS).collect()
    }

    /// Notes that a group reads the ring that its word says.
    fn read_ring(&mut self, card: &Card, id: u16) {
        if let Some(group) = self.composite_at(card, id).filter(|group| group.words() > 0) {
            self.rings.entry(group.first).or_default().insert(id);
        }
    }

    /// A group does not read its ring any more; says how many of its words somebody else does.
    pub(crate) fn leave_ring(&mut self, card: &Card, group: &Composite) -> u32 {
        let Some(ids) = self.rings.get_mut(&group.first) else { return 0 };
        ids.remove(&group.id);
        if ids.is_empty() {
            self.rings.remove(&group.first);
            return 0;
        }
        let others = self.rings[&group.first].iter();
        others.filter_map(|id| Some(self.composite_at(card, *id)?.words())).max().unwrap_or(0)
    }

    /// The next-hop word of a group.
    pub(crate) fn composite_word(first: u32, ring: &Ring, hash_fields: u8) -> NextHop {
        NextHop {
            valid: true,
            kind: penstock_abi::table::NextHopKind::Composite,
            base: first,
            // Of more the planner says that they do not fit the card.
            slots: u16::try_from(ring.slots).unwrap_or(u16::MAX),
            live: u16::try_from(ring.live()).unwrap_or(u16::MAX),
            hash_fields,
            ..NextHop::default()
        }
    }

    /// Points a group to its new ring; the old one is cleared once nothing reads it.
    pub(crate) fn flip(&mut self, card: &mut Card, key: RouteKey, old: &Composite, word: NextHop) {
        let before = slot_ways(card, key, old);
        self.clear_ring(card, old);
        card.write(Step::Point, old.id.into(), word);
        self.read_ring(card, old.id);
        if let Some(new) = self.composite_at(card, old.id) {
            self.renew_slots(&before, slot_ways(card, key, &new));
        }
    }

    /// Writes a new group, to which nothing points yet.
    pub(crate) fn found(&mut self, card: &mut Card, key: RouteKey, id: u16, word: NextHop) {
        card.write(Step::Make, id.into(), word);
        self.owners.insert(id, key);
        self.read_ring(card, id);
        if let Some(new) = self.composite_at(card, id) {
            self.slots.extend(slot_ways(card, key, &new));
        }
    }

    /// A group is nobody's any more.
    pub(crate) fn disown(&mut self, card: &Card, key: RouteKey, composite: &Composite) {
        for way in slot_ways(card, key, composite) {
            self.slots.remove(&way);
        }
        self.owners.remove(&composite.id);
    }

    /// Clears what nobody else reads of the ring of a group, and gives its range back.
    pub(crate) fn clear_ring(&mut self, card: &mut Card, composite: &Composite) {
        let (words, read) = (composite.words(), self.leave_ring(card, composite));
        for n in read..words {
            card.clear::<EcmpSlot>(Step::Unmake, card.shape().ring_index(composite.first, n));
        }
        if read < words {
            self.ring.release_tail(composite.first, words, read);
        }
    }

    /// Brings the index of slots up to date.
    pub(crate) fn renew_slots(&mut self, before: &[Way], after: Vec<Way>) {
        for way in before.iter().filter(|way| after.binary_search(way).is_err()) {
            self.slots.remove(way);
        }
        self.slots.extend(after.into_iter().filter(|way| before.binary_search(way).is_err()));
    }

    /// The round is over.
    pub(crate) fn end_round(&mut self) {
        self.places.end_round();
        self.ring.end_round();
    }
}

const LOWEST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

/// The ways of a group's members, in order.
pub(crate) fn slot_ways(card: &Card, (vrf, address): RouteKey, composite: &Composite) -> Vec<Way> {
    let word = |n| card.at::<EcmpSlot>(card.shape().ring_index(composite.first, n));
    let words = (0..composite.slots).map(word).filter(|word| word.valid);
    let mut ways: Vec<Way> = words.map(|word| (word.nh, word.label, vrf, address)).collect();
    ways.sort_unstable();
    ways.dedup();
    ways
}
