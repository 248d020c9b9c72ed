//! Where intent comes from: a directory of Kubernetes manifests and the node file, as whole snapshots.
//!
//! [`load`] reads both once; [`Watch`] reads them again whenever a file changes and publishes the new
//! [`Snapshot`](penstock_model::Snapshot), never a delta. A source that fails keeps its last good state and says why.

mod error;
mod load;
mod watch;

pub use error::SourceError;
pub use load::{Paths, load, load_node};
pub use watch::{State, Watch};
