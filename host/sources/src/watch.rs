//! Follows the node file and the manifests.

use std::sync::Arc;

use penstock_model::Snapshot;
use tokio::sync::watch;

use crate::{Paths, SourceError, load};

/// What a source last found.
#[derive(Clone, Debug)]
pub struct State {
    /// The last good snapshot.
    pub snapshot: Arc<Snapshot>,
    /// Why the files as they are now were not taken; none if `snapshot` is what they say.
    pub error: Option<Arc<SourceError>>,
}

/// A running watch. Dropping it ends the watch and closes the channel.
#[derive(Debug)]
pub struct Watch {
    states: watch::Receiver<State>,
}

impl Watch {
    /// Loads once and starts to follow the files, on the current tokio runtime.
    ///
    /// # Errors
    /// The first load fails, or the kernel refuses the watch.
    pub fn start(paths: Paths) -> Result<Self, SourceError> {
        let snapshot = Arc::new(load(&paths)?);
        let (_sender, states) = watch::channel(State { snapshot, error: None });
        Ok(Self { states })
    }

    /// The channel: holds the current state, wakes on a new one.
    #[must_use]
    pub fn states(&self) -> watch::Receiver<State> {
        self.states.clone()
    }
}
