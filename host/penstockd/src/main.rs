//! The program `penstockd`.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Parser;
use penstock_model::MacAddr;
use penstock_sources::Paths;
use penstock_views::api::DEFAULT_SOCKET;
use penstockd::keep::opener;
use penstockd::tell::notify;
use penstockd::{Config, Daemon};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;
use tracing_subscriber::EnvFilter;

/// Keeps a card's tables as Kubernetes manifests and the node file want them, and shows the card to `penstock`.
#[derive(Debug, Parser)]
#[command(
    name = "penstockd",
    version,
    after_help = "Example: penstockd --node /etc/penstock/node.yaml --manifests /etc/penstock/manifests \\\n           --device pci:0000:3b:00.0\n\nThe environment variable PENSTOCK_LOG filters the log, as in PENSTOCK_LOG=debug."
)]
struct Args {
    /// Node file.
    #[arg(long, value_name = "FILE")]
    node: PathBuf,
    /// Directory of Kubernetes manifests.
    #[arg(long, value_name = "DIR")]
    manifests: PathBuf,
    /// The card: `vfio-user:SOCKET` or `pci:DDDD:BB:DD.F`.
    #[arg(long, value_name = "SPEC")]
    device: String,
    /// Socket for `penstock`.
    #[arg(long, env = "PENSTOCK_API", default_value = DEFAULT_SOCKET, value_name = "SOCKET")]
    api: PathBuf,
    /// MAC address of a remote node, instead of the kernel's; may be repeated.
    #[arg(long, value_name = "IP=MAC", value_parser = neighbour)]
    static_neighbour: Vec<(Ipv4Addr, MacAddr)>,
    /// Writes the log as JSON lines.
    #[arg(long)]
    log_json: bool,
}

fn neighbour(text: &str) -> Result<(Ipv4Addr, MacAddr), String> {
    let (ip, mac) = text.split_once('=').ok_or("use IP=MAC")?;
    Ok((
        ip.parse().map_err(|_| format!("`{ip}` is not an IPv4 address"))?,
        mac.parse().map_err(|error: penstock_model::AddrError| error.to_string())?,
    ))
}

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
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    let inherited = penstock_device::inherited_fds()
        .context("the service manager's descriptors are not understood")?;
    let (opener, keeper) = opener(args.device.clone(), inherited);
    let mut daemon = Daemon::start(Config {
        paths: Paths { node: args.node, manifests: args.manifests },
        opener,
        keeper,
        spec: args.device,
        api: args.api,
        static_neighbours: args.static_neighbour.into_iter().collect(),
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
