//! The node's daemon: wiring.
//!
//! Sources say what there is to do, each as a whole; what they say is merged into an intent for each card; the card's agent
//! (`penstock-agent`) does it. A socket serves views of the cards, and the service manager is told how all this goes. Each
//! concern is a task, tasks share state by `watch` channels:
//!
//! ```text
//! API server -fragment--\
//! manifests --fragment--\                                /--status, tables, readings--> answer, status <-- routes <-- socket
//! node file --fragment--+--> sources --intent--> agent --+--beats--> watchdog
//! attachments -fragment-/                                +--events--> events <-- routes; ipfix --> collector
//!                              \--> wanted       ^        \--status--> tell
//!                                     \          |
//!                                      +--> neighbour (netlink)
//! ```
//!
//! The daemon never ends for what comes from outside: a bad manifest, a dead card, a kernel that refuses. It says so in
//! `status`, keeps the rest, and tries again. It ends with any of its parts that does, as that can only be a defect. Its end
//! leaves the cards forwarding.

pub mod answer;
pub mod args;
mod attach;
pub mod daemon;
mod events;
pub mod health;
mod ipfix;
pub mod neighbour;
mod node_port;
pub mod routes;
pub mod runtime;
mod service;
mod status;
pub mod tell;
pub mod wanted;
pub mod watchdog;

pub use daemon::{Card, Config, Daemon};
