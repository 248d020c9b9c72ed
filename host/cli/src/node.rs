//! `penstock node`: the node's kernel as an end point of the overlay, set up and taken back. Needs root, and no daemon.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use ipnet::Ipv4Net;
use penstock_node::{GATEWAY, MARK, Report, STATE, Wanted};

use crate::output::write;

/// Arguments of `node`.
#[derive(Debug, Args)]
pub struct NodeArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: NodeCommand,
}

/// What to do with the node.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Leads pods and services to the card and replies back to it, lets the kernel forward for pods, and masquerades what they send outside; needs root.
    #[command(
        after_help = "Example: sudo penstock node setup --pod-cidr 10.47.0.0/16 --service-cidr 10.96.0.0/12 --node-cidr 10.169.25.0/24\n\n\
            May be repeated. `penstock node teardown` restores every value, after a set-up that was killed, too."
    )]
    Setup(SetupArgs),
    /// Takes back what `setup` has changed, and restores every value; needs root.
    #[command(after_help = "Example: sudo penstock node teardown")]
    Teardown(StateArgs),
}

/// Where the state is kept.
#[derive(Debug, Args)]
pub struct StateArgs {
    /// File that says what was changed, and what was before.
    #[arg(long, value_name = "FILE", default_value = STATE)]
    pub state: PathBuf,
}

/// Arguments of `node setup`.
#[derive(Debug, Args)]
pub struct SetupArgs {
    /// The node's own interface on the card.
    #[arg(long, env = "PENSTOCK_NODE_INTERFACE", default_value = "vhost0", value_name = "NAME")]
    pub interface: String,
    /// Address of the gateway on it, which is nobody's otherwise.
    #[arg(long, env = "PENSTOCK_NODE_GATEWAY", default_value_t = GATEWAY, value_name = "IP")]
    pub gateway: Ipv4Addr,
    /// The node's address, as `fabric.address` of the node file has it; the interface's first unless it is said.
    #[arg(long, env = "PENSTOCK_NODE_ADDRESS", value_name = "IP")]
    pub address: Option<Ipv4Addr>,
    /// Ranges of the cluster's pods.
    #[arg(long, env = "PENSTOCK_POD_CIDR", value_name = "CIDR", num_args = 1.., value_delimiter = ',', value_parser = prefix)]
    pub pod_cidr: Vec<Ipv4Net>,
    /// Ranges of its services.
    #[arg(long, env = "PENSTOCK_SERVICE_CIDR", value_name = "CIDR", num_args = 1.., value_delimiter = ',', value_parser = prefix)]
    pub service_cidr: Vec<Ipv4Net>,
    /// Ranges of its nodes, and of others who know the way back to pods: towards them pods keep their addresses, too.
    #[arg(long, env = "PENSTOCK_NODE_CIDR", value_name = "CIDR", num_args = 1.., value_delimiter = ',', value_parser = prefix)]
    pub node_cidr: Vec<Ipv4Net>,
    /// Bits of connection and packet marks by which replies to what came by the card find back to it; nobody else may use them.
    #[arg(long, env = "PENSTOCK_NODE_MARK", default_value_t = Mark(MARK), value_name = "BITS")]
    pub mark: Mark,
    /// The state.
    #[command(flatten)]
    pub state: StateArgs,
}

/// Bits of a mark, as nftables shows them.
#[derive(Clone, Copy, Debug)]
pub struct Mark(u32);

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl std::str::FromStr for Mark {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bits = match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => text.parse(),
        };
        let bits = bits.ok().filter(|bits| *bits != 0);
        bits.map(Self).ok_or_else(|| format!("`{text}` is no mark such as {MARK:#x}"))
    }
}

/// A prefix without bits beyond its length.
fn prefix(text: &str) -> Result<Ipv4Net, String> {
    let net: Option<Ipv4Net> = text.parse().ok();
    net.filter(|net| net.addr() == net.network())
        .ok_or_else(|| format!("`{text}` is not an IPv4 prefix such as 10.96.0.0/12"))
}

/// Runs a command of `node`.
pub(crate) fn run(args: NodeArgs) -> Result<ExitCode> {
    match args.command {
        NodeCommand::Setup(args) => {
            let wanted = Wanted {
                interface: args.interface,
                gateway: args.gateway,
                address: args.address,
                pods: args.pod_cidr,
                services: args.service_cidr,
                inside: args.node_cidr,
                mark: args.mark.0,
            };
            let report = penstock_node::setup(&wanted, &args.state.state)?;
            say("the node is set up", &report)
        }
        NodeCommand::Teardown(args) => {
            let report = penstock_node::teardown(&args.state)?;
            let what = if report.nothing { "nothing was set up" } else { "the node is as before" };
            say(what, &report)
        }
    }
}

fn say(what: &str, report: &Report) -> Result<ExitCode> {
    let notes: String = report.notes.iter().map(|note| format!("note: {note}\n")).collect();
    write(&format!("{what}\n{notes}"))
}
