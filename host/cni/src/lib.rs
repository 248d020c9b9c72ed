//! The CNI plugin `penstock-cni`: it gives a pod an interface of a card, and takes it back.
//!
//! In: a request in CNI's words, by environment and standard input. Out: a result or an error in CNI's words, and a pod whose
//! packets the card forwards, or nothing at all. Who does what:
//!
//! ```text
//! request, config, version, result, error   CNI's words: pure
//! commands                                  ADD, DEL, CHECK, GC, STATUS: what is done in which order, and undone   (over traits)
//! daemon                                    penstockd: which vif and label, whether the card forwards
//! ipam                                      a plugin that gives addresses
//! links                                     the kernel: interfaces, addresses, routes, neighbours
//! queue                                     what penstockd could not be told, for the next call
//! ```
//!
//! Any step may be the last one: the process is killed, the daemon ends, the machine loses power. What was done is then found
//! by a DEL or a GC, as each part keeps its own: penstockd the vif, IPAM its lease, the kernel the interface, which carries a
//! mark that says whose it is ([`links::Mark`]). A command that fails takes back what it did before it says so.

pub mod commands;
pub mod config;
pub mod daemon;
pub mod error;
pub mod ipam;
pub mod links;
pub mod queue;
pub mod request;
pub mod result;
pub mod run;
pub mod version;
