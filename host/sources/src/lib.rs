//! Where intent comes from. The rest of the crate follows.

mod difference;
mod documents;
mod error;
mod follow;
mod gather;
mod look;
mod merge;
pub mod node_file;
mod text;
mod tree;
mod watch;

pub use error::SourceError;
pub use merge::{Merger, SourceStatus};
pub use text::MAX_FILE_BYTES;
pub use watch::Watch;
