//! Turns intent into tables, by name: `compile` is a function from an `Intent` to [`Compiled`].
//!
//! `Desired` holds what the card's tables shall mean, keyed by what identifies a thing to people (a vif, a label, a VRF and
//! an address), never by a hardware index; `penstock-plan` gives indices. Pure: no I/O, no clock, nothing remembered.
//!
//! Example, the chapter's node `cent222` with the service 10.105.139.153:8888 -> 80 and a backend on each node:
//!
//! ```text
//! routes    (2, 10.47.255.236)  -> Encap vif 8
//!           (2, 10.47.255.238)  -> Tunnel 10.169.25.21, label 43
//!           (2, 10.105.139.153) -> Group { Encap vif 8 | Tunnel 10.169.25.21 label 43 }
//! fip       (vif 8, TCP, 10.105.139.153, 8888) -> 10.47.255.236:80
//! ```
//!
//! A route is by address, so one group serves all ports of a floating IP, as in Contrail: its members are the union of
//! the backends of all ports (`docs/decisions/11-one-group-per-vip.md`).

mod compiled;
mod desired;
mod marks;

pub use compiled::Compiled;
pub use desired::{
    Desired, FipKey, FipTarget, Group, GroupMember, Hop, LabelEntry, NextHopKey, NextHopSpec,
    RouteTarget, VifEntry,
};
pub use marks::marks;
