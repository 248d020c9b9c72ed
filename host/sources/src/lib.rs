//! Where intent comes from: a directory of Kubernetes manifests and the node file, as whole snapshots.
//!
//! [`load`] reads both once; [`Watch`] reads them again whenever a file changes and publishes the new
//! [`Snapshot`](penstock_model::Snapshot), never a delta. A source that fails keeps its last good state and says why.
//!
//! * [`node_file`]: the node file and its JSON Schema (`docs/node-schema.json`). Strict: unknown fields are errors.
//! * [`kubernetes`]: the API objects as manifests carry them, and what becomes of them. Lenient where Kubernetes is.

mod error;
pub mod kubernetes;
mod load;
pub mod node_file;
mod watch;

pub use error::{Fault, SourceError};
pub use load::{Paths, load, load_node};
pub use watch::{State, Watch};
