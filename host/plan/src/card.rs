//! The mirror of a card, and the builder of a plan: every write goes through here.
//!
//! [`Card`] holds what the tables hold when the plan so far is executed, counts who names which next hop, and keeps each write in
//! the step of the round that it belongs to. A round is: what nothing points to, the words that point, a fence, removal of
//! pointers, a fence, removal of objects. An index is never written in an earlier step than it was before in the same round, so
//! the mirror is right whatever the order in which a round was put together.

use std::collections::{BTreeMap, BTreeSet};

use penstock_abi::table::{
    DefaultRoute, EcmpSlot, FipKey, FipMap, FlowShare, HostRoute, Ilm, NextHop, PlainFip, Prefix,
    PrefixLength, ServiceKey, TunnelSource, Vif, Vrf,
};
use penstock_tables::{Op, Shape, Stored, Tables};

use crate::{Phase, Plan, words};

/// Numbers of mappings, and of sets of sources, that entries can name.
const MAPS: u32 = 1 << 14;

/// Steps of a round, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Writes what nothing points to yet, and words that keep their index and their meaning to those that point to them.
    Make,
    /// Writes the words that point.
    Point,
    /// Removes pointers, after a fence.
    Unpoint,
    /// Removes what they pointed to, after another.
    Unmake,
}

/// What an entry names.
pub(crate) trait Names: Stored {
    /// Ids of next hops.
    fn next_hops(&self) -> [Option<u16>; 2] {
        [None, None]
    }

    /// Index of a mapping; 0 is none.
    fn map(&self) -> Option<u16> {
        None
    }

    /// A set of sources.
    fn set(&self) -> Option<u16> {
        None
    }

    /// A number of clients that are kept.
    fn affinity(&self) -> Option<u16> {
        None
    }
}

/// `Type { fields } method(field)`: what is in these fields if it is valid; first those of next hops.
macro_rules! names {
    ($($entry:ident { $($first:ident $(, $second:ident)?)? } $($method:ident($field:ident))?;)+) => {
        $(impl Names for $entry {
            $(fn next_hops(&self) -> [Option<u16>; 2] {
                let second = [None$(.or(self.valid.then_some(self.$second)))?];
                [self.valid.then_some(self.$first), second[0]]
            })?
            $(fn $method(&self) -> Option<u16> {
                self.valid.then_some(self.$field)
            })?
        })+
    };
}

names! {
    Ilm { nh, key_nh };
    HostRoute { nh } set(sources);
    Prefix { nh } set(sources);
    DefaultRoute { nh } set(sources);
    PrefixLength {};
    NextHop {};
    FipKey {} map(map);
    FipMap {};
    Vrf {};
    ServiceKey { nh, local } affinity(affinity);
    TunnelSource {};
    PlainFip {} map(map);
    FlowShare {};
}

impl Names for Vif {
    fn next_hops(&self) -> [Option<u16>; 2] {
        [self.valid.then_some(self.nh), None]
    }

    fn map(&self) -> Option<u16> {
        (self.valid && self.egress).then_some(self.egress_map)
    }
}

impl Names for EcmpSlot {
    fn next_hops(&self) -> [Option<u16>; 2] {
        [self.valid.then_some(self.nh), None]
    }

    fn map(&self) -> Option<u16> {
        (self.valid && self.local).then(|| words::local_map(self))
    }
}

/// How often numbers are named, and which are not any more.
#[derive(Debug)]
struct Named {
    counts: Vec<u32>,
    loose: BTreeSet<u16>,
}

impl Named {
    fn new(numbers: u32) -> Self {
        Self { counts: vec![0; numbers as usize], loose: BTreeSet::new() }
    }

    fn add(&mut self, number: u16) {
        if let Some(count) = self.counts.get_mut(usize::from(number)) {
            *count += 1;
        }
    }

    fn remove(&mut self, number: u16) {
        let Some(count) = self.counts.get_mut(usize::from(number)) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.loose.insert(number);
        }
    }

    fn of(&self, number: u16) -> u32 {
        self.counts.get(usize::from(number)).copied().unwrap_or(0)
    }

    /// Those that were named and are not now; each is told once.
    fn take_loose(&mut self) -> Vec<u16> {
        let loose = std::mem::take(&mut self.loose);
        loose.into_iter().filter(|number| self.of(*number) == 0).collect()
    }
}

/// The mirror and the plan so far.
#[derive(Debug)]
pub(crate) struct Card {
    tables: Tables,
    /// By next hop, how many entries name it.
    named: Named,
    /// By mapping.
    maps: Named,
    /// By set of sources.
    sets: Named,
    /// By number of clients that are kept.
    affinities: BTreeMap<u16, u32>,
    /// Writes of the round, by step.
    round: [Vec<Op>; 4],
    /// Something may still be read that the next write changes.
    is_read: bool,
    phases: Vec<Phase>,
}

impl Card {
    /// A card that holds this.
    pub(crate) fn new(tables: Tables) -> Self {
        let shape = tables.shape();
        let mut card = Self {
            tables,
            named: Named::new(shape.next_hops),
            maps: Named::new(MAPS),
            sets: Named::new(MAPS),
            affinities: BTreeMap::new(),
            round: Default::default(),
            is_read: false,
            phases: Vec::new(),
        };
        card.count::<Vif>();
        card.count::<Ilm>();
        card.count::<EcmpSlot>();
        card.count::<HostRoute>();
        card.count::<Prefix>();
        card.count::<DefaultRoute>();
        card.count::<ServiceKey>();
        card.count::<FipKey>();
        card.count::<PlainFip>();
        card
    }

    fn count<E: Names>(&mut self) {
        let Self { tables, named, maps, sets, affinities, .. } = self;
        for entry in tables.of::<E>().values() {
            entry.next_hops().into_iter().flatten().for_each(|id| named.add(id));
            entry.map().into_iter().for_each(|map| maps.add(map));
            entry.set().into_iter().for_each(|set| sets.add(set));
            if let Some(number) = entry.affinity() {
                *affinities.entry(number).or_default() += 1;
            }
        }
    }

    pub(crate) fn tables(&self) -> &Tables {
        &self.tables
    }

    pub(crate) fn shape(&self) -> Shape {
        self.tables.shape()
    }

    /// The entry at `index`, if one is there.
    pub(crate) fn get<E: Stored>(&self, index: u32) -> Option<E> {
        self.tables.get::<E>(index).copied()
    }

    /// The entry at `index`; all zeros if none is there.
    pub(crate) fn at<E: Stored>(&self, index: u32) -> E {
        self.tables.of::<E>().at(index)
    }

    /// How many entries name a next hop.
    pub(crate) fn named(&self, id: u16) -> u32 {
        self.named.of(id)
    }

    /// How many entries name a mapping.
    pub(crate) fn map_named(&self, map: u16) -> u32 {
        self.maps.of(map)
    }

    /// How many routes name a set of sources.
    pub(crate) fn set_named(&self, set: u16) -> u32 {
        self.sets.of(set)
    }

    /// How many listeners have a number of clients.
    pub(crate) fn affinity_named(&self, number: u16) -> u32 {
        self.affinities.get(&number).copied().unwrap_or(0)
    }

    /// The highest number of clients that a listener has.
    pub(crate) fn last_affinity(&self) -> u16 {
        self.affinities.last_key_value().map_or(0, |(number, _)| *number)
    }

    /// Mappings that were named and are not any more; each is told once.
    pub(crate) fn loose_maps(&mut self) -> Vec<u16> {
        self.maps.take_loose()
    }

    /// The same of sets of sources.
    pub(crate) fn loose_sets(&mut self) -> Vec<u16> {
        self.sets.take_loose()
    }

    /// Plans a write, unless the entry is there already.
    pub(crate) fn write<E: Names>(&mut self, step: Step, index: u32, entry: E) {
        let old: E = self.at(index);
        if old == entry {
            return;
        }
        entry.next_hops().into_iter().flatten().for_each(|id| self.named.add(id));
        entry.map().into_iter().for_each(|map| self.maps.add(map));
        entry.set().into_iter().for_each(|set| self.sets.add(set));
        if let Some(number) = entry.affinity() {
            *self.affinities.entry(number).or_default() += 1;
        }
        old.next_hops().into_iter().flatten().for_each(|id| self.named.remove(id));
        old.map().into_iter().for_each(|map| self.maps.remove(map));
        old.set().into_iter().for_each(|set| self.sets.remove(set));
        if let Some(number) = old.affinity()
            && let Some(count) = self.affinities.get_mut(&number)
        {
            *count -= 1;
            if *count == 0 {
                self.affinities.remove(&number);
            }
        }
        self.tables.put(index, entry);
        self.round[step as usize].push(Op::write(index, entry));
    }

    /// Plans the removal of an entry.
    pub(crate) fn clear<E: Names>(&mut self, step: Step, index: u32) {
        self.write(step, index, E::default());
    }

    /// Has the flows deleted in whose keys a next hop is, after the pointers of this round are removed.
    pub(crate) fn forget(&mut self, key_nh: u16) {
        self.round[Step::Unmake as usize].push(Op::Forget { key_nh });
    }

    /// Lets nothing be written before what is under way is through: the card was found with what a plan that broke off left.
    pub(crate) fn fence_first(&mut self) {
        self.is_read = true;
    }

    /// Makes phases of the round.
    pub(crate) fn end_round(&mut self) {
        let mut written = !self.phases.is_empty();
        for step in [Step::Make, Step::Point, Step::Unpoint, Step::Unmake] {
            let mut ops = std::mem::take(&mut self.round[step as usize]);
            if ops.is_empty() {
                continue;
            }
            // Behind a pointer that the last plan removed, packets may be under way when this one begins.
            let unpoints = written && step == Step::Unpoint;
            if std::mem::take(&mut self.is_read) || unpoints || step == Step::Unmake {
                ops.insert(0, Op::Fence);
            }
            written = true;
            self.phases.push(Phase { ops });
        }
    }

    /// The plan whose rounds are over.
    pub(crate) fn take_plan(&mut self) -> Plan {
        Plan { phases: std::mem::take(&mut self.phases) }
    }
}
