//! Puts the daemon's tasks together.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use penstock_api::server::{self, Limits, Server};
use penstock_api::types::ReconcileStatus;
use penstock_model::Prefix;
use penstock_sources::Paths;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::info;

use crate::answer::{Answers, Knowledge};
use crate::device::{Device, Opener};
use crate::health::Health;
use crate::keep::Keeper;
use crate::neighbour::{self, Neighbours};
use crate::reconcile::Reconciler;
use crate::{intent, routes, tell};

/// What a daemon is told when it starts.
pub struct Config {
    /// Node file and manifests.
    pub paths: Paths,
    /// Device specification, for people.
    pub spec: String,
    /// How to reach the device.
    pub opener: Opener,
    /// Who keeps the device from being reset while no daemon runs.
    pub keeper: Arc<dyn Keeper>,
    /// Socket for requests.
    pub api: PathBuf,
    /// MAC addresses that the kernel is not asked for.
    pub static_neighbours: Neighbours,
    /// Ranges in which `externalIPs` are served.
    pub external_ranges: Vec<Prefix>,
    /// Ranges in which none are, whatever is allowed.
    pub cluster_ranges: Vec<Prefix>,
}

/// A running daemon. Dropping it ends its tasks and leaves the card's tables as they are.
pub struct Daemon {
    tasks: JoinSet<()>,
}

impl Daemon {
    /// Starts all tasks on the current runtime.
    ///
    /// # Errors
    /// Another daemon serves the socket, or the socket cannot be made. A missing device or bad files are no reason not to
    /// start: they stand in the status, and are tried again.
    pub fn start(config: Config) -> Result<Self> {
        let listener = server::listen(&config.api)?;
        let device = Device::start(config.opener, config.keeper)
            .context("cannot start the card's thread")?;
        let (snapshot_tx, snapshot) = watch::channel(None);
        let health = Health::default();
        let (wanted_tx, wanted) = watch::channel(None);
        let (neighbours_tx, neighbours) = watch::channel(None);
        let (status_tx, reconcile) = watch::channel(ReconcileStatus::default());
        let knowledge = Knowledge {
            spec: config.spec,
            node: String::new(),
            snapshot: snapshot.clone(),
            sources: health.subscribe(),
            reconcile: reconcile.clone(),
            neighbours: neighbours.clone(),
        };
        let outlets =
            intent::Outlets { snapshot: snapshot_tx, health: health.clone(), wanted: wanted_tx };
        let followed = neighbour::Outlets { neighbours: neighbours_tx, health: health.clone() };
        let told = tell::Told {
            reconcile,
            sources: health.subscribe(),
            wanted: wanted.clone(),
            neighbours: neighbours.clone(),
        };
        let reconciler = Reconciler {
            device: device.clone(),
            snapshot,
            neighbours,
            external_ranges: config.external_ranges,
            cluster_ranges: config.cluster_ranges,
            status: status_tx,
        };
        info!(api = %config.api.display(), device = knowledge.spec, "penstockd starts");
        let mut tasks = JoinSet::new();
        tasks.spawn(intent::follow(config.paths, outlets));
        tasks.spawn(neighbour::follow(wanted, config.static_neighbours, followed));
        tasks.spawn(reconciler.run());
        tasks.spawn(tell::tell(told));
        let router = routes::router(Answers::new(device, knowledge));
        tasks.spawn(async move { Server::new(Limits::default()).serve(listener, router).await });
        Ok(Self { tasks })
    }

    /// Waits until a task ends, which none does unless it has a defect.
    ///
    /// # Errors
    /// Which defect, as far as it is known.
    pub async fn failed(&mut self) -> Result<()> {
        match self.tasks.join_next().await {
            Some(Err(error)) => Err(error).context("a task of the daemon failed"),
            _ => anyhow::bail!("a task of the daemon ended"),
        }
    }
}
