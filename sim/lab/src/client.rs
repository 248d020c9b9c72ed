//! A running lab, as its users see it: bring it up, run commands in it, start and stop its processes.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::control::{self, Request};
use crate::paths::LabPaths;
use crate::process::tail;
use crate::state::{LabState, Namespace, ProcessState};

/// Time a lab may take to end.
const END_PATIENCE: Duration = Duration::from_secs(30);
/// How often a condition outside this process is looked at again.
const POLL: Duration = Duration::from_millis(10);

/// What the daemons find in the lab's folder of manifests when they start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Manifests {
    /// Nothing.
    #[default]
    None,
    /// The chapter's services if the topology is the chapter's, else nothing.
    Chapter,
    /// Copies of the files of a folder.
    Folder(PathBuf),
}

/// How to bring a lab up.
#[derive(Debug, Clone, Default)]
pub struct UpOptions {
    /// Name of the lab.
    pub name: String,
    /// The program with the lab's subcommands, `penstock-lab`.
    pub program: PathBuf,
    /// Topology file; without one, the chapter's.
    pub topology: Option<PathBuf>,
    /// What is in the folder of manifests.
    pub manifests: Manifests,
    /// Simulated card; without one, `penstock-card` beside the program or on the path.
    pub card: Option<PathBuf>,
    /// Firmware image of the cards; without one, the one built last.
    pub firmware: Option<PathBuf>,
    /// Further arguments of the simulated card.
    pub card_arguments: Vec<String>,
    /// Daemon; without one, `penstockd` beside the program or on the path.
    pub daemon: Option<PathBuf>,
    /// Nodes get no daemon.
    pub no_daemon: bool,
    /// The lab ends with this process.
    pub tied: bool,
}

/// A running lab.
#[derive(Debug)]
pub struct Lab {
    paths: LabPaths,
    program: PathBuf,
    state: LabState,
    /// The supervisor, if the lab is tied to this process; its input holds the lab.
    supervisor: Option<Child>,
}

impl Lab {
    /// Brings a lab up and waits until it is ready; `progress` gets a line for each part that is.
    ///
    /// # Errors
    /// A lab of that name is up, or a part of it cannot be built; the error has the supervisor's reason.
    pub fn up(options: &UpOptions, mut progress: impl FnMut(&str)) -> Result<Self> {
        let paths = LabPaths::new(&options.name)?;
        if paths.alive()? {
            bail!(
                "a lab called `{0}` is up already (`penstock lab down --name {0}` ends it)",
                options.name
            );
        }
        let mut command = Command::new(&options.program);
        command.args(["supervise", "--name", &options.name]);
        for (flag, value) in [
            ("--firmware", &options.firmware),
            ("--topology", &options.topology),
            ("--card", &options.card),
            ("--daemon", &options.daemon),
        ] {
            if let Some(value) = value {
                command.arg(flag).arg(value);
            }
        }
        match &options.manifests {
            Manifests::None => {
                command.arg("--no-manifests");
            }
            Manifests::Chapter => {}
            Manifests::Folder(folder) => {
                command.arg("--manifests").arg(folder);
            }
        }
        if options.no_daemon {
            command.arg("--no-daemon");
        }
        if options.tied {
            command.arg("--tied").stdin(Stdio::piped());
        } else {
            command.stdin(Stdio::null());
        }
        command
            .args(options.card_arguments.iter().map(|argument| format!("--card-arg={argument}")));
        let (log, file) = paths.supervisor_log()?;
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .context("cannot start the supervisor")?;
        let output = child.stdout.take().context("the supervisor has no output")?;
        let mut ready = false;
        for line in BufReader::new(output).lines() {
            let line = line?;
            if line == "ready" {
                ready = true;
                break;
            }
            progress(&line);
        }
        if !ready {
            let _ = child.wait();
            let text = fs::read_to_string(&log).unwrap_or_default();
            let _ = fs::remove_file(&log);
            bail!("the lab did not come up: {}", text.trim());
        }
        let _ = fs::remove_file(&log);
        let mut lab = Self::attach(&options.name, &options.program)?;
        lab.supervisor = options.tied.then_some(child);
        Ok(lab)
    }

    /// Finds a lab that is up.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn attach(name: &str, program: &Path) -> Result<Self> {
        let paths = LabPaths::new(name)?;
        if !paths.alive_or_coming_up()? {
            bail!("no lab called `{name}` is up (`penstock lab up --name {name}` starts one)");
        }
        let text = fs::read_to_string(paths.state())
            .with_context(|| format!("the lab `{name}` is still coming up"))?;
        let state = serde_json::from_str(&text).context("the lab's state file is damaged")?;
        Ok(Lab { paths, program: program.to_path_buf(), state, supervisor: None })
    }

    /// As [`Lab::attach`], but waits up to `patience` for a lab that is coming up.
    ///
    /// # Errors
    /// There is none of that name, or it is still coming up.
    pub fn attach_within(name: &str, program: &Path, patience: Duration) -> Result<Self> {
        let paths = LabPaths::new(name)?;
        let deadline = Instant::now() + patience;
        paths.wait_announced(patience)?;
        // Its supervisor may go on alone if whoever started it was ended.
        while paths.alive()? && !paths.state().exists() && Instant::now() < deadline {
            sleep(POLL);
        }
        Self::attach(name, program)
    }

    /// What the lab consists of.
    #[must_use]
    pub fn state(&self) -> &LabState {
        &self.state
    }

    /// A namespace by its name: a pod, a node or `underlay`.
    ///
    /// # Errors
    /// There is none of that name; the error lists those there are.
    pub fn namespace(&self, name: &str) -> Result<&Namespace> {
        self.state.namespaces.get(name).with_context(|| {
            let known: Vec<&str> = self.state.namespaces.keys().map(String::as_str).collect();
            format!("the lab has no `{name}`; it has {}", known.join(", "))
        })
    }

    /// A command that will run `argv` in a namespace.
    ///
    /// # Errors
    /// There is no such namespace.
    pub fn command(&self, namespace: &str, argv: &[&str]) -> Result<Command> {
        let holder = self.namespace(namespace)?.holder.to_string();
        let mut command = Command::new(&self.program);
        command.args(["enter", "--holder", &holder, "--"]).args(argv);
        Ok(command)
    }

    /// Starts a process that lives as long as the lab.
    ///
    /// # Errors
    /// The name is taken, or the namespace unknown.
    pub fn start(&self, name: &str, namespace: &str, argv: &[&str]) -> Result<()> {
        let argv = argv.iter().map(|&argument| argument.to_owned()).collect();
        self.ask(&Request::Start { name: name.to_owned(), namespace: namespace.to_owned(), argv })?;
        Ok(())
    }

    /// Starts one of the lab's own servers in a pod, `kind` being `http` or `udp-echo`, as process `POD/KIND-PORT`.
    ///
    /// # Errors
    /// It runs already, or there is no such pod.
    pub fn serve(&self, pod: &str, kind: &str, port: u16) -> Result<()> {
        let program = fs::canonicalize(&self.program).context("cannot find the lab's program")?;
        let (program, flag) = (program.to_string_lossy(), format!("--{kind}"));
        let argv = [&*program, "serve", &flag, &port.to_string(), "--pod", pod];
        self.start(&format!("{pod}/{kind}-{port}"), pod, &argv)
    }

    /// Sends a signal, such as `SIGKILL`, to a process of the lab.
    ///
    /// # Errors
    /// There is no such process or signal.
    pub fn kill(&self, process: &str, signal: &str) -> Result<()> {
        self.ask(&Request::Kill { name: process.to_owned(), signal: signal.to_owned() })?;
        Ok(())
    }

    /// Starts a process again that has ended. A restarted card's interfaces are put in their places again.
    ///
    /// # Errors
    /// It runs, is unknown, or does not become ready.
    pub fn restart(&self, process: &str) -> Result<()> {
        self.ask(&Request::Restart { name: process.to_owned() })?;
        Ok(())
    }

    /// The processes of the lab.
    ///
    /// # Errors
    /// The supervisor does not answer.
    pub fn processes(&self) -> Result<Vec<ProcessState>> {
        self.ask(&Request::Status)
    }

    /// The last `lines` lines of each process's log, for diagnostics.
    #[must_use]
    pub fn logs(&self, lines: usize) -> String {
        let processes = self.processes().unwrap_or_default();
        let interesting = processes.iter().filter(|process| !process.name.contains("/http-"));
        interesting.map(|process| tail(&process.log, lines) + "\n").collect()
    }

    /// Ends the lab and waits until nothing of it is left.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn down(mut self) -> Result<()> {
        self.ask(&Request::Down)?;
        let deadline = Instant::now() + END_PATIENCE;
        while self.paths.alive()? {
            if Instant::now() > deadline {
                bail!("the lab's supervisor {} does not end", self.state.supervisor);
            }
            sleep(POLL);
        }
        if let Some(mut supervisor) = self.supervisor.take() {
            supervisor.wait()?;
        }
        Ok(())
    }

    fn ask(&self, request: &Request) -> Result<Vec<ProcessState>> {
        control::ask(&self.paths.control(), request)
    }
}

impl Drop for Lab {
    /// Ends a tied lab and waits for its end.
    fn drop(&mut self) {
        if let Some(mut supervisor) = self.supervisor.take() {
            drop(supervisor.stdin.take());
            let _ = supervisor.wait();
        }
    }
}
