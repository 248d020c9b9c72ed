//! Turns intent into tables, by name: [`compile`] is a function from a [`Snapshot`] to [`Desired`].
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

mod check;
mod desired;
mod error;
mod lower;
mod marks;
mod owner;
mod service;

pub use desired::{
    Desired, FipKey, FipTarget, Group, GroupMember, Hop, LabelEntry, NextHopKey, NextHopSpec,
    Pending, RouteTarget, VifEntry,
};
pub use error::CompileError;
pub use marks::marks;
pub use owner::denies;

use penstock_model::Snapshot;

/// Compiles a snapshot.
///
/// Deterministic: equal snapshots give equal tables. What cannot be served but harms nothing else (an IPv6 endpoint, an
/// endpoint without a known vif or label) is left out with a note in [`Desired::notes`]; a remote node whose MAC address
/// is not known yet is left out and listed in [`Desired::pending`].
///
/// # Errors
/// A limit of the card would be exceeded, or the snapshot contradicts itself. Nothing is cut to fit.
pub fn compile(snapshot: &Snapshot) -> Result<Desired, CompileError> {
    let desired = lower::lower(snapshot)?;
    check::check(&desired)?;
    Ok(desired)
}

#[cfg(test)]
mod tests;
