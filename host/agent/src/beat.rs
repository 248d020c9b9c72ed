//! The sign of life of an agent's loop.

use std::sync::Arc;

use tokio::sync::watch;

/// Counts what came to an end in the loop: rounds, and pieces of what takes long. Whoever does not see it move knows that something
/// hangs. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Beat(Arc<watch::Sender<u64>>);

impl Beat {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// Something came to an end.
    pub(crate) fn beat(&self) {
        self.0.send_modify(|beats| *beats = beats.wrapping_add(1));
    }

    /// To be followed.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}
