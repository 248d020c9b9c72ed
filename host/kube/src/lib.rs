//! Kubernetes' API server as a source of intent: Services and EndpointSlices of the cluster, Pods of this node, and the node's
//! zone.
//!
//! ```text
//! server --lists, watches--> follow, one task a kind --events--> watch --Cluster--> fragment
//!           access: who we are there, from files that may change
//! ```
//!
//! What the objects mean is not decided here: [`Cluster`](penstock_sources::cluster::Cluster) reads them as manifests are read.
//! Here is how the server is reached (`access`), how long an answer is waited for (`ask`), how a kind is followed through all that can
//! happen to a connection (`follow`), and what is published (`watch`). Nothing is ever written to the server.

mod access;
mod ask;
mod backoff;
#[cfg(feature = "fake")]
pub mod fake;
mod follow;
mod object;
mod token;
mod watch;

pub use access::Access;
pub use watch::{Timing, Watch, watch};
