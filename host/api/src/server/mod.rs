//! Serves a router on a Unix socket: HTTP/1.1, and nothing of what the router is about.
//!
//! Here is whose the socket is (the file's rules), who may do what (the peer rules), how much clients may take (limits), and
//! that every refusal has one shape ([`Problem`]). The router gets complete requests of clients that are there, with a
//! [`Peer`] among their extensions.

mod peer;
mod problem;
mod serve;
mod socket;

pub use peer::Peer;
pub use problem::{Body, Path, Problem, Query};
pub use serve::{Limits, Server};
pub use socket::{ListenError, Listener, listen};
