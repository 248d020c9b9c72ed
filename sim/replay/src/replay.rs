//! Captures in, captures out, through a fresh simulated card in this process.
//!
//! The node file and the manifests are compiled and programmed as the daemon would do it, on an empty card. Frames go in in
//! the order of their time stamps, at the card time that these ask for; pauses in which the card is idle are skipped, not
//! simulated, and cost nothing however long they are. With firmware, the first frame waits until that runs. When all frames
//! are in, the card is drained. The same input gives the same output, seed included.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use penstock::output::{Output, print};
use penstock_model::{Intent, IpNet, MacAddr, Neighbours, Policy};
use penstock_sources::Paths;

use crate::overlay::OverlayArgs;
use crate::{capture, run, summary};

/// Arguments of a replay.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Node file.
    #[arg(long, value_name = "FILE")]
    pub(crate) node: PathBuf,
    /// Directory of Kubernetes manifests.
    #[arg(long, value_name = "DIR")]
    pub(crate) manifests: PathBuf,
    /// Capture that arrives at a port: `fabric0`, `vhost0` or the name of a vif. May be repeated.
    #[arg(long = "in", value_name = "PORT=FILE", value_parser = port_file)]
    pub(crate) inputs: Vec<(String, PathBuf)>,
    /// Directory for one capture a port and `summary.json`; created if it is not there.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Pauses handshakes at the card's edges at random, repeatably.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// MAC address of a remote node; by default 02:00 and the four octets of its address. May be repeated.
    #[arg(long, value_name = "IP=MAC", value_parser = neighbour)]
    pub(crate) static_neighbour: Vec<(Ipv4Addr, MacAddr)>,
    /// Ranges in which the `externalIPs` of services are served, as the daemon's option of this name.
    #[arg(long, value_name = "CIDR", num_args = 1.., value_delimiter = ',')]
    pub(crate) allow_external_ips: Vec<IpNet>,
    /// Ranges in which no `externalIPs` are served, whatever is allowed, as the daemon's option of this name.
    #[arg(long, value_name = "CIDR", num_args = 1.., value_delimiter = ',')]
    pub(crate) cluster_cidr: Vec<IpNet>,
    /// The overlay.
    #[command(flatten)]
    pub(crate) overlay: OverlayArgs,
    /// Image for the card's soft core; without one, what the firmware would answer is dropped (`TrapQueueFull`).
    #[arg(long, value_name = "IMAGE")]
    pub(crate) firmware: Option<PathBuf>,
}

fn port_file(text: &str) -> Result<(String, PathBuf), String> {
    let (port, file) = text.split_once('=').ok_or("use PORT=FILE")?;
    Ok((port.to_owned(), file.into()))
}

fn neighbour(text: &str) -> Result<(Ipv4Addr, MacAddr), String> {
    let (ip, mac) = text.split_once('=').ok_or("use IP=MAC")?;
    Ok((
        ip.parse().map_err(|_| format!("`{ip}` is not an IPv4 address"))?,
        mac.parse().map_err(|error: penstock_model::AddrError| error.to_string())?,
    ))
}

/// Runs the replay and prints its summary.
///
/// # Errors
/// The files are wrong, do not fit the card, or the card has a defect.
pub(crate) fn run(args: &ReplayArgs, output: Output) -> Result<ExitCode> {
    let paths = Paths { node: args.node.clone(), manifests: args.manifests.clone() };
    let policy = Policy {
        external_ranges: args.allow_external_ips.clone(),
        cluster_ranges: args.cluster_cidr.clone(),
    };
    let mut intent = penstock_sources::load(&paths, policy).context("cannot read the intent")?;
    intent.overlay = Arc::new(args.overlay.overlay());
    let neighbours = neighbours(&intent, &args.static_neighbour);
    let ports = ports(&intent);
    let mut inputs = Vec::new();
    for (port, file) in &args.inputs {
        let Some(&vif) = ports.get(port) else {
            let names: Vec<&str> = ports.keys().map(String::as_str).collect();
            bail!("the node has no port `{port}`; its ports are {}", names.join(", "));
        };
        inputs.push((vif, file.clone()));
    }
    let captured = capture::read_all(&inputs)?;
    let firmware = args.firmware.clone();
    let outcome = run::run(&intent, &neighbours, &captured.frames, args.seed, firmware)?;
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot make {}", args.out.display()))?;
    for (name, &vif) in &ports {
        let leaving = outcome.egress.iter().filter(|frame| frame.vif == vif);
        capture::write(&args.out.join(format!("{name}.pcap")), leaving)?;
    }
    let summary = summary::Summary::new(&ports, &captured, &outcome, args.seed);
    let file = args.out.join("summary.json");
    let text = serde_json::to_string_pretty(&summary)
        .context("the summary cannot be written as JSON")?
        + "\n";
    std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    print(&summary, output)
}

/// Port names and their vif numbers.
fn ports(intent: &Intent) -> BTreeMap<String, u8> {
    let own = [("fabric0".to_owned(), 0), ("vhost0".to_owned(), 1)];
    own.into_iter().chain(intent.vifs.values().map(|vif| (vif.name.clone(), vif.id.0))).collect()
}

/// There is no kernel to ask: nodes have the MAC addresses given, or ones made of their addresses.
fn neighbours(intent: &Intent, given: &[(Ipv4Addr, MacAddr)]) -> Neighbours {
    let made = intent.peers.values().filter_map(|peer| match peer.address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            Some((peer.address, MacAddr([0x02, 0x00, a, b, c, d])))
        }
        // The card's tunnels are IPv4's.
        IpAddr::V6(_) => None,
    });
    made.chain(given.iter().map(|(address, mac)| (IpAddr::V4(*address), *mac))).collect()
}
