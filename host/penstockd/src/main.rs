//! The program `penstockd`.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use penstock_agent::{give_back, opener};
use penstock_model::{Overlay, Policy};
use penstockd::args::{Args, CardArgs};
use penstockd::tell::notify;
use penstockd::{Card, Config, Daemon};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

/// A daemon that met a defect does not end sooner after its start than this.
const LIFE_MIN: Duration = Duration::from_secs(5);

fn main() -> Result<()> {
    let args = Args::get();
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
    penstockd::runtime::run(keep(args))
}

/// Keeps the cards until the process is told to end, or a part of the daemon has a defect.
async fn keep(args: Args) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    let mut inherited = penstock_device::inherited_fds().unwrap_or_else(|error| {
        warn!(%error, "what the service manager kept for the daemon is not understood, and not used");
        Vec::new()
    });
    let cards = args.cards().into_iter().map(|CardArgs { name, device, node }| {
        let (opener, keeper) = opener(&device, &mut inherited);
        Card { name, spec: device, node, opener, keeper }
    });
    let cards = cards.collect();
    give_back(inherited);
    let started = Instant::now();
    let mut daemon = Daemon::start(Config {
        cards,
        kubernetes: args.access(),
        health_checks: args.health_checks,
        ipfix: args.ipfix,
        manifests: args.manifests,
        api: args.api,
        state: args.state,
        static_neighbours: args.static_neighbour.into_iter().collect(),
        policy: Policy {
            external_ranges: args.allow_external_ips,
            cluster_ranges: args.cluster_cidr,
        },
        overlay: Overlay {
            service_ranges: args.service_cidr,
            silent: args.drop_unserved,
            gateways: args.gateway,
        },
        audit_every: Duration::from_secs(args.audit_every),
    })?;
    notify(&[NotifyState::Ready]);
    let failed = async {
        let result = daemon.failed().await;
        // The rest goes on meanwhile: `penstock status` says what it was, and whoever starts the daemon anew does not do so in a loop.
        if let Err(error) = &result {
            error!("{error:#}; the daemon ends");
        }
        tokio::time::sleep(LIFE_MIN.saturating_sub(started.elapsed())).await;
        result
    };
    let result = tokio::select! {
        result = failed => result,
        _ = terminate.recv() => { info!("terminated; the card keeps its tables and forwards on"); Ok(()) }
        _ = interrupt.recv() => { info!("interrupted; the card keeps its tables and forwards on"); Ok(()) }
    };
    notify(&[NotifyState::Stopping]);
    daemon.end().await;
    result
}
