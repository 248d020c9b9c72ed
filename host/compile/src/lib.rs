//! Turns intent into tables, by name: a function from an [`Intent`] to [`Compiled`].
//!
//! [`Desired`] holds what the card's tables shall mean, keyed by what identifies a thing to people (a vif, a label, a VRF and
//! an address), never by a hardware index; `penstock-plan` gives indices. Pure: no I/O, no clock.
//!
//! Example, the chapter's node `cent222` with the service 10.105.139.153:8888 -> 80 and a backend on each node:
//!
//! ```text
//! routes    (2, 10.47.255.236)  -> Encap vif 8
//!           (2, 10.47.255.238)  -> Tunnel 10.169.25.21, label 43
//!           (2, 10.105.139.153) -> what the listener has, to be shown
//! listeners (2, TCP, 10.105.139.153, 8888) -> Group { Encap vif 8, 10.47.255.236:80 | Tunnel 10.169.25.21 label 43 }
//! fip       (vif 8, TCP, 10.105.139.153, 8888) -> 10.47.255.236:80
//! ```
//!
//! Each listener has a group of its own (`docs/decisions/11-one-group-per-listener.md`).
//!
//! There are no errors. What cannot be is refused by itself, by the name of its object, and harms nothing else; that holds for
//! what does not fit into the tables too (`docs/decisions/19-room-by-seniority.md`).
//!
//! A [`Compiler`] takes whole states, as all stages do, and never deltas. It keeps the last one, compares, and makes anew
//! what depends on what differs; so one service among ten thousand costs what one service costs. The result is always the
//! one that [`compile`] gives from nothing.

mod book;
mod compiled;
mod compiler;
mod desired;
mod labels;
mod maps;
mod marks;
mod native;
mod nearby;
mod owner;
mod places;
mod plain;
mod provider;
mod room;
mod site;
mod subset;
mod vips;

pub use compiled::Compiled;
pub use compiler::{Compiler, Work};
pub use desired::{
    Desired, Egress, FipKey, FipTarget, Group, GroupMember, Hop, LabelEntry, Listening, NextHopKey,
    NextHopSpec, PlainKey, RouteTarget, ServiceKey, VifEntry, VrfEntry,
};
pub use marks::{marks, of as marks_of};
pub use provider::{Front, Provider, Providers, Reach, Served, Translation, Vip};

use penstock_model::{Intent, Neighbours};

/// Compiles an intent from nothing, for the card as it is, served by the card itself.
#[must_use]
pub fn compile(intent: &Intent, neighbours: &Neighbours) -> Compiled {
    Compiler::new(Providers::default(), penstock_tables::Shape::default())
        .compile(intent, neighbours)
}

#[cfg(test)]
mod tests;
