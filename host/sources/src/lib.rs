//! Where intent comes from. The rest of the crate follows.

mod difference;
mod merge;

pub use merge::{Merger, SourceStatus};
