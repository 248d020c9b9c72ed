//! The program `penstockd`.

use anyhow::{Context as _, Result};
use clap::Parser as _;
use penstock_sources::Paths;
use penstockd::args::Args;
use penstockd::keep::opener;
use penstockd::tell::notify;
use penstockd::{Config, Daemon};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let args = Args::parse();
    let filter = EnvFilter::try_from_env("PENSTOCK_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,netlink_proto=warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if args.log_json {
        log.json().init();
    } else {
        log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init();
    }
    if let Some(caution) = args.caution() {
        warn!("{caution}");
    }
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    let inherited = penstock_device::inherited_fds().unwrap_or_else(|error| {
        warn!(%error, "what the service manager kept for the daemon is not understood, and not used");
        Vec::new()
    });
    let (opener, keeper) = opener(args.device.clone(), inherited);
    let mut daemon = Daemon::start(Config {
        paths: Paths { node: args.node, manifests: args.manifests },
        opener,
        keeper,
        spec: args.device,
        api: args.api,
        static_neighbours: args.static_neighbour.into_iter().collect(),
        external_ranges: args.allow_external_ips,
        cluster_ranges: args.cluster_cidr,
    })?;
    notify(&[NotifyState::Ready]);
    let result = tokio::select! {
        result = daemon.failed() => result,
        _ = terminate.recv() => { info!("terminated; the card keeps its tables and forwards on"); Ok(()) }
        _ = interrupt.recv() => { info!("interrupted; the card keeps its tables and forwards on"); Ok(()) }
    };
    notify(&[NotifyState::Stopping]);
    result
}
