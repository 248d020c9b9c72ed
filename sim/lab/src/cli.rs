//! The subcommands of `penstock lab`, those for people and, hidden, those that a lab runs itself by.

mod status;
mod up;

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};

use crate::client::Lab;
use crate::connect::{self, Plan};
use crate::flood::{self, Flood, Tunnel};
use crate::paths::LabPaths;
use crate::supervisor::supervise;
use crate::{enter, paths, serve};

/// Time that `down` gives a lab to come up: that of its parts and of their daemons.
const UP_PATIENCE: Duration = Duration::from_secs(300);

/// Arguments of `penstock lab`.
#[derive(Debug, Args)]
pub struct LabArgs {
    #[command(subcommand)]
    command: LabCommand,
}

/// What to do with a lab.
#[derive(Debug, Subcommand)]
enum LabCommand {
    /// Builds a testbed of namespaces, simulated cards and daemons, waits until it works, and leaves it running.
    #[command(
        after_help = "Example: penstock lab up && penstock lab exec client -- ping -c1 10.47.255.238"
    )]
    Up {
        #[command(flatten)]
        parts: Parts,
    },
    /// Ends a lab and removes all of it; waits for one that is coming up.
    Down {
        /// Name of the lab; needed only if several are up.
        #[arg(long)]
        name: Option<String>,
    },
    /// Shows the namespaces, processes and files of a lab, or of all labs that are up.
    Status {
        /// Name of the lab.
        #[arg(long)]
        name: Option<String>,
    },
    /// Runs a command in a pod, on a node or in the underlay. There `penstock` shows the card of that node.
    #[command(
        after_help = "Example: penstock lab exec client -- curl http://10.105.139.153:8888\n         penstock lab exec cent222 -- penstock flow -l"
    )]
    Exec {
        /// Name of the lab; needed only if several are up.
        #[arg(long)]
        name: Option<String>,
        /// Pod, node or `underlay`.
        place: String,
        /// Program and arguments.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Captures packets with tcpdump; by default what passes the fabric.
    #[command(after_help = "Example: penstock lab capture -w tunnel.pcap -- udp port 6635")]
    Capture {
        /// Name of the lab; needed only if several are up.
        #[arg(long)]
        name: Option<String>,
        /// Pod, node or `underlay`.
        #[arg(default_value = crate::state::UNDERLAY)]
        place: String,
        /// Interface; by default the place's own.
        #[arg(short, long)]
        interface: Option<String>,
        /// File to write; without one, packets are printed.
        #[arg(short)]
        write: Option<PathBuf>,
        /// Further arguments of tcpdump, such as a filter.
        #[arg(last = true)]
        rest: Vec<OsString>,
    },
    /// Starts one of the lab's own servers in a pod.
    #[command(after_help = "Example: penstock lab start webserver-846c9ccb8b-g27dj --http 90")]
    Start {
        /// Name of the lab; needed only if several are up.
        #[arg(long)]
        name: Option<String>,
        /// Pod that serves.
        pod: String,
        #[command(flatten)]
        server: Server,
    },
    /// Sends a signal to a process of the lab, such as `cent222/penstockd`.
    Kill {
        /// Name of the lab; needed only if several are up.
        #[arg(long)]
        name: Option<String>,
        /// Process as `lab status` names it.
        process: String,
        /// Signal.
        #[arg(long, default_value = "SIGTERM")]
        signal: String,
    },
    /// Starts a process of the lab again that has ended.
    Restart {
        /// Name of the lab; needed only if several are up.
        #[arg(long)]
        name: Option<String>,
        /// Process as `lab status` names it.
        process: String,
    },
    /// Makes short connections to one of the lab's web servers from where it runs, and says how they went.
    #[command(
        after_help = "Example: penstock lab exec client -- penstock-lab connect 10.105.139.153:8888 --count 1000"
    )]
    Connect {
        /// `ADDRESS:PORT` of the service or pod.
        server: SocketAddrV4,
        /// Connections.
        #[arg(long, default_value_t = 100)]
        count: usize,
        /// How many are open at once, at most.
        #[arg(long, default_value_t = 8)]
        parallel: usize,
        /// Seconds after which one that is not open is lost.
        #[arg(long, default_value_t = 10)]
        within: u64,
    },
    /// Sends SYNs, each of a connection of its own, from where it runs until it is ended: as an attacker does.
    #[command(
        after_help = "Example: penstock lab exec spare-cent222 -- penstock-lab flood --from 10.47.255.234 10.105.139.153:8888\n         penstock lab exec cent333 -- penstock-lab flood --from 10.47.255.235 10.105.139.153:8888 --tunnel 10.169.25.20 --label 28"
    )]
    Flood {
        /// `ADDRESS:PORT` of the service.
        to: SocketAddrV4,
        /// Source address.
        #[arg(long)]
        from: Ipv4Addr,
        /// SYNs a second.
        #[arg(long, default_value_t = 1000)]
        per_second: u32,
        /// Through a tunnel to this node, from another node.
        #[arg(long, requires = "label")]
        tunnel: Option<Ipv4Addr>,
        /// Label of the tunnelled packets.
        #[arg(long, requires = "tunnel")]
        label: Option<u32>,
    },
    #[command(hide = true)]
    Supervise {
        #[command(flatten)]
        parts: Parts,
        #[arg(long)]
        tied: bool,
    },
    #[command(hide = true)]
    Pause {
        #[arg(long)]
        die_with_parent: Option<u32>,
        sysctls: Vec<String>,
    },
    #[command(hide = true)]
    Enter {
        #[arg(long)]
        die_with_parent: Option<u32>,
        #[arg(long)]
        holder: u32,
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    #[command(hide = true)]
    Serve {
        #[arg(long)]
        pod: String,
        #[command(flatten)]
        server: Server,
    },
}

/// Parts of a lab.
#[derive(Debug, Args)]
struct Parts {
    /// Name of the lab, by default the topology's; several labs may run side by side.
    #[arg(long)]
    name: Option<String>,
    /// Topology file; by default the chapter's two nodes.
    #[arg(long)]
    topology: Option<PathBuf>,
    /// Folder of manifests to begin with; by default the chapter's, for the chapter's topology.
    #[arg(long)]
    manifests: Option<PathBuf>,
    /// Begin without manifests.
    #[arg(long, conflicts_with = "manifests")]
    no_manifests: bool,
    /// Program of the simulated card; by default `penstock-card` beside this one.
    #[arg(long)]
    card: Option<PathBuf>,
    /// Firmware image of the cards; by default the one built last, `../firmware/penstock-fw.hex` beside this program.
    #[arg(long)]
    firmware: Option<PathBuf>,
    /// Further argument of the simulated card; may be repeated.
    #[arg(long = "card-arg", allow_hyphen_values = true)]
    card_arguments: Vec<String>,
    /// Program of the daemon; by default `penstockd` beside this one.
    #[arg(long)]
    daemon: Option<PathBuf>,
    /// Nodes get no daemon.
    #[arg(long, conflicts_with = "daemon")]
    no_daemon: bool,
}

/// A small server.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Server {
    /// HTTP on this TCP port.
    #[arg(long)]
    http: Option<u16>,
    /// Echo on this UDP port.
    #[arg(long)]
    udp_echo: Option<u16>,
}

/// Runs `penstock lab`. `json`: what is shown is shown as JSON.
///
/// Must be called from the program's main thread while it is the only one: some subcommands join namespaces.
///
/// # Errors
/// As the subcommand's.
pub fn run(args: LabArgs, json: bool) -> Result<ExitCode> {
    let program = || std::env::current_exe().context("cannot find this program");
    match args.command {
        LabCommand::Up { parts } => up::up(parts, program()?)?,
        LabCommand::Down { name } => {
            let name = choose(name)?;
            Lab::attach_within(&name, &program()?, UP_PATIENCE)?.down()?;
            println!("lab `{name}` is down");
        }
        LabCommand::Status { name } => {
            return status::status(name.as_ref(), json, &program()?);
        }
        LabCommand::Exec { name, place, command } => {
            let lab = Lab::attach(&choose(name)?, &program()?)?;
            let holder = lab.namespace(&place)?.holder;
            match enter::enter(holder, &command, &environment(&lab, &place)?)? {}
        }
        LabCommand::Capture { name, place, interface, write, rest } => {
            let lab = Lab::attach(&choose(name)?, &program()?)?;
            let namespace = lab.namespace(&place)?;
            let interface =
                interface.unwrap_or_else(|| default_interface(&namespace.kind).to_owned());
            let mut command: Vec<OsString> =
                ["tcpdump", "-n", "-U", "-i", &interface].map(Into::into).into();
            if let Some(file) = write {
                command.extend(["-w".into(), file.into_os_string()]);
            }
            command.extend(rest);
            match enter::enter(namespace.holder, &command, &[])? {}
        }
        LabCommand::Start { name, pod, server } => {
            let lab = Lab::attach(&choose(name)?, &program()?)?;
            let (kind, port) = server.what();
            lab.serve(&pod, kind, port)?;
        }
        LabCommand::Kill { name, process, signal } => {
            Lab::attach(&choose(name)?, &program()?)?.kill(&process, &signal)?;
        }
        LabCommand::Restart { name, process } => {
            Lab::attach(&choose(name)?, &program()?)?.restart(&process)?;
        }
        LabCommand::Connect { server, count, parallel, within } => {
            let within = Duration::from_secs(within);
            let found = connect::connect(&Plan { server, count, parallel, within });
            if json {
                println!("{}", serde_json::to_string_pretty(&found)?);
            } else {
                print!("{found}");
            }
            return Ok(ExitCode::from(u8::from(found.lost + found.broken > 0)));
        }
        LabCommand::Flood { to, from, per_second, tunnel, label } => {
            let tunnel = tunnel.zip(label).map(|(node, label)| Tunnel { node, label });
            flood::flood(&Flood { from, to, per_second, tunnel })?;
        }
        LabCommand::Supervise { parts, tied } => {
            // A terminal's signals are for whoever brought the lab up.
            let _ = nix::unistd::setsid();
            supervise(up::settings(parts, tied)?)?;
        }
        LabCommand::Pause { die_with_parent, sysctls } => {
            die_with_parent.map_or(Ok(()), enter::die_with_parent)?;
            enter::pause(&sysctls)?;
        }
        LabCommand::Enter { die_with_parent, holder, command } => {
            die_with_parent.map_or(Ok(()), enter::die_with_parent)?;
            match enter::enter(holder, &command, &[])? {}
        }
        LabCommand::Serve { pod, server } => match server.what() {
            ("http", port) => serve::http(&pod, port)?,
            (_, port) => serve::udp_echo(port)?,
        },
    }
    Ok(ExitCode::SUCCESS)
}

impl Server {
    fn what(&self) -> (&'static str, u16) {
        match (self.http, self.udp_echo) {
            (Some(port), _) => ("http", port),
            (None, port) => ("udp-echo", port.unwrap_or(7)),
        }
    }
}

fn default_interface(kind: &str) -> &'static str {
    match kind {
        "pod" => "eth0",
        "node" => crate::plumb::VHOST,
        _ => crate::plumb::BRIDGE,
    }
}

/// The lab that is meant: the one named, or the only one that is up or coming up.
fn choose(name: Option<String>) -> Result<String> {
    if let Some(name) = name {
        return Ok(name);
    }
    let mut up = Vec::new();
    for name in paths::list()? {
        if LabPaths::new(&name)?.alive_or_coming_up()? {
            up.push(name);
        }
    }
    match &up[..] {
        [] => bail!("no lab is up (`penstock lab up` starts one)"),
        [only] => Ok(only.clone()),
        several => bail!("several labs are up: choose one by --name: {}", several.join(", ")),
    }
}

/// What a command in a place of a lab finds: the programs beside this one, and by `penstock` the card of the place's node.
fn environment(lab: &Lab, place: &str) -> Result<Vec<(&'static str, OsString)>> {
    let own = std::env::current_exe().context("cannot find this program")?;
    let folders = own.parent().map(Path::to_path_buf).into_iter();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(folders.chain(std::env::split_paths(&path)))
        .context("the search path cannot be extended")?;
    let node = lab.namespace(place)?.node.as_deref().unwrap_or(place);
    let api = lab.state().nodes.get(node).map(|node| ("PENSTOCK_API", node.api.clone().into()));
    Ok(api.into_iter().chain([("PATH", path)]).collect())
}
