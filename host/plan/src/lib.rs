//! Brings a card from what it holds to what it shall hold, without a moment at which it holds nonsense.
//!
//! A [`Planner`] keeps the mirror of one card: its tables (by index) with indices beside them. It is given whole desired states
//! (from `penstock-compile`, by name), looks at what differs from the last one, gives hardware ids and orders the writes:
//!
//! 1. objects: new ones (next hops, vifs, ring words in a free range, mappings), which nothing points to yet, and those that
//!    keep their index and have other contents (a vif, a tunnel's MAC address), each written in place by one word;
//! 2. the words that point to them (marks of backends, mapping keys, routes, labels; for a group that changed, its next-hop word);
//! 3. a fence, then the removal of pointers that are no longer wanted;
//! 4. a fence, then the removal of what nothing points to any more.
//!
//! Example: a backend of the chapter's group of two is gone, pod and all. Its ring is written anew in a free range with a hole in
//! the slot of the one that left, the composite's word is flipped to it, a fence, the old ring is cleared. The other backend kept
//! its slot, so its connections stay where they are.
//!
//! Equal states give an empty plan, and a plan costs what changed. What has no room is refused by name, and nothing else
//! ([`Planned::refused`]). Flow tables are never touched. Pure: no I/O, no clock.
//!
//! The planner assumes that the card takes what it plans. If it does not, or the plan breaks off, the caller reads the card
//! ([`Tables::read`]) and makes a new planner of that: a full plan takes up whatever was left.

mod affinities;
mod buckets;
mod card;
mod dirty;
mod group;
mod mappings;
mod maps;
mod next_hops;
mod pass;
mod plain;
mod plan;
mod planner;
mod prefixes;
mod refusal;
mod ring;
mod routes;
mod sets;
mod space;
mod words;

pub use plan::{Phase, Plan, Planned};
pub use planner::Planner;
pub use refusal::{Refusal, What};
pub use words::usage;

use penstock_compile::Desired;
use penstock_tables::Tables;

/// What brings a card that holds `tables` to `desired`: a plan from nothing.
#[must_use]
pub fn plan(desired: &Desired, tables: &Tables) -> Planned {
    Planner::new(tables.clone()).plan(desired)
}

#[cfg(test)]
mod tests;
