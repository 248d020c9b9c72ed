//! `penstock-card`: a simulated card as a process. Serves its PCI function on a vfio-user socket and its ports on TAP
//! devices or capture files.

use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use clap::Parser;
use nix::sys::signal::{SigSet, Signal};
use penstock_card::port::{PcapPort, Port, StreamPort, Tap};
use penstock_card::service::{self, Stop};
use penstock_card::{CardOptions, CardSim, Clock, Server};

/// A simulated Penstock card.
///
/// SIGTERM ends it. SIGUSR1 takes its function off the bus, as when a card is pulled out: it reads as all ones from then on.
///
/// Example: penstock-card --socket /run/penstock/card.sock --port fabric0:0=tap:fab0 --port vhost0:1=tap:vhost0 --port client:3=tap:tap3
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment)]
struct Args {
    /// Where to serve the PCI function (vfio-user).
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// A port: NAME:NUM=tap:INTERFACE, NAME:NUM=unix:SOCKET (frames as in QEMU's `-netdev stream`; the card listens) or
    /// NAME:NUM=pcap:IN,OUT (either file may be left out). NUM is the vif; 0 is the fabric.
    #[arg(long = "port", value_name = "NAME:NUM=KIND:ARG")]
    ports: Vec<PortSpec>,
    /// Firmware image of the soft core (32-bit words in hexadecimal).
    #[arg(long, value_name = "IMAGE")]
    firmware: Option<PathBuf>,
    /// Writes a waveform (FST); the program must be built with `--features trace`.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Goes on when an assertion of the RTL fails, instead of ending.
    #[arg(long)]
    keep_going: bool,
    /// Does not evaluate the RTL's assertions: about a fifth faster.
    #[arg(long)]
    unchecked: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct PortSpec {
    name: String,
    vif: u8,
    kind: PortKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PortKind {
    Tap(String),
    Unix(PathBuf),
    Pcap { input: Option<PathBuf>, output: Option<PathBuf> },
}

impl FromStr for PortSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text
            .split_once('=')
            .and_then(|(port, kind)| Some((port.split_once(':')?, kind.split_once(':')?)));
        let ((name, vif), (kind, arg)) = parts.ok_or("expected NAME:NUM=KIND:ARG")?;
        let vif = vif.parse().map_err(|_| format!("`{vif}` is not a vif number (0..255)"))?;
        let kind = match kind {
            "tap" if !arg.is_empty() => PortKind::Tap(arg.to_owned()),
            "unix" if !arg.is_empty() => PortKind::Unix(arg.into()),
            "pcap" => {
                let (input, output) = arg.split_once(',').unwrap_or((arg, ""));
                let path = |p: &str| (!p.is_empty()).then(|| PathBuf::from(p));
                PortKind::Pcap { input: path(input), output: path(output) }
            }
            _ => {
                return Err(format!(
                    "`{kind}:{arg}` is none of tap:INTERFACE, unix:SOCKET, pcap:IN,OUT"
                ));
            }
        };
        Ok(Self { name: name.to_owned(), vif, kind })
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("PENSTOCK_LOG")
                .unwrap_or_else(|_| "info".into()),
        )
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    // Signals are taken by a thread of their own; blocked before any thread exists.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGUSR1);
    signals.thread_block().context("cannot block signals")?;

    let mut card = CardSim::new(&CardOptions {
        firmware: args.firmware.clone(),
        trace: args.trace.clone(),
        unchecked: args.unchecked,
        clock: Clock::Wall,
        ..CardOptions::default()
    })
    .context("cannot start the card")?;
    attach_ports(&mut card, &args.ports)?;
    let mut server = Server::bind(&args.socket)
        .with_context(|| format!("cannot listen on {}", args.socket.display()))?;
    // Only a host that has enabled bus mastering may be reached by the card's DMA.
    card.set_bus_master(false);

    let stop = Stop::new()?;
    let (switch, removal) = (stop.try_clone()?, server.removal());
    std::thread::spawn(move || {
        while matches!(signals.wait(), Ok(Signal::SIGUSR1)) {
            tracing::info!("taken off the bus");
            removal.remove();
        }
        switch.stop();
    });
    println!("ready");
    std::io::stdout().flush()?;

    let ended = service::run(&mut card, &mut server, &stop, args.keep_going);
    card.flush_trace();
    for (name, vif, stats) in card.port_stats() {
        tracing::info!(port = name, vif, ?stats, "port counters");
    }
    tracing::info!(cycles = card.cycles(), "the card ends");
    ended.context("the card failed")
}

fn attach_ports(card: &mut CardSim, ports: &[PortSpec]) -> Result<()> {
    for (i, spec) in ports.iter().enumerate() {
        if let Some(other) = ports[..i].iter().find(|p| p.vif == spec.vif || p.name == spec.name) {
            bail!("port {}:{} repeats {}:{}", spec.name, spec.vif, other.name, other.vif);
        }
        let port: Box<dyn Port> = match &spec.kind {
            PortKind::Tap(interface) => {
                Box::new(Tap::open(interface).with_context(|| {
                    format!("cannot open TAP device {interface} (needs CAP_NET_ADMIN in its network namespace)")
                })?)
            }
            PortKind::Unix(path) => Box::new(
                StreamPort::bind(path)
                    .with_context(|| format!("cannot listen at {} for port {}", path.display(), spec.name))?,
            ),
            PortKind::Pcap { input, output } => Box::new(
                PcapPort::open(input.as_deref(), output.as_deref())
                    .with_context(|| format!("cannot open the captures of port {}", spec.name))?,
            ),
        };
        card.attach_port(spec.vif, spec.name.clone(), port);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_specifications() {
        let spec: PortSpec = "client:3=tap:tap3".parse().unwrap();
        assert_eq!(
            (spec.name.as_str(), spec.vif, spec.kind),
            ("client", 3, PortKind::Tap("tap3".to_owned()))
        );
        let spec: PortSpec = "fabric0:0=pcap:,out.pcap".parse().unwrap();
        assert_eq!(spec.kind, PortKind::Pcap { input: None, output: Some("out.pcap".into()) });
        let spec: PortSpec = "client:3=unix:/run/p".parse().unwrap();
        assert_eq!(spec.kind, PortKind::Unix("/run/p".into()));
        for bad in ["", "x=unix:", "x=tap:a", "x:300=tap:a", "x:1=tap:", "x:1=tun:a", "x:1"] {
            assert!(bad.parse::<PortSpec>().is_err(), "{bad}");
        }
    }
}
