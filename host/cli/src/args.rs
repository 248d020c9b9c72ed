//! What the command line accepts.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use penstock_api::paths::DEFAULT_SOCKET;

use crate::output::Output;

/// Subcommands that are programs of their own, `penstock-NAME`, which need not be installed: name and what it does.
pub const EXTERNAL: &[(&str, &str)] = &[
    ("lab", "Testbeds of simulated cards on this machine"),
    ("replay", "Sends captured packets through a fresh simulated card and captures what leaves it"),
];

fn after_help() -> String {
    let mut text =
        "Programs of their own, if they are installed (`penstock NAME` runs `penstock-NAME`):\n"
            .to_owned();
    for (name, what) in EXTERNAL {
        text += &format!("  {name:<9}  {what}\n");
    }
    text + "\nExample: penstock flow -l --match 10.105.139.153:8888\n\n\
        Exit codes: 0 done, 1 failed, 2 not understood, 3 no daemon answers, 4 an audit found something; else the one of the program."
}

/// Shows and tries out Penstock cards. The views speak the language of Contrail's vRouter tools.
#[derive(Debug, Parser)]
#[command(
    name = "penstock",
    version,
    after_help = after_help()
)]
pub struct Cli {
    /// Socket of the daemon.
    #[arg(long, global = true, env = "PENSTOCK_API", default_value = DEFAULT_SOCKET, value_name = "SOCKET")]
    pub api: PathBuf,
    /// Name of the card, of a daemon that has several.
    #[arg(long, global = true, env = "PENSTOCK_CARD", value_name = "NAME")]
    pub card: Option<String>,
    /// Form of the output.
    #[arg(short, long, global = true, value_enum, default_value = "text", value_name = "FORM")]
    pub output: Output,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Flow table of the card.
    #[command(
        after_help = "Example: penstock flow -l --match \"10.47.255.237,10.105.139.153:8888 & proto tcp\"\n         penstock flow --follow --event made,ended -o json"
    )]
    Flow(crate::flow::FlowArgs),
    /// Next hops.
    #[command(after_help = "Example: penstock nh --get 87")]
    Nh(ListArgs),
    /// Interfaces and their counters.
    #[command(after_help = "Example: penstock vif --get 8")]
    Vif(ListArgs),
    /// IPv4 routes of a VRF.
    #[command(
        after_help = "Example: penstock rt --dump 2\n         penstock rt --get 10.105.139.153/32 --vrf 2"
    )]
    Rt(RouteArgs),
    /// MPLS labels that the card accepts.
    #[command(after_help = "Example: penstock mpls --dump")]
    Mpls(MplsArgs),
    /// VRFs: service network, and by which tunnels packets may come.
    #[command(after_help = "Example: penstock vrf --list")]
    Vrf(VrfArgs),
    /// Listeners of floating IPs, which packets are looked for in before any route.
    #[command(after_help = "Example: penstock svc --dump")]
    Svc(DumpArgs),
    /// Tunnels by which packets may come, by the sets that routes name.
    #[command(after_help = "Example: penstock source --get 1")]
    Source(SourceArgs),
    /// Floating IPs without port map.
    #[command(after_help = "Example: penstock fip --dump")]
    Fip(DumpArgs),
    /// Tunnels by which packets come, and what each has of the flow table.
    #[command(after_help = "Example: penstock tunnel --list -o wide")]
    Tunnel(TunnelArgs),
    /// Dropped packets by reason.
    #[command(after_help = "Example: penstock dropstats -o wide")]
    Dropstats,
    /// State of the daemon and its card.
    #[command(after_help = "Example: penstock status -o json")]
    Status,
    /// What is going on, live: interfaces, services, flows and drops by what passes a second.
    #[command(
        after_help = "Example: penstock top --interval 5\n         penstock top --once -o json"
    )]
    Top(crate::top::TopArgs),
    /// Follows an object from what was asked for down to the card's rows.
    #[command(
        after_help = "Example: penstock explain svc ns-user-1/service-web-clusterip\n         penstock explain ip 10.105.139.153 --vrf 2"
    )]
    Explain(ExplainArgs),
    /// Compares what the card holds with what the daemon wrote to it, mends what differs, and looks whether the flows are whole. Exit code 4: something differed, or a flow is wrong.
    #[command(after_help = "Example: penstock audit --fix -o json")]
    Audit(AuditArgs),
    /// Cards as PCI functions of this machine: which there are, giving one to VFIO, its state without a daemon.
    #[command(after_help = "Example: penstock card list")]
    Card(crate::card::CardArgs),
    /// This node as an end point of the overlay: routes, a neighbour and settings of its kernel, and masquerading.
    #[command(
        after_help = "Example: penstock node setup --pod-cidr 10.47.0.0/16 --service-cidr 10.96.0.0/12"
    )]
    Node(crate::node::NodeArgs),
    /// A program of its own: name and arguments.
    #[command(external_subcommand)]
    External(Vec<OsString>),
}

/// Arguments of `audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Ends connections that are not whole in the flow table, and those that nobody can use any more.
    #[arg(long)]
    pub fix: bool,
}

/// Arguments of `nh` and `vif`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Lists all (default).
    #[arg(short, long)]
    pub list: bool,
    /// Shows the one with this number.
    #[arg(long, value_name = "N", conflicts_with = "list")]
    pub get: Option<u32>,
}

/// Arguments of `rt`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["dump", "get"])))]
pub struct RouteArgs {
    /// Shows all routes of this VRF.
    #[arg(long, value_name = "VRF")]
    pub dump: Option<u16>,
    /// Shows the route that this destination takes, `a.b.c.d[/len]`.
    #[arg(long, value_name = "DESTINATION", requires = "vrf", value_parser = destination)]
    pub get: Option<(Ipv4Addr, u8)>,
    /// VRF of `--get`.
    #[arg(long, value_name = "VRF")]
    pub vrf: Option<u16>,
    /// Family; the card routes IPv4.
    #[arg(long, default_value = "inet", value_parser = ["inet"])]
    pub family: String,
}

/// Arguments of `mpls`.
#[derive(Debug, Args)]
pub struct MplsArgs {
    /// Shows all labels (default).
    #[arg(long)]
    pub dump: bool,
    /// Shows one label.
    #[arg(long, value_name = "LABEL", conflicts_with = "dump")]
    pub get: Option<u32>,
}

/// Arguments of `vrf`.
#[derive(Debug, Args)]
pub struct VrfArgs {
    /// Lists all (default).
    #[arg(short, long)]
    pub list: bool,
}

/// Arguments of `tunnel`.
#[derive(Debug, Args)]
pub struct TunnelArgs {
    /// Lists all (default).
    #[arg(short, long)]
    pub list: bool,
}

/// Arguments of `svc` and `fip`.
#[derive(Debug, Args)]
pub struct DumpArgs {
    /// Shows all (default).
    #[arg(long)]
    pub dump: bool,
}

/// Arguments of `source`.
#[derive(Debug, Args)]
pub struct SourceArgs {
    /// Shows all sets (default).
    #[arg(long)]
    pub dump: bool,
    /// Shows one set; 1 has all tunnels that are known.
    #[arg(long, value_name = "SET", conflicts_with = "dump")]
    pub get: Option<u16>,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The object.
    #[command(subcommand)]
    pub object: Explained,
}

/// What `explain` knows.
#[derive(Debug, Subcommand)]
pub enum Explained {
    /// A service: floating IPs, ECMP members, port maps.
    #[command(visible_alias = "service")]
    Svc {
        /// `NAMESPACE/NAME`; without a namespace, `default`.
        name: String,
    },
    /// An address, be it a pod's, a floating IP, or one outside: listeners, route, who may answer, translations.
    #[command(visible_aliases = ["addr", "address"])]
    Ip {
        /// The address.
        address: Ipv4Addr,
        /// Only in this VRF.
        #[arg(long, value_name = "VRF")]
        vrf: Option<u16>,
    },
}

fn destination(text: &str) -> Result<(Ipv4Addr, u8), String> {
    let (address, len) = text.split_once('/').unwrap_or((text, "32"));
    let fail = || {
        format!(
            "`{text}` is not an IPv4 address with an optional length, such as 10.105.139.153/32"
        )
    };
    let len: u8 = len.parse().ok().filter(|len| *len <= 32).ok_or_else(fail)?;
    Ok((address.parse().map_err(|_| fail())?, len))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn vrouter_habits_are_understood() {
        for line in [
            "flow -l",
            "flow -r",
            "flow -s --count 3",
            "flow -d 7",
            "flow -i 7",
            "flow --follow --event made,ended --sample 16 --match 10.105.139.153",
            "nh --list",
            "nh --get 87",
            "vif --get 8",
            "rt --dump 2 --family inet",
            "mpls --dump",
            "vrf --list",
            "svc --dump",
            "source --get 1",
            "fip --dump",
            "tunnel -l",
            "explain ip 10.105.139.153 --vrf 2",
            "dropstats",
        ] {
            Cli::try_parse_from(["penstock"].into_iter().chain(line.split(' '))).unwrap();
        }
        for line in [
            "rt",
            "rt --get 1.2.3.4",
            "rt --get 1.2.3/8 --vrf 1",
            "flow -l --get 3",
            "flow -r -s",
            "flow -d 3 --match 10.0.0.1",
            "flow --event made",
            "flow --follow --event born",
            "rt --dump 1 --family inet6",
            "source --dump --get 3",
            "explain ip fe80::1",
        ] {
            assert!(
                Cli::try_parse_from(["penstock"].into_iter().chain(line.split(' '))).is_err(),
                "{line}"
            );
        }
        assert_eq!(destination("10.0.0.0/8"), Ok((Ipv4Addr::new(10, 0, 0, 0), 8)));
    }
}
