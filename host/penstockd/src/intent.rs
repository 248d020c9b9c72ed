//! What the card is to do: follows the sources and publishes what is in force.
//!
//! A file that is wrong keeps what it last gave; its error stands in the status until it is mended. Nothing is published,
//! and the card not touched, before the sources have something to go by.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use penstock_api::types::SourceStatus;
use penstock_model::Snapshot;
use penstock_sources::{Paths, SourceError, State, Watch};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::device::chain;
use crate::health::Health;

/// Pause before a watch that ended, which is a defect, is started anew.
const RETRY: Duration = Duration::from_secs(1);

/// Where this task publishes.
pub struct Outlets {
    /// The last good snapshot.
    pub snapshot: watch::Sender<Option<Arc<Snapshot>>>,
    /// How the sources are.
    pub health: Health,
    /// Node addresses whose MAC address is needed.
    pub wanted: watch::Sender<Option<BTreeSet<Ipv4Addr>>>,
}

impl Outlets {
    fn publish(
        &self,
        paths: &Paths,
        snapshot: Option<&Arc<Snapshot>>,
        error: Option<&SourceError>,
    ) {
        if let Some(snapshot) = snapshot {
            let wanted: BTreeSet<Ipv4Addr> =
                snapshot.node.remotes.iter().map(|remote| remote.address).collect();
            self.wanted.send_if_modified(|old| {
                let changed = old.as_ref() != Some(&wanted);
                *old = Some(wanted);
                changed
            });
            self.snapshot.send_if_modified(|old| {
                let changed = old.as_ref() != Some(snapshot);
                *old = Some(Arc::clone(snapshot));
                changed
            });
        }
        self.health.set(SourceStatus {
            name: format!("files {} and {}", paths.node.display(), paths.manifests.display()),
            // A watch that was started anew has no snapshot at first, the card has what the last one gave.
            read: self.snapshot.borrow().is_some(),
            errors: error
                .map(|e| chain(e).lines().map(str::to_owned).collect())
                .unwrap_or_default(),
        });
    }
}

/// Follows the files until the task is dropped.
pub async fn follow(paths: Paths, outlets: Outlets) {
    loop {
        let watch = Watch::start(paths.clone());
        follow_states(&watch, &paths, &outlets).await;
        warn!("the watch of {} ended, starting it anew", paths.manifests.display());
        tokio::time::sleep(RETRY).await;
    }
}

async fn follow_states(watch: &Watch, paths: &Paths, outlets: &Outlets) {
    let mut states = watch.states();
    loop {
        let State { snapshot, error } = states.borrow_and_update().clone();
        // Errors are logged by the source itself.
        if let (Some(snapshot), None) = (&snapshot, &error) {
            info!(load_balancers = snapshot.load_balancers.len(), "sources read");
        }
        outlets.publish(paths, snapshot.as_ref(), error.as_deref());
        if states.changed().await.is_err() {
            return;
        }
    }
}
