//! The process that builds a lab, keeps it and takes it down.
//!
//! It prints progress, then `ready` or `error: ...`, on standard output, which whoever started it reads; then it serves
//! the control socket until it is asked to end, gets SIGTERM or SIGINT, or (when tied) its standard input ends.
//! Everything it made is tied to it, so even `kill -9` leaves only files, which the next `lab` command removes.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;
use penstock_api::server::{Limits, Listener, Server, listen};
use tokio::net::unix::pipe;
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::mpsc;

use crate::control::{self, Order, Request};
use crate::enter::become_root;
use crate::parts::{Parts, Settings, progress};
use crate::paths::LabPaths;
use crate::state::ProcessState;
use crate::topology::Topology;

/// Time that whoever asked for the end may take to read that it is done.
const FAREWELL: Duration = Duration::from_secs(1);

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
    become_root()?;
    // On this thread alone: it is the one that the lab's processes are tied to.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot wait for requests")?;
    let (mut signals, listener) = {
        let _runtime = runtime.enter();
        (Signals::new()?, listen(&paths.control())?)
    };
    let tied = settings.tied;
    let mut parts = Parts::new(settings, paths.clone());
    let result = parts.build().and_then(|()| {
        progress("ready")?;
        runtime.block_on(serve(&mut parts, tied, listener, &mut signals))
    });
    parts.end();
    result
}

/// Signals as they come; those that came during the building included.
struct Signals {
    child: unix::Signal,
    ends: [unix::Signal; 3],
}

impl Signals {
    fn new() -> Result<Self> {
        let of = |kind| unix::signal(kind).context("cannot wait for signals");
        let ends =
            [of(SignalKind::terminate())?, of(SignalKind::interrupt())?, of(SignalKind::hangup())?];
        Ok(Self { child: of(SignalKind::child())?, ends })
    }

    /// Waits for one that ends the lab.
    async fn end(ends: &mut [unix::Signal; 3]) {
        let [terminate, interrupt, hangup] = ends;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// Waits until whoever holds the lab lets go of the standard input.
async fn released(tied: bool) -> Result<()> {
    if !tied {
        return std::future::pending().await;
    }
    let stdin = io::stdin().as_fd().try_clone_to_owned()?;
    let stdin = pipe::Receiver::from_owned_fd(stdin)
        .context("a lab is tied by a pipe, which the standard input is not")?;
    Ok(stdin.readable().await?)
}

/// Serves the control socket until the lab is to end. Carrying a request out blocks; others wait.
async fn serve(
    parts: &mut Parts,
    tied: bool,
    listener: Listener,
    Signals { child, ends }: &mut Signals,
) -> Result<()> {
    let (orders, mut ordered) = mpsc::channel(1);
    let server = Server::new(Limits::default());
    let serving = server.serve(listener, control::router(orders));
    let released = released(tied);
    tokio::pin!(serving, released);
    loop {
        tokio::select! {
            () = &mut serving => bail!("the control socket is not served any more"),
            end = &mut released => return end,
            () = Signals::end(ends) => return Ok(()),
            _ = child.recv() => parts.reap(),
            Some(Order { request, reply }) = ordered.recv() => {
                // What nobody waits for any more is not begun.
                if reply.is_closed() {
                    continue;
                }
                let down = matches!(request, Request::Down);
                if down {
                    parts.end();
                }
                // Whoever asked may have gone meanwhile.
                let _ = reply.send(carry_out(parts, request));
                if down {
                    tokio::select! {
                        () = &mut serving => {}
                        _ = tokio::time::timeout(FAREWELL, server.idle()) => {}
                    }
                    return Ok(());
                }
            }
        }
    }
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
