//! vfio-user: a PCI function served by another process over a UNIX socket.

pub mod client;
