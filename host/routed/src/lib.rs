//! The connections of the BGP speaker (`penstock-bgp`): one task for each peer, between its socket and its session.
//!
//! Each peer has a task, a socket and buffers of its own. What the node wants told goes to all of them by one watched value, what
//! each has learned comes back by another: both are whole states, which share what they have in common, so that a task that
//! is slow holds up nobody and misses nothing but what is out of date.
//!
//! Connections are made from here only: nobody is listened to, which would need the privilege of a port below 1024. Packets of
//! a connection are not signed (TCP-MD5, RFC 2385): no crate that is kept up sets the keys, which takes a system call of its own.

mod peering;
mod speaker;

pub use peering::{Heard, Peer, Told, run};
pub use speaker::{Local, Routes, speak};
