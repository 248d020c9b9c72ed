//! Testbeds of simulated cards on one machine: `penstock-lab`, which `penstock lab` runs.
//!
//! A lab is a set of anonymous network namespaces (pods, nodes, and an underlay with a bridge), one simulated card and
//! one daemon a node, and small servers in the pods, all built from a [`topology`] and kept by one [`supervisor`]
//! process. It works as root and in an unprivileged user namespace, needs no name in `/var/run/netns`, and the kernel
//! removes it whole if the supervisor is killed. Labs of different names run side by side.
//!
//! ```text
//!  client ns      node ns cent222                underlay ns               node ns cent333     pod ns
//!  eth0 ------- [ card: penstock-card ] fab-cent222 -- br0 -- fab-cent333 [ card ] ------- eth0
//!                 vhost0, penstockd                                          vhost0, penstockd
//! ```
//!
//! [`client::Lab`] is what tests and the demo use; [`cli`] holds the subcommands.

pub mod cli;
pub mod client;
pub mod connect;
pub mod control;
pub mod download;
pub mod enter;
pub mod flood;
pub mod manifests;
mod node_file;
pub mod parts;
pub mod paths;
pub mod plumb;
pub mod process;
pub mod serve;
pub mod state;
pub mod supervisor;
pub mod testbed;
pub mod topology;

pub use client::{Lab, Manifests, UpOptions};
