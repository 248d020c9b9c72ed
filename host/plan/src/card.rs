//! The mirror of a card, and the builder of a plan: every write goes through here.
//!
//! [`Card`] holds what the tables hold when the plan so far is executed, counts who names which next hop, and keeps each write in
//! the step of the round that it belongs to. A round is: what nothing points to, the words that point, a fence, removal of
//! pointers, a fence, removal of objects. An index is never written in an earlier step than it was before in the same round, so
//! the mirror is right whatever the order in which a round was put together.

use penstock_abi::table::{
    DefaultRoute, EcmpSlot, FipKey, FipMap, HostRoute, Ilm, NextHop, PlainFip, Prefix,
    PrefixLength, ServiceKey, TunnelSource, Vif, Vrf,
};
use penstock_tables::{Op, Shape, Stored, Tables};

use crate::{Phase, Plan};

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

/// Which next hops an entry names.
pub(crate) trait Names: Stored {
    /// Their ids.
    fn names(&self) -> [Option<u16>; 2];
}

/// `Type { field }`: names the next hops in these fields if it is valid.
macro_rules! names {
    ($($entry:ident { $first:tt $(, $second:ident)? })+) => {
        $(impl Names for $entry {
            fn names(&self) -> [Option<u16>; 2] {
                names!(@fields self, $first $(, $second)?)
            }
        })+
    };
    (@fields $entry:ident, _) => { [None, None] };
    (@fields $entry:ident, $first:ident) => { [$entry.valid.then_some($entry.$first), None] };
    (@fields $entry:ident, $first:ident, $second:ident) => {
        [$entry.valid.then_some($entry.$first), $entry.valid.then_some($entry.$second)]
    };
}

names! {
    Vif { nh }
    Ilm { nh, key_nh }
    EcmpSlot { nh }
    HostRoute { nh }
    Prefix { nh }
    DefaultRoute { nh }
    PrefixLength { _ }
    NextHop { _ }
    FipKey { _ }
    FipMap { _ }
    Vrf { _ }
    ServiceKey { nh, local }
    TunnelSource { _ }
    PlainFip { _ }
}

/// The mirror and the plan so far.
#[derive(Debug)]
pub(crate) struct Card {
    tables: Tables,
    /// By next hop, how many entries name it.
    named: Vec<u32>,
    /// Writes of the round, by step.
    round: [Vec<Op>; 4],
    /// Something may still be read that the next write changes.
    is_read: bool,
    phases: Vec<Phase>,
}

impl Card {
    /// A card that holds this.
    pub(crate) fn new(tables: Tables) -> Self {
        let named = vec![0; tables.shape().next_hops as usize];
        let mut card =
            Self { tables, named, round: Default::default(), is_read: false, phases: Vec::new() };
        card.count::<Vif>();
        card.count::<Ilm>();
        card.count::<EcmpSlot>();
        card.count::<HostRoute>();
        card.count::<Prefix>();
        card.count::<DefaultRoute>();
        card.count::<ServiceKey>();
        card
    }

    fn count<E: Names>(&mut self) {
        for entry in self.tables.of::<E>().values() {
            for id in entry.names().into_iter().flatten() {
                if let Some(named) = self.named.get_mut(usize::from(id)) {
                    *named += 1;
                }
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
        self.named.get(usize::from(id)).copied().unwrap_or(0)
    }

    /// Plans a write, unless the entry is there already.
    pub(crate) fn write<E: Names>(&mut self, step: Step, index: u32, entry: E) {
        let old: E = self.at(index);
        if old == entry {
            return;
        }
        for id in old.names().into_iter().flatten() {
            if let Some(named) = self.named.get_mut(usize::from(id)) {
                *named = named.saturating_sub(1);
            }
        }
        for id in entry.names().into_iter().flatten() {
            if let Some(named) = self.named.get_mut(usize::from(id)) {
                *named += 1;
            }
        }
        self.tables.put(index, entry);
        self.round[step as usize].push(Op::write(index, entry));
    }

    /// Plans the removal of an entry.
    pub(crate) fn clear<E: Names>(&mut self, step: Step, index: u32) {
        self.write(step, index, E::default());
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
