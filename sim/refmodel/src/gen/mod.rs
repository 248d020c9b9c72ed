//! Random but valid table sets, and random packets that are likely to hit them. Everything follows from a seed.
//!
//! [`World`] is a random node: pods, remote nodes, services with groups, holes and draining members, and the table words
//! that say so; it can change itself as a host would. [`Traffic`] makes frames for it and learns from what became of
//! them, so that bursts, replies, ICMP errors, clashes and strangers find the flows that earlier frames made.

mod change;
mod clash;
mod limits;
mod malform;
mod outer;
mod rng;
mod traffic;
mod world;

pub use rng::Rng;
pub use traffic::Traffic;
pub use world::{Member, Pod, Remote, Service, Target, World, Write};
