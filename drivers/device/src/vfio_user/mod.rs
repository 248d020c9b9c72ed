//! vfio-user: a PCI function served by another process over a UNIX socket.
//!
//! [`client`] is the host's side. [`wire`] holds the messages, which a server (the simulated card) shares.

pub mod client;
pub mod wire;
