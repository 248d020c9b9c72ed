//! The node's daemon.
//!
//! Sources publish whole snapshots of intent; the reconcile loop compiles them, compares with what the card holds and
//! writes the difference; a socket serves views of the live card. Each concern is a task, tasks share state by `watch`
//! channels, and one thread alone touches the card; the socket itself is `penstock-api`'s:
//!
//! ```text
//! intent (files) --snapshot--> reconcile --operations--> device (thread) --> card
//!    \--wanted nodes--> neighbour (netlink) --MAC addresses--^      ^--reads-- answer <-- routes <-- socket
//! ```
//!
//! The daemon never crashes for what comes from outside: a bad manifest, a dead card, a kernel that refuses. It says so in
//! `status`, keeps the rest, and tries again. Its end leaves the card forwarding.

pub mod answer;
pub mod args;
pub mod daemon;
pub mod device;
pub mod health;
pub mod intent;
pub mod keep;
pub mod neighbour;
pub mod reconcile;
pub mod routes;
pub mod tell;

pub use daemon::{Config, Daemon};
