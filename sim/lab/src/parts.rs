//! What a lab consists of while it runs: namespaces, cards, daemons and servers, built, started again and ended in order.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use nix::sys::signal::Signal;

use crate::node_file;
use crate::paths::LabPaths;
use crate::plumb;
use crate::process::{Holder, OWN_PROGRAM, Process};
use crate::state::{LabState, Namespace, NodeState, ProcessState, UNDERLAY};
use crate::topology::{Node, Topology};

/// Time a simulated card may take to be ready.
const CARD_PATIENCE: Duration = Duration::from_secs(60);
/// Time a daemon may take to open its socket.
const DAEMON_PATIENCE: Duration = Duration::from_secs(60);
/// Time a process has between SIGTERM and SIGKILL.
const END_PATIENCE: Duration = Duration::from_secs(3);

/// What a supervisor is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of the lab.
    pub name: String,
    /// What to build.
    pub topology: Topology,
    /// Files of the folder of manifests: name and content.
    pub manifests: Vec<(String, String)>,
    /// The simulated card's program.
    pub card: PathBuf,
    /// Further arguments of the simulated card.
    pub card_arguments: Vec<String>,
    /// The daemon's program; without one the nodes have none.
    pub daemon: Option<PathBuf>,
    /// End when standard input ends.
    pub tied: bool,
}

/// The parts of one lab.
pub(crate) struct Parts {
    settings: Settings,
    paths: LabPaths,
    holders: BTreeMap<String, Holder>,
    processes: Vec<Process>,
}

impl Parts {
    /// None yet.
    pub(crate) fn new(settings: Settings, paths: LabPaths) -> Self {
        Self { settings, paths, holders: BTreeMap::new(), processes: Vec::new() }
    }

    /// Builds all of it, and writes down what it is.
    ///
    /// # Errors
    /// A part cannot be built or does not become ready.
    pub(crate) fn build(&mut self) -> Result<()> {
        let topology = self.settings.topology.clone();
        for (name, text) in &self.settings.manifests {
            let path = self.paths.manifests().join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let names = topology.nodes.iter().map(|node| node.name.clone());
        let pods = topology.pods().map(|(_, pod)| pod.name.clone());
        for name in std::iter::once(UNDERLAY.to_owned()).chain(names).chain(pods) {
            let holder = Holder::start(&plumb::sysctls())?;
            self.holders.insert(name, holder);
        }
        plumb::ip(self.holder(UNDERLAY)?, &plumb::underlay_script(&topology))?;
        for node in &topology.nodes {
            self.start_card(node)?;
        }
        for node in &topology.nodes {
            self.wait_card(&node.name)?;
            self.plumb(node)?;
            progress(&format!(
                "node {} {}: card and {} pods",
                node.name,
                node.address,
                node.pods.len()
            ))?;
        }
        for node in &topology.nodes {
            self.start_daemon(node)?;
        }
        for (_, pod) in topology.pods() {
            for (kind, ports) in [("http", &pod.http), ("udp-echo", &pod.udp_echo)] {
                for port in ports {
                    let argv = [
                        OWN_PROGRAM.to_owned(),
                        "serve".to_owned(),
                        format!("--{kind}"),
                        port.to_string(),
                        "--pod".to_owned(),
                        pod.name.clone(),
                    ];
                    self.start(&format!("{}/{kind}-{port}", pod.name), &pod.name, &argv)?;
                }
            }
        }
        for node in &topology.nodes {
            self.wait_daemon(&node.name)?;
        }
        let state = serde_json::to_string_pretty(&self.state()?)?;
        fs::write(self.paths.state(), state).context("cannot write the lab's state")?;
        Ok(())
    }

    fn holder(&self, namespace: &str) -> Result<u32> {
        let holder = self.holders.get(namespace);
        holder.map(Holder::pid).ok_or_else(|| anyhow!("the lab has no namespace `{namespace}`"))
    }

    /// Starts a process in a namespace.
    ///
    /// # Errors
    /// The name is taken, or the namespace unknown.
    pub(crate) fn start(
        &mut self,
        name: &str,
        namespace: &str,
        argv: &[String],
    ) -> Result<&mut Process> {
        let holder = self.holder(namespace)?;
        if let Some(old) = self.processes.iter_mut().find(|process| process.name() == name)
            && old.running()
        {
            bail!("`{name}` runs already");
        }
        self.processes.retain(|process| process.name() != name);
        let log = self.paths.log(name);
        let process = Process::start(name, (namespace, holder), argv, log)?;
        self.processes.push(process);
        self.process(name)
    }

    pub(crate) fn process(&mut self, name: &str) -> Result<&mut Process> {
        let found = self.processes.iter_mut().find(|process| process.name() == name);
        found.ok_or_else(|| anyhow!("the lab has no process `{name}`"))
    }

    fn card_socket(&self, node: &str) -> PathBuf {
        self.paths.node(node).join("card.sock")
    }

    fn api_socket(&self, node: &str) -> PathBuf {
        self.paths.node(node).join("penstockd.sock")
    }

    fn node_file(&self, node: &str) -> PathBuf {
        self.paths.node(node).join("node.yaml")
    }

    fn start_card(&mut self, node: &Node) -> Result<()> {
        fs::create_dir_all(self.paths.node(&node.name))?;
        let mut argv =
            vec![self.settings.card.to_string_lossy().into_owned(), "--socket".to_owned()];
        argv.push(self.card_socket(&node.name).to_string_lossy().into_owned());
        let fixed =
            [format!("fabric0:0=tap:{}", plumb::FABRIC), format!("vhost0:1=tap:{}", plumb::VHOST)];
        let pods = node
            .pods
            .iter()
            .map(|pod| format!("{}:{}=tap:{}", pod.name, pod.vif, plumb::tap_name(pod)));
        for port in fixed.into_iter().chain(pods) {
            argv.extend(["--port".to_owned(), port]);
        }
        argv.extend(self.settings.card_arguments.iter().cloned());
        self.start(&format!("{}/card", node.name), &node.name, &argv)?;
        Ok(())
    }

    fn wait_card(&mut self, node: &str) -> Result<()> {
        self.process(&format!("{node}/card"))?.wait_line("ready", CARD_PATIENCE)
    }

    /// Moves and configures the interfaces of a card that has just started.
    fn plumb(&self, node: &Node) -> Result<()> {
        let topology = &self.settings.topology;
        let underlay = self.holder(UNDERLAY)?;
        let pods: Vec<_> = node
            .pods
            .iter()
            .map(|pod| Ok((pod, self.holder(&pod.name)?)))
            .collect::<Result<_>>()?;
        let script = plumb::node_script(topology, node, underlay, &pods);
        plumb::ip(self.holder(&node.name)?, &script)?;
        plumb::ip(underlay, &plumb::fabric_script(topology, node))?;
        for (pod, holder) in pods {
            plumb::ip(holder, &plumb::pod_script(&topology.pod_network, pod))?;
        }
        Ok(())
    }

    fn start_daemon(&mut self, node: &Node) -> Result<()> {
        let Some(daemon) = self.settings.daemon.clone() else { return Ok(()) };
        let file = self.node_file(&node.name);
        fs::write(&file, node_file::render(&self.settings.topology, node)?)?;
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let mut argv = vec![
            text(daemon),
            "--node".to_owned(),
            text(file),
            "--manifests".to_owned(),
            text(self.paths.manifests()),
            "--device".to_owned(),
            format!("vfio-user:{}", self.card_socket(&node.name).display()),
            "--api".to_owned(),
            text(self.api_socket(&node.name)),
        ];
        argv.extend(self.settings.topology.daemon_arguments.iter().cloned());
        self.start(&format!("{}/penstockd", node.name), &node.name, &argv)?;
        Ok(())
    }

    fn wait_daemon(&mut self, node: &str) -> Result<()> {
        if self.settings.daemon.is_none() {
            return Ok(());
        }
        let socket = self.api_socket(node);
        let process = self.process(&format!("{node}/penstockd"))?;
        process.wait_until("its socket answers", DAEMON_PATIENCE, || {
            UnixStream::connect(&socket).is_ok()
        })
    }

    fn state(&self) -> Result<LabState> {
        let topology = &self.settings.topology;
        let mut namespaces = BTreeMap::new();
        let mut add =
            |name: &str, kind: &str, address: Option<String>, node: Option<String>| -> Result<()> {
                let holder = self.holder(name)?;
                namespaces.insert(
                    name.to_owned(),
                    Namespace { holder, kind: kind.to_owned(), address, node },
                );
                Ok(())
            };
        add(UNDERLAY, "underlay", None, None)?;
        for node in &topology.nodes {
            add(&node.name, "node", Some(node.address.to_string()), None)?;
        }
        for (node, pod) in topology.pods() {
            add(&pod.name, "pod", Some(pod.address.to_string()), Some(node.name.clone()))?;
        }
        let node_state = |node: &Node| NodeState {
            card: self.card_socket(&node.name),
            api: self.api_socket(&node.name),
            node_file: self.node_file(&node.name),
        };
        Ok(LabState {
            name: self.settings.name.clone(),
            supervisor: std::process::id(),
            manifests: self.paths.manifests(),
            namespaces,
            nodes: topology
                .nodes
                .iter()
                .map(|node| (node.name.clone(), node_state(node)))
                .collect(),
        })
    }

    /// Sends a signal to a process.
    ///
    /// # Errors
    /// There is none of that name that runs.
    pub(crate) fn signal(&mut self, name: &str, signal: Signal) -> Result<()> {
        self.process(name)?.signal(signal, END_PATIENCE)
    }

    /// Takes note of processes that have ended.
    pub(crate) fn reap(&mut self) {
        for process in &mut self.processes {
            process.running();
        }
    }

    /// All processes.
    pub(crate) fn processes(&mut self) -> Vec<ProcessState> {
        self.processes.iter_mut().map(Process::state).collect()
    }

    /// Starts a process again that has ended, and does what its start needs.
    ///
    /// # Errors
    /// It runs, is unknown, or does not become ready.
    pub(crate) fn restart(&mut self, name: &str) -> Result<()> {
        let card = name.strip_suffix("/card").map(ToOwned::to_owned);
        if let Some(node) = &card {
            let _ = fs::remove_file(self.card_socket(node));
        }
        self.process(name)?.restart()?;
        if let Some(node) = card {
            self.wait_card(&node)?;
            let nodes = self.settings.topology.nodes.clone();
            if let Some(node) = nodes.iter().find(|found| found.name == node) {
                self.plumb(node)?;
            }
        }
        if let Some(node) = name.strip_suffix("/penstockd") {
            self.wait_daemon(node)?;
        }
        Ok(())
    }

    /// Ends all processes: daemons and servers by SIGTERM, then the cards, then the namespaces.
    pub(crate) fn end(&mut self) {
        for process in self.processes.iter_mut().rev() {
            if process.running() && !process.name().ends_with("/card") {
                let _ = process.signal(Signal::SIGTERM, END_PATIENCE);
            }
        }
        for process in &mut self.processes {
            if process.running() {
                let _ = process.signal(Signal::SIGTERM, END_PATIENCE);
            }
        }
        self.processes.clear();
        for (_, holder) in std::mem::take(&mut self.holders) {
            holder.release();
        }
    }
}

/// Tells whoever started the supervisor how far it is.
pub(crate) fn progress(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .context("the process that asked for the lab has ended")
}
