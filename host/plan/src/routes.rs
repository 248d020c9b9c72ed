//! Host routes and listeners of the card: where they stand, whom they reach, and the groups behind them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use imbl::OrdSet;
use penstock_abi::hash;
use penstock_abi::table::{self, EcmpSlot, HostRoute, NextHop};
use penstock_compile::ServiceKey;
use penstock_model::{Protocol, VrfId};
use penstock_tables::Keyed as _;

use crate::buckets::Buckets;
use crate::card::{Card, Step};
use crate::group::{Choice, Ring, SMALL_SLOTS};
use crate::ring::RingSpace;
use crate::words;

/// What identifies a host route.
pub(crate) type RouteKey = (VrfId, IpAddr);

/// A way to a pod: next hop id, label or 0, VRF, address.
pub(crate) type Way = (u16, u32, VrfId, IpAddr);

/// Whose a group is: what points to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// A listener, for packets from vifs.
    Listener(ServiceKey),
    /// A listener, for packets from the fabric by the floating IP's label.
    Local(ServiceKey),
    /// A host route.
    Route(VrfId, IpAddr),
}

impl Owner {
    /// The floating IP.
    pub(crate) fn address(&self) -> IpAddr {
        match self {
            Self::Listener(key) | Self::Local(key) => key.address,
            Self::Route(_, address) => *address,
        }
    }

    /// The VRF in which its members are reached; any, if it is none's.
    pub(crate) fn vrf(&self) -> Option<VrfId> {
        match self {
            Self::Listener(_) | Self::Local(_) => None,
            Self::Route(vrf, _) => Some(*vrf),
        }
    }

    /// Protocol and port of a listener.
    pub(crate) fn port(&self) -> Option<u16> {
        match self {
            Self::Listener(key) | Self::Local(key) => Some(key.port),
            Self::Route(..) => None,
        }
    }
}

impl From<RouteKey> for Owner {
    fn from((vrf, address): RouteKey) -> Self {
        Self::Route(vrf, address)
    }
}

/// A slot of a group: next hop id, label or 0, whose the group is.
type Slot = (u16, u32, Owner);

/// A composite next hop that somebody owns.
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
    /// Where listeners stand.
    keys: Buckets,
    /// Listeners of the card.
    listeners: BTreeSet<ServiceKey>,
    /// Routes of the card, by address.
    by_address: BTreeSet<(IpAddr, VrfId)>,
    /// Routes to one next hop, by the way that they go. Shared with what a plan remembers of the time before it.
    ways: OrdSet<Way>,
    /// Slots of groups, by the way that their members are reached.
    slots: BTreeSet<Slot>,
    /// Groups, by id, and whose they are.
    owners: BTreeMap<u16, Owner>,
    /// Groups that are there only for those who departed.
    pub(crate) idle: BTreeSet<Owner>,
    /// Groups that would be smaller without those who departed.
    pub(crate) spare: BTreeSet<Owner>,
    pub(crate) ring: RingSpace,
    /// Groups by the first word of the ring that they read; large ones that are alike share one.
    rings: BTreeMap<u32, BTreeSet<u16>>,
}

/// What of a card no look-up sees: it is cleared before anything else.
#[derive(Debug, Default)]
pub(crate) struct Strays {
    pub(crate) routes: Vec<u32>,
    pub(crate) listeners: Vec<u32>,
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

fn hashed_listener(key: &ServiceKey) -> Option<u128> {
    match key.address {
        IpAddr::V4(address) if key.net < 1 << 12 => {
            Some(hash::service_key(key.net, key.protocol.number(), address.into(), key.port))
        }
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
        let entries = || tables.of::<table::ServiceKey>().iter();
        let named = |word: &table::ServiceKey| words::service_name(word).filter(|_| word.valid);
        let (keys, mut listeners) = Buckets::new(
            shape.service_key_rows_log2,
            entries().filter_map(|(index, word)| Some((index, hashed_listener(&named(word)?)?))),
        );
        listeners.extend(entries().filter(|(_, word)| named(word).is_none()).map(|(i, _)| i));
        let lost: BTreeSet<u32> = listeners.iter().copied().collect();
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
            keys,
            listeners: BTreeSet::new(),
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
        // A group belongs to the first that points to it, listeners before routes.
        let mut heard: Vec<(ServiceKey, &table::ServiceKey)> = entries()
            .filter(|(index, _)| !lost.contains(index))
            .filter_map(|(_, word)| Some((named(word)?, word)))
            .collect();
        heard.sort_unstable_by_key(|(key, _)| *key);
        for (key, word) in heard {
            all.listeners.insert(key);
            for (id, owner) in [(word.nh, Owner::Listener(key)), (word.local, Owner::Local(key))] {
                if card.get(id.into()).is_some_and(|nh| is_group(id.into(), &nh)) {
                    all.owners.entry(id).or_insert(owner);
                }
            }
        }
        let strays: BTreeSet<u32> = routes.iter().copied().collect();
        let mut known: Vec<&HostRoute> = tables
            .of::<HostRoute>()
            .iter()
            .filter(|(index, _)| !strays.contains(index))
            .map(|(_, route)| route)
            .collect();
        known.sort_unstable_by_key(|route| route.key());
        for route in known {
            let key = key_of(route);
            all.note(card, route);
            if card.get(route.nh.into()).is_some_and(|nh| is_group(route.nh.into(), &nh)) {
                all.owners.entry(route.nh).or_insert(key.into());
            }
        }
        for (&id, &key) in &all.owners {
            if let Some(composite) = all.composite_at(card, id) {
                all.slots.extend(slot_ways(card, key, &composite));
            }
        }
        let nobodys = composites().map(|(id, _)| id as u16);
        let groups = nobodys.filter(|id| !all.owners.contains_key(id)).collect();
        (all, Strays { routes, listeners, ring_words, groups })
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

    /// Where a listener stands, and what it says.
    pub(crate) fn listener(
        &self,
        card: &Card,
        key: &ServiceKey,
    ) -> Option<(u32, table::ServiceKey)> {
        let index = self.keys.get(hashed_listener(key)?)?;
        Some((index, card.at(index)))
    }

    /// All listeners of the card.
    pub(crate) fn listeners(&self) -> impl Iterator<Item = ServiceKey> {
        self.listeners.iter().copied()
    }

    /// Listeners of the card at an address.
    pub(crate) fn listeners_at(&self, address: IpAddr) -> impl Iterator<Item = ServiceKey> {
        let here = self.listeners.range(ServiceKey { address, ..FIRST_LISTENER }..);
        here.take_while(move |key| key.address == address).copied()
    }

    /// Whether there is a place for a listener, or can be.
    pub(crate) fn has_listener_place(&self, key: &ServiceKey) -> bool {
        hashed_listener(key).is_some_and(|key| self.keys.has(key))
    }

    /// Writes a listener that has a place, or can be given one.
    pub(crate) fn set_listener(
        &mut self,
        card: &mut Card,
        key: &ServiceKey,
        word: table::ServiceKey,
    ) -> Option<()> {
        let index = match self.listener(card, key) {
            Some((index, _)) => index,
            None => {
                let place = self.keys.place(hashed_listener(key)?)?;
                for (from, to) in place.moves {
                    let moved: table::ServiceKey = card.at(from);
                    card.write(Step::Point, to, moved);
                }
                place.index
            }
        };
        card.write(Step::Point, index, word);
        self.listeners.insert(*key);
        Some(())
    }

    /// Removes a listener; its groups are not used any more.
    pub(crate) fn remove_listener(&mut self, card: &mut Card, key: &ServiceKey) {
        let Some((index, _)) = self.listener(card, key) else { return };
        card.clear::<table::ServiceKey>(Step::Unpoint, index);
        self.keys.leave(index);
        self.listeners.remove(key);
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

    /// Groups with a member that is reached in this way in a VRF.
    pub(crate) fn groups_by(&self, nh: u16, label: u32, vrf: VrfId) -> impl Iterator<Item = Owner> {
        let here = self.slots.range((nh, label, FIRST_OWNER)..);
        here.take_while(move |slot| (slot.0, slot.1) == (nh, label))
            .map(|slot| slot.2)
            .filter(move |owner| owner.vrf().is_none_or(|other| other == vrf))
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
    pub(crate) fn users(&self, nh: u16) -> impl Iterator<Item = Owner> {
        let routes = self.ways.range((nh, 0, VrfId(0), LOWEST)..);
        let routes = routes.take_while(move |way| way.0 == nh);
        let groups = self.slots.range((nh, 0, FIRST_OWNER)..);
        let groups = groups.take_while(move |slot| slot.0 == nh);
        routes.map(|way| Owner::Route(way.2, way.3)).chain(groups.map(|slot| slot.2))
    }

    /// The next hop to which somebody points.
    pub(crate) fn pointed(&self, card: &Card, owner: Owner) -> Option<u16> {
        match owner {
            Owner::Route(vrf, address) => Some(self.get(card, (vrf, address))?.1.nh),
            Owner::Listener(key) => Some(self.listener(card, &key)?.1.nh),
            Owner::Local(key) => Some(self.listener(card, &key)?.1.local),
        }
    }

    /// The group that is somebody's own.
    pub(crate) fn composite(&self, card: &Card, owner: Owner) -> Option<Composite> {
        let id = self.pointed(card, owner)?;
        self.owners.get(&id).filter(|other| **other == owner)?;
        self.composite_at(card, id)
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
    pub(crate) fn by_place(&self, card: &Card) -> Vec<(Owner, Composite)> {
        let groups = self.owners.iter();
        let mut groups: Vec<(Owner, Composite)> =
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
    pub(crate) fn part_ring(&mut self, card: &mut Card, key: Owner, old: &Composite, first: u32) {
        Self::copy_ring(card, old, first);
        let word: NextHop = card.at(old.id.into());
        self.flip(card, key, old, NextHop { base: first, ..word });
    }

    /// The groups that read the ring of a group, with whose they are.
    pub(crate) fn readers(&self, card: &Card, group: &Composite) -> Vec<(Owner, Composite)> {
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
    pub(crate) fn large_rings(&self, card: &Card) -> Vec<(Owner, Composite)> {
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
    pub(crate) fn composite_word(first: u32, ring: &Ring, choice: Choice) -> NextHop {
        let word = NextHop {
            valid: true,
            kind: penstock_abi::table::NextHopKind::Composite,
            base: first,
            // Of more the planner says that they do not fit the card.
            slots: u16::try_from(ring.slots).unwrap_or(u16::MAX),
            live: u16::try_from(ring.live()).unwrap_or(u16::MAX),
            hash_fields: choice.hash_fields,
            ..NextHop::default()
        };
        word.with_affinity_time(choice.affinity_time)
    }

    /// Points a group to its new ring; the old one is cleared once nothing reads it.
    pub(crate) fn flip(&mut self, card: &mut Card, key: Owner, old: &Composite, word: NextHop) {
        let before = slot_ways(card, key, old);
        self.clear_ring(card, old);
        card.write(Step::Point, old.id.into(), word);
        self.read_ring(card, old.id);
        if let Some(new) = self.composite_at(card, old.id) {
            self.renew_slots(&before, slot_ways(card, key, &new));
        }
    }

    /// Writes a new group, to which nothing points yet.
    pub(crate) fn found(&mut self, card: &mut Card, key: Owner, id: u16, word: NextHop) {
        card.write(Step::Make, id.into(), word);
        self.owners.insert(id, key);
        self.read_ring(card, id);
        if let Some(new) = self.composite_at(card, id) {
            self.slots.extend(slot_ways(card, key, &new));
        }
    }

    /// A group is nobody's any more.
    pub(crate) fn disown(&mut self, card: &Card, key: Owner, composite: &Composite) {
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
    pub(crate) fn renew_slots(&mut self, before: &[Slot], after: Vec<Slot>) {
        for way in before.iter().filter(|way| after.binary_search(way).is_err()) {
            self.slots.remove(way);
        }
        self.slots.extend(after.into_iter().filter(|way| before.binary_search(way).is_err()));
    }

    /// The round is over.
    pub(crate) fn end_round(&mut self) {
        self.places.end_round();
        self.keys.end_round();
        self.ring.end_round();
    }
}

const LOWEST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

/// The lowest name of a listener.
const FIRST_LISTENER: ServiceKey =
    ServiceKey { address: LOWEST, net: 0, protocol: Protocol::Tcp, port: 0 };
/// The first owner.
const FIRST_OWNER: Owner = Owner::Listener(FIRST_LISTENER);

/// The ways of a group's members, in order.
pub(crate) fn slot_ways(card: &Card, key: Owner, composite: &Composite) -> Vec<Slot> {
    let word = |n| card.at::<EcmpSlot>(card.shape().ring_index(composite.first, n));
    let words = (0..composite.slots).map(word).filter(|word| word.valid);
    let mut ways: Vec<Slot> =
        words.map(|word| (word.nh, words::member_label(&word), key)).collect();
    ways.sort_unstable();
    ways.dedup();
    ways
}
