//! Where intent comes from: a directory of Kubernetes manifests and the node file, as whole snapshots.
//!
//! [`load`] reads both once and refuses them if anything is wrong. [`Watch`] reads them again whenever a file changes and
//! publishes the new [`Snapshot`](penstock_model::Snapshot), never a delta; a file that is wrong keeps what it last gave,
//! and the state says why. Looking (`look`), deciding when to read (`follow`), reading (`text`, `gather`) and deciding what
//! to take (`store`) are apart, so that all but the first can be tested without waiting.
//!
//! * [`node_file`]: the node file and its JSON Schema (`docs/node-schema.json`). Strict: unknown fields are errors.
//! * [`kubernetes`]: the API objects as manifests carry them, and what becomes of them. Lenient where Kubernetes is.

mod error;
mod follow;
mod gather;
pub mod kubernetes;
mod load;
mod look;
pub mod node_file;
mod store;
mod text;
mod watch;

pub use error::{Fault, SourceError};
pub use load::{Paths, load, load_node};
pub use text::MAX_FILE_BYTES;
pub use watch::{State, Watch};
