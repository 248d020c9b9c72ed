//! The subcommands of `penstock lab`, those for people and, hidden, those that a lab runs itself by.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};

use crate::client::{Lab, UpOptions};
use crate::process::Reexec;
use crate::supervisor::{Settings, read_topology, supervise};
use crate::{enter, paths, serve};

/// Arguments of `penstock lab`.
#[derive(Debug, Args)]
pub struct LabArgs {
    #[command(subcommand)]
    command: LabCommand,
}

/// What to do with a lab.
#[derive(Debug, Subcommand)]
enum LabCommand {
    /// Builds a testbed of namespaces, simulated cards and daemons, and leaves it running.
    #[command(
        after_help = "Example: penstock lab up && penstock lab exec client -- ping -c1 10.47.255.238"
    )]
    Up {
        #[command(flatten)]
        parts: Parts,
    },
    /// Ends a lab and removes all of it.
    Down {
        /// Name of the lab.
        #[arg(long, default_value = "chapter")]
        name: String,
    },
    /// Shows the namespaces, processes and files of a lab, or of all labs that are up.
    Status {
        /// Name of the lab.
        #[arg(long)]
        name: Option<String>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Runs a command in a pod, on a node or in the underlay.
    #[command(after_help = "Example: penstock lab exec client -- curl http://10.105.139.153:8888")]
    Exec {
        /// Name of the lab.
        #[arg(long, default_value = "chapter")]
        name: String,
        /// Pod, node or `underlay`.
        place: String,
        /// Program and arguments.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Captures packets with tcpdump; by default what passes the fabric.
    #[command(after_help = "Example: penstock lab capture -w tunnel.pcap -- udp port 6635")]
    Capture {
        /// Name of the lab.
        #[arg(long, default_value = "chapter")]
        name: String,
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
        /// Name of the lab.
        #[arg(long, default_value = "chapter")]
        name: String,
        /// Pod that serves.
        pod: String,
        #[command(flatten)]
        server: Server,
    },
    /// Sends a signal to a process of the lab, such as `cent222/penstockd`.
    Kill {
        /// Name of the lab.
        #[arg(long, default_value = "chapter")]
        name: String,
        /// Process as `lab status` names it.
        process: String,
        /// Signal.
        #[arg(long, default_value = "SIGTERM")]
        signal: String,
    },
    /// Starts a process of the lab again that has ended.
    Restart {
        /// Name of the lab.
        #[arg(long, default_value = "chapter")]
        name: String,
        /// Process as `lab status` names it.
        process: String,
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
    /// Name of the lab; several may run side by side.
    #[arg(long, default_value = "chapter")]
    name: String,
    /// Topology file; by default the chapter's two nodes.
    #[arg(long)]
    topology: Option<PathBuf>,
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

/// Runs `penstock lab`. `prefix`: the arguments of this program that lead here, `["lab"]`.
///
/// Must be called from the program's main thread while it is the only one: some subcommands join namespaces.
///
/// # Errors
/// As the subcommand's.
pub fn run(args: LabArgs, prefix: &[&str]) -> Result<ExitCode> {
    let program = || -> Result<Vec<PathBuf>> {
        let own = std::env::current_exe().context("cannot find this program")?;
        Ok(std::iter::once(own).chain(prefix.iter().map(Into::into)).collect())
    };
    match args.command {
        LabCommand::Up { parts } => up(parts, program()?)?,
        LabCommand::Down { name } => {
            Lab::attach(&name, &program()?)?.down()?;
            println!("lab `{name}` is down");
        }
        LabCommand::Status { name, json } => return status(name.as_ref(), json, &program()?),
        LabCommand::Exec { name, place, command } => {
            let holder = Lab::attach(&name, &program()?)?.namespace(&place)?.holder;
            match enter::enter(holder, &command)? {}
        }
        LabCommand::Capture { name, place, interface, write, rest } => {
            let lab = Lab::attach(&name, &program()?)?;
            let namespace = lab.namespace(&place)?;
            let interface =
                interface.unwrap_or_else(|| default_interface(&namespace.kind).to_owned());
            let mut command: Vec<OsString> =
                ["tcpdump", "-n", "-U", "-i", &interface].map(Into::into).into();
            if let Some(file) = write {
                command.extend(["-w".into(), file.into_os_string()]);
            }
            command.extend(rest);
            match enter::enter(namespace.holder, &command)? {}
        }
        LabCommand::Start { name, pod, server } => {
            let lab = Lab::attach(&name, &program()?)?;
            let (kind, port) = server.what();
            lab.serve(&pod, kind, port)?;
        }
        LabCommand::Kill { name, process, signal } => {
            Lab::attach(&name, &program()?)?.kill(&process, &signal)?;
        }
        LabCommand::Restart { name, process } => {
            Lab::attach(&name, &program()?)?.restart(&process)?;
        }
        LabCommand::Supervise { parts, tied } => {
            // A terminal's signals are for whoever brought the lab up.
            let _ = nix::unistd::setsid();
            supervise(settings(parts, tied)?, &Reexec::new(prefix))?;
        }
        LabCommand::Pause { die_with_parent, sysctls } => {
            die_with_parent.map_or(Ok(()), enter::die_with_parent)?;
            enter::pause(&sysctls)?;
        }
        LabCommand::Enter { die_with_parent, holder, command } => {
            die_with_parent.map_or(Ok(()), enter::die_with_parent)?;
            match enter::enter(holder, &command)? {}
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

fn up(parts: Parts, program: Vec<PathBuf>) -> Result<()> {
    let options = UpOptions {
        name: parts.name,
        program,
        topology: parts.topology,
        card: parts.card,
        firmware: parts.firmware,
        card_arguments: parts.card_arguments,
        daemon: parts.daemon,
        no_daemon: parts.no_daemon,
        tied: false,
    };
    let lab = Lab::up(&options, |line| println!("{line}"))?;
    println!("lab `{}` is up; manifests go to {}", options.name, lab.state().manifests.display());
    for (node, files) in &lab.state().nodes {
        println!("  on {node}: penstock --api {} flow -l", files.api.display());
    }
    Ok(())
}

fn status(name: Option<&String>, json: bool, program: &[PathBuf]) -> Result<ExitCode> {
    let names = name.map_or_else(paths::list, |name| Ok(vec![name.clone()]))?;
    let mut out = std::io::stdout().lock();
    let mut shown = 0;
    for each in names {
        let Ok(lab) = Lab::attach(&each, program) else { continue };
        shown += 1;
        let processes = lab.processes()?;
        let state = lab.state();
        if json {
            writeln!(out, "{}", serde_json::json!({ "lab": state, "processes": processes }))?;
            continue;
        }
        writeln!(
            out,
            "lab `{each}` (supervisor {}), manifests {}",
            state.supervisor,
            state.manifests.display()
        )?;
        for (name, namespace) in &state.namespaces {
            let address = namespace.address.as_deref().unwrap_or("-");
            let node =
                namespace.node.as_deref().map(|node| format!(" on {node}")).unwrap_or_default();
            writeln!(out, "  {:<8} {name:<28} {address:<16}{node}", namespace.kind)?;
        }
        for process in processes {
            let how = process
                .pid
                .map_or_else(|| process.exit.unwrap_or_default(), |pid| format!("runs as {pid}"));
            writeln!(out, "  process  {:<28} {how:<16} {}", process.name, process.log.display())?;
        }
    }
    if shown == 0 {
        writeln!(out, "no lab is up")?;
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn settings(parts: Parts, tied: bool) -> Result<Settings> {
    let topology = read_topology(parts.topology.as_ref())?;
    let daemon = if parts.no_daemon { None } else { Some(find("penstockd", parts.daemon)?) };
    Ok(Settings {
        name: parts.name,
        topology,
        card: find("penstock-card", parts.card)?,
        card_arguments: firmware(parts.firmware)?.into_iter().chain(parts.card_arguments).collect(),
        daemon,
        tied,
    })
}

/// The cards' arguments for their firmware: as given, else the image built last, else none.
fn firmware(given: Option<PathBuf>) -> Result<Vec<String>> {
    let built = || {
        let own = std::env::current_exe().ok()?;
        let image = own.parent()?.parent()?.join("firmware/penstock-fw.hex");
        image.is_file().then_some(image)
    };
    let Some(image) = given.or_else(built) else { return Ok(Vec::new()) };
    let image =
        std::path::absolute(&image).with_context(|| format!("cannot find {}", image.display()))?;
    Ok(vec!["--firmware".to_owned(), image.to_string_lossy().into_owned()])
}

/// A program: as given, else beside this one, else on the path.
fn find(program: &str, given: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(given) = given {
        return std::path::absolute(&given)
            .with_context(|| format!("cannot find {}", given.display()));
    }
    let beside = std::env::current_exe()
        .ok()
        .and_then(|own| own.parent().map(|folder| folder.join(program)));
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let candidates = beside
        .into_iter()
        .chain(std::env::split_paths(&on_path).map(|folder| folder.join(program)));
    match candidates.into_iter().find(|path| Path::is_file(path)) {
        Some(found) => Ok(found),
        None => bail!(
            "cannot find `{program}` beside this program or on the path (build it: cargo build -p {program})"
        ),
    }
}
