//! `card hold`: a service manager for one daemon, as far as a card needs one.
//!
//! It runs the command, keeps the descriptors that the command sends it (systemd's `FDSTORE=1`, see [`store`]), and when the
//! command ends, however that was, starts it again with those descriptors from number 3 up and `LISTEN_PID`, `LISTEN_FDS`
//! and `LISTEN_FDNAMES` in its environment. A command that keeps ending at once is started at growing intervals. SIGTERM,
//! SIGINT and SIGHUP are passed on, and then both end; with this process the descriptors close.

mod store;

use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use command_fds::{CommandFdExt as _, FdMapping};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::process::{Pid, kill_process};

use store::Store;

/// Exit code of a command that cannot be started, as shells have it.
const CANNOT_START: u8 = 127;
/// First descriptor that a service manager hands over.
const FIRST_FD: i32 = 3;
/// First pause before the command is started again; doubles up to [`PAUSE_MAX`] as long as it ends before [`STEADY`].
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest pause before the command is started again.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A command that has run this long did not end at once.
const STEADY: Duration = Duration::from_secs(10);
/// How long the command may take to end when it was asked to.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs `command` until this process is asked to end.
///
/// # Errors
/// The command cannot be started, or there is no socket or process for it.
pub fn hold(socket: Option<PathBuf>, command: &[OsString]) -> Result<ExitCode> {
    let signals =
        [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
    let signals = Signals::block(&signals)?;
    // Removed when this function returns.
    let dir = tempfile::Builder::new()
        .prefix("penstock-hold-")
        .tempdir()
        .context("cannot make a directory for the socket")?;
    let socket = socket.unwrap_or_else(|| dir.path().join("notify"));
    let mut store =
        Store::bind(&socket).with_context(|| format!("cannot listen on {}", socket.display()))?;
    let name = command.first().map(|word| word.to_string_lossy()).unwrap_or_default();
    let mut pause = PAUSE_MIN;
    loop {
        let started = Instant::now();
        let mut child = spawn(command, &socket, &store)
            .with_context(|| format!("cannot start a process for {name}"))?;
        let (status, asked) = attend(&mut child, &mut store, &signals)?;
        // What it sent before it ended.
        store.receive()?;
        if asked {
            return Ok(ExitCode::SUCCESS);
        }
        if status.code() == Some(CANNOT_START.into()) {
            bail!("{name} cannot be started");
        }
        if started.elapsed() >= STEADY {
            pause = PAUSE_MIN;
        }
        eprintln!(
            "penstock card hold: {name} ended ({status}); starting it again in {} ms with {} kept descriptors",
            pause.as_millis(),
            store.kept().len()
        );
        if signals.asked_to_end(pause)? {
            return Ok(ExitCode::SUCCESS);
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Becomes `command`, which is told that the descriptors are for it: a process knows its number only once it runs.
pub fn become_command(command: &[OsString]) -> ExitCode {
    let Some((program, arguments)) = command.split_first() else {
        return ExitCode::from(CANNOT_START);
    };
    // The holder takes signals by a descriptor and blocks them; the command shall have them as usual.
    let unblocked = SigSet::empty().thread_set_mask().map_err(std::io::Error::from);
    let error = unblocked.err().unwrap_or_else(|| {
        Command::new(program)
            .args(arguments)
            .env("LISTEN_PID", std::process::id().to_string())
            .exec()
    });
    eprintln!("penstock card hold: {}: {error}", program.to_string_lossy());
    ExitCode::from(CANNOT_START)
}

fn spawn(command: &[OsString], socket: &Path, store: &Store) -> Result<Child> {
    let mut child = Command::new("/proc/self/exe");
    child.args(["card", "become", "--"]).args(command).env("NOTIFY_SOCKET", socket);
    let names: Vec<&str> = store.kept().iter().map(|kept| kept.name.as_str()).collect();
    if names.is_empty() {
        // Those that this process was started with are not for its child.
        child.env_remove("LISTEN_FDS").env_remove("LISTEN_FDNAMES");
    } else {
        child.env("LISTEN_FDS", names.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
    }
    let copies = store
        .kept()
        .iter()
        .zip(FIRST_FD..)
        .map(|(kept, child_fd)| Ok(FdMapping { parent_fd: kept.fd.try_clone()?, child_fd }));
    child.fd_mappings(copies.collect::<std::io::Result<_>>()?)?;
    Ok(child.spawn()?)
}

/// Serves the child until it ends. Returns how, and whether this process was asked to end.
fn attend(child: &mut Child, store: &mut Store, signals: &Signals) -> Result<(ExitStatus, bool)> {
    let pid = Pid::from_child(child);
    let mut deadline = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((status, deadline.is_some()));
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            child.kill()?;
            return Ok((child.wait()?, true));
        }
        let left = deadline.map(|deadline: Instant| deadline - Instant::now());
        let mut fds = [
            PollFd::new(store.socket(), PollFlags::POLLIN),
            PollFd::new(signals.fd.as_fd(), PollFlags::POLLIN),
        ];
        wait(&mut fds, left)?;
        store.receive()?;
        while let Some(signal) = signals.take()? {
            if signal != Signal::SIGCHLD {
                deadline.get_or_insert(Instant::now() + END_TIMEOUT);
                if let Some(signal) = rustix::process::Signal::from_named_raw(signal as i32) {
                    // A child that has ended is not waited for yet, so the number is still its own.
                    kill_process(pid, signal)?;
                }
            }
        }
    }
}

fn wait(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> Result<()> {
    // Rounded up: a deadline must have passed when the wait for it is over.
    let timeout = timeout.map_or(PollTimeout::NONE, |timeout| {
        let rounded = timeout + Duration::from_millis(1);
        PollTimeout::try_from(rounded).unwrap_or(PollTimeout::MAX)
    });
    match poll(fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno).context("cannot wait for events"),
    }
}

/// Signals as something to wait for.
struct Signals {
    fd: SignalFd,
}

impl Signals {
    fn block(signals: &SigSet) -> Result<Self> {
        signals.thread_block().context("cannot block signals")?;
        let fd = SignalFd::with_flags(signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .context("cannot wait for signals")?;
        Ok(Self { fd })
    }

    fn take(&self) -> Result<Option<Signal>> {
        let info = self.fd.read_signal().context("cannot read a signal")?;
        Ok(info.and_then(|info| Signal::try_from(i32::try_from(info.ssi_signo).ok()?).ok()))
    }

    /// Waits; `true` as soon as this process is asked to end.
    fn asked_to_end(&self, pause: Duration) -> Result<bool> {
        let end = Instant::now() + pause;
        loop {
            while let Some(signal) = self.take()? {
                if signal != Signal::SIGCHLD {
                    return Ok(true);
                }
            }
            let Some(left) = end.checked_duration_since(Instant::now()) else { return Ok(false) };
            wait(&mut [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)], Some(left))?;
        }
    }
}
