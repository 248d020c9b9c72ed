//! The processes of a lab, as children of its supervisor.
//!
//! Every child is tied to the supervisor by the kernel (`enter --die-with-parent`), so none survives it. Children must
//! be started by the supervisor's main thread: the tie is to the thread that starts them.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::state::ProcessState;

/// How often a condition outside this process is looked at again.
const POLL: Duration = Duration::from_millis(20);

/// This program, to be run again with another subcommand: the running one even if its file is replaced meanwhile.
pub const OWN_PROGRAM: &str = "/proc/self/exe";

/// A command that runs in the namespaces of `holder` and dies with this thread.
#[must_use]
pub fn enter(holder: u32) -> Command {
    let mut command = Command::new(OWN_PROGRAM);
    let parent = std::process::id().to_string();
    command.args(["enter", "--die-with-parent", &parent, "--holder", &holder.to_string(), "--"]);
    command
}

/// A process that does nothing but hold a network namespace.
#[derive(Debug)]
pub struct Holder {
    child: Child,
    hold: ChildStdin,
}

impl Holder {
    /// Starts a holder and waits until its namespace exists.
    ///
    /// # Errors
    /// The namespace cannot be made.
    pub fn start(sysctls: &[String]) -> Result<Self> {
        let parent = std::process::id().to_string();
        let mut command = Command::new(OWN_PROGRAM);
        command.args(["pause", "--die-with-parent", &parent]).args(sysctls);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a holder")?;
        let hold = child.stdin.take().context("a holder has no input")?;
        let output = child.stdout.take().context("a holder has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        if line.trim() != "ready" {
            bail!("a namespace could not be made (see the supervisor's log)");
        }
        Ok(Holder { child, hold })
    }

    /// Process id, by which others reach the namespace.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets go of the namespace; the kernel removes it once nobody else is in it.
    pub fn release(self) {
        let Holder { mut child, hold } = self;
        drop(hold);
        // It can only fail if the child is not ours.
        let _ = child.wait();
    }
}

/// A process with a name and a log, which can be started again.
#[derive(Debug)]
pub struct Process {
    name: String,
    namespace: String,
    holder: u32,
    argv: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
    exit: Option<ExitStatus>,
}

impl Process {
    /// Starts `argv` in the namespace held by `holder`, its output appended to `log`.
    ///
    /// # Errors
    /// The process cannot be started.
    pub fn start(
        name: &str,
        (namespace, holder): (&str, u32),
        argv: &[String],
        log: PathBuf,
    ) -> Result<Self> {
        let mut process = Process {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            holder,
            argv: argv.to_vec(),
            log,
            child: None,
            exit: None,
        };
        process.restart()?;
        Ok(process)
    }

    /// Starts the process again.
    ///
    /// # Errors
    /// It runs, or cannot be started.
    pub fn restart(&mut self) -> Result<()> {
        if self.running() {
            bail!("`{}` runs already", self.name);
        }
        let mut log = open_log(&self.log)?;
        writeln!(log, "--- {}", self.argv.join(" "))?;
        let child = enter(self.holder)
            .args(&self.argv)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start `{}`", self.name))?;
        self.child = Some(child);
        self.exit = None;
        Ok(())
    }

    /// Name of the process.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it runs; notices on the way if it has ended.
    pub fn running(&mut self) -> bool {
        let Some(child) = &mut self.child else { return false };
        match child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) => {
                self.exit = Some(status);
                self.child = None;
                false
            }
            Err(_) => {
                self.child = None;
                false
            }
        }
    }

    /// Sends `signal`; with one that ends processes, waits up to `patience` for the end, then kills.
    ///
    /// # Errors
    /// The process does not run.
    pub fn signal(&mut self, signal: Signal, patience: Duration) -> Result<()> {
        if !self.running() {
            bail!("`{}` does not run", self.name);
        }
        self.send(signal);
        if !matches!(signal, Signal::SIGTERM | Signal::SIGINT | Signal::SIGKILL | Signal::SIGQUIT) {
            return Ok(());
        }
        let deadline = Instant::now() + patience;
        while self.running() {
            if Instant::now() > deadline {
                self.send(Signal::SIGKILL);
            }
            sleep(POLL);
        }
        Ok(())
    }

    fn send(&self, signal: Signal) {
        if let Some(child) = &self.child {
            // An error can only mean that it has just ended.
            let _ = kill(Pid::from_raw(child.id().cast_signed()), signal);
        }
    }

    /// Waits until `done` holds.
    ///
    /// # Errors
    /// The process ends first, or `patience` runs out; the error shows the end of its log.
    pub fn wait_until(
        &mut self,
        what: &str,
        patience: Duration,
        mut done: impl FnMut() -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + patience;
        while !done() {
            if !self.running() {
                let how = self.exit.map_or_else(|| "ended".to_owned(), describe);
                bail!("`{}` {how} before {what}\n{}", self.name, tail(&self.log, 15));
            }
            if Instant::now() > deadline {
                bail!(
                    "`{}`: not {what} after {} s\n{}",
                    self.name,
                    patience.as_secs(),
                    tail(&self.log, 15)
                );
            }
            sleep(POLL);
        }
        Ok(())
    }

    /// Waits until a line of its output equals `line`.
    ///
    /// # Errors
    /// As [`Process::wait_until`].
    pub fn wait_line(&mut self, line: &str, patience: Duration) -> Result<()> {
        let log = self.log.clone();
        self.wait_until(line, patience, || {
            fs::read_to_string(&log).is_ok_and(|text| {
                let latest = text.rfind("--- ").map_or("", |start| &text[start..]);
                latest.lines().any(|found| found.trim() == line)
            })
        })
    }

    /// What others are told about it.
    pub fn state(&mut self) -> ProcessState {
        let running = self.running();
        ProcessState {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            pid: self.child.as_ref().filter(|_| running).map(Child::id),
            exit: self.exit.map(describe),
            log: self.log.clone(),
        }
    }
}

fn open_log(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!(
            "was ended by {}",
            Signal::try_from(signal)
                .map_or_else(|_| format!("signal {signal}"), |signal| signal.to_string())
        ),
        (None, None) => "ended".to_owned(),
    }
}

/// The last lines of a log, each indented, for an error message.
#[must_use]
pub fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    let mut shown = format!("  last lines of {}:", path.display());
    for line in &all[all.len().saturating_sub(lines)..] {
        shown.push_str("\n  | ");
        shown.push_str(line);
    }
    shown
}
