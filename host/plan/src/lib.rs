//! Brings a card from what it holds to what it shall hold, without a moment at which it holds nonsense.
//!
//! [`plan`] compares [`Desired`] (from `penstock-compile`, by name) with [`Tables`] (what the card holds, by index),
//! gives hardware ids and orders the writes:
//!
//! 1. objects: new ones (next hops, vifs, ring words at a fresh base, mappings), which nothing points to yet, and those that
//!    keep their index and have other contents (a vif, a tunnel's MAC address), each written in place by one word;
//! 2. the words that point to them (marks of backends, mapping keys, routes, labels; for a group that changed, its next-hop word);
//! 3. a fence, then the removal of pointers that are no longer wanted;
//! 4. a fence, then the removal of what nothing points to any more.
//!
//! Example: a backend of the chapter's group of two is gone, pod and all. Its ring is written anew at a fresh base with a hole in the slot
//! of the one that left, the composite's word is flipped to it, a fence, the old ring is cleared. The other backend kept its slot,
//! so its connections stay where they are.
//!
//! Equal states give an empty plan. Flow tables are never touched. Pure: no I/O, no clock.
//!
//! The caller reads the card once ([`Tables::read`]) and from then on applies every operation to its copy as the card
//! confirms it ([`Tables::apply`]), so that a plan that broke off half-way is simply planned again.

mod buckets;
mod error;
mod group;
mod op;
mod planner;
mod ring;
mod words;

pub use error::PlanError;
pub use op::Plan;
pub use words::usage;

use penstock_compile::Desired;
use penstock_tables::{Op, Tables};
use planner::Departed;

/// The writes that make `desired` true, given what the card holds.
///
/// Make before break needs room for new and old at once. Where a table has no such room, what is no longer wanted is
/// removed first and what is new comes after it; what stays is served all the time. Members that are no longer wanted, but
/// still within reach, keep the connections that they have, unless there is no room.
///
/// # Errors
/// A table has no room for `desired`. The plan is then not made at all: no part of it is returned.
pub fn plan(desired: &Desired, achieved: &Tables) -> Result<Plan, PlanError> {
    let full = match planner::plan(desired, achieved, Departed::Stay) {
        Err(full @ (PlanError::TableFull { .. } | PlanError::NoPlace { .. })) => full,
        other => return other,
    };
    let common = planner::common(desired, achieved);
    let Ok(mut first) = planner::plan(&common, achieved, Departed::Go) else {
        return Err(full);
    };
    let mut between = achieved.clone();
    first.ops.iter().for_each(|op| between.apply(op));
    let second = planner::plan(desired, &between, Departed::Stay)?;
    first.ops.push(Op::Fence);
    first.ops.extend(second.ops);
    Ok(first)
}

#[cfg(test)]
mod tests;
