//! The process that builds a lab, keeps it and takes it down.
//!
//! It prints progress, then `ready` or `error: ...`, on standard output, which whoever started it reads; then it serves
//! the control socket until it is asked to end, gets SIGTERM or SIGINT, or (when tied) its standard input ends.
//! Everything it made is tied to it, so even `kill -9` leaves only files, which the next `lab` command removes.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::control::{Reply, Request};
use crate::enter::become_root;
use crate::parts::{Parts, Settings, progress};
use crate::paths::LabPaths;
use crate::state::ProcessState;
use crate::topology::Topology;

/// Builds the lab of `settings` and keeps it until its end.
///
/// # Errors
/// The lab cannot be built; what was built of it is gone by then.
pub fn supervise(settings: Settings) -> Result<()> {
    let paths = LabPaths::new(&settings.name)?;
    let Some(lock) = paths.take()? else {
        bail!(
            "a lab called `{}` is up already (`penstock lab down --name {0}` ends it)",
            settings.name
        );
    };
    let result = run(settings, &paths);
    paths.remove()?;
    drop(lock);
    result
}

fn run(settings: Settings, paths: &LabPaths) -> Result<()> {
    let signals =
        SigSet::from_iter([Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]);
    signals.thread_block().context("cannot block signals")?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    become_root()?;
    let tied = settings.tied;
    let mut parts = Parts::new(settings, paths.clone());
    let listener = UnixListener::bind(paths.control()).context("cannot open the control socket")?;
    let result = parts.build().and_then(|()| {
        progress("ready")?;
        serve(&mut parts, tied, &listener, &signals)
    });
    parts.end();
    result
}

/// Serves the control socket until the lab is to end.
fn serve(parts: &mut Parts, tied: bool, listener: &UnixListener, signals: &SignalFd) -> Result<()> {
    let stdin = io::stdin();
    loop {
        let (asked, signalled, released) = {
            let mut waits = vec![
                PollFd::new(listener.as_fd(), PollFlags::POLLIN),
                PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            ];
            if tied {
                waits.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
            }
            match poll(&mut waits, PollTimeout::NONE) {
                Err(nix::errno::Errno::EINTR) => continue,
                other => other?,
            };
            let fired = |n: usize| waits.get(n).and_then(PollFd::any).unwrap_or(false);
            (fired(0), fired(1), fired(2))
        };
        if released {
            return Ok(());
        }
        if signalled && take_signals(parts, signals)? {
            return Ok(());
        }
        if asked {
            let (stream, _) = listener.accept()?;
            if answer(parts, &stream).unwrap_or(false) {
                return Ok(());
            }
        }
    }
}

/// Reaps children; true if the lab is to end.
fn take_signals(parts: &mut Parts, signals: &SignalFd) -> Result<bool> {
    while let Some(info) = signals.read_signal()? {
        if info.ssi_signo != Signal::SIGCHLD as u32 {
            return Ok(true);
        }
    }
    parts.reap();
    Ok(false)
}

/// Serves one request; true if the lab is to end.
fn answer(parts: &mut Parts, stream: &UnixStream) -> Result<bool> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let request: Result<Request> = serde_json::from_str(&line).context("not a request");
    let down = matches!(request, Ok(Request::Down));
    if down {
        parts.end();
    }
    let reply = match request.and_then(|request| carry_out(parts, request)) {
        Ok(processes) => Reply::Ok { processes },
        Err(error) => Reply::Error { message: format!("{error:#}") },
    };
    let mut text = serde_json::to_string(&reply)?;
    text.push('\n');
    (&mut &*stream).write_all(text.as_bytes())?;
    Ok(down)
}

fn carry_out(parts: &mut Parts, request: Request) -> Result<Vec<ProcessState>> {
    match request {
        Request::Status | Request::Down => {}
        Request::Start { name, namespace, argv } => {
            parts.start(&name, &namespace, &argv)?;
        }
        Request::Kill { name, signal } => {
            let signal =
                Signal::from_str(&signal).with_context(|| format!("`{signal}` is not a signal"))?;
            parts.signal(&name, signal)?;
        }
        Request::Restart { name } => parts.restart(&name)?,
    }
    Ok(parts.processes())
}

/// Opens a topology file, or takes the committed one.
///
/// # Errors
/// The file cannot be read or is refused.
pub fn read_topology(file: Option<&PathBuf>) -> Result<Topology> {
    let Some(path) = file else { return Ok(Topology::chapter()?) };
    let text = io::read_to_string(
        File::open(path).with_context(|| format!("cannot open {}", path.display()))?,
    )?;
    Topology::parse(&text).with_context(|| format!("in {}", path.display()))
}
