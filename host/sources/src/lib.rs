//! Where intent comes from: a node file, and a directory of Kubernetes manifests or an API server, each a source of its own.
//!
//! A source gives [`Fragment`](penstock_model::Fragment)s, all that it has to say at one moment and never a delta; an object
//! that is wrong keeps what it was, with a finding that says why, and harms no other. [`Merger`] makes one
//! [`Intent`](penstock_model::Intent) of the fragments of all sources. [`Sources`] follows files and publishes what they come to,
//! [`load`] reads them once and refuses them if anything is wrong. Looking (`look`), deciding when to read (`follow`), reading
//! (`text`, `gather`) and deciding what to take (the stores) are apart, so that all but the first can be tested without waiting.
//!
//! * [`node_file`]: the node file and its JSON Schema (`docs/node-schema.json`). Strict: unknown fields are errors.
//! * [`manifests`]: the API objects as manifests carry them (`kubernetes`), and what becomes of them. Lenient where Kubernetes
//!   is.
//! * [`cluster`]: the same objects as an API server tells of them. Who talks to it is a crate of its own (`penstock-kube`).
//!
//! Every stage keeps what it was last given and compares: maps are persistent, and what is done for a change is in proportion
//! to it.

mod absence;
pub mod cluster;
mod difference;
mod documents;
mod error;
mod follow;
mod gather;
mod kubernetes;
mod lines;
mod load;
mod look;
pub mod manifests;
mod merge;
pub mod node_file;
mod publish;
mod sources;
mod text;
mod tree;
mod watch;

pub use documents::{MAX_DOCUMENT_BYTES, MAX_DOCUMENTS};
pub use error::SourceError;
pub use load::{Paths, load, load_node};
pub use merge::{Merger, SourceStatus};
pub use publish::publish;
pub use sources::Sources;
pub use text::MAX_FILE_BYTES;
pub use watch::Watch;
