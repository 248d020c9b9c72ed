//! Keeping the card from being reset while no daemon runs.
//!
//! The kernel resets a VFIO function when the last descriptor of it is closed. A daemon that has attached to one hands copies
//! of its descriptors to a [`Keeper`], the service manager; the next daemon finds them in its environment and adopts the
//! function as it is. As long as a daemon has the card or is down, the keeper has the descriptors; a daemon that gives a card
//! up takes them back, for only then is the function closed, reset, and free to be opened anew.
//!
//! The tables survive the reset as well: a keeper that fails costs an interruption of nothing but the host's own access, so
//! its failures are told and otherwise ignored.

use std::io::{self, PipeReader};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use penstock_device::HeldFds;
use sd_notify::NotifyState;
use tracing::warn;

/// How long the service manager may take to close what it was told to forget.
const FORGET_TIMEOUT: Duration = Duration::from_secs(5);

/// Who keeps descriptors while no daemon runs.
pub trait Keeper: Send + Sync {
    /// Keeps copies of these in place of what was kept.
    ///
    /// # Errors
    /// The keeper cannot be reached.
    fn keep(&self, held: &HeldFds) -> io::Result<()>;

    /// Closes what is kept, before this returns if possible. Nothing happens if nothing is kept.
    ///
    /// # Errors
    /// As [`Keeper::keep`].
    fn forget(&self) -> io::Result<()>;
}

/// The service manager behind `NOTIFY_SOCKET`; without one, nobody.
#[derive(Debug)]
pub struct ServiceManager {
    bdf: String,
    /// Names that it has, as far as known.
    kept: Mutex<Vec<String>>,
}

impl ServiceManager {
    /// The service manager, which keeps what is named `kept` at the moment.
    #[must_use]
    pub fn new(bdf: String, kept: Vec<String>) -> Self {
        Self { bdf, kept: Mutex::new(kept) }
    }
}

impl Keeper for ServiceManager {
    fn keep(&self, held: &HeldFds) -> io::Result<()> {
        self.forget()?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let fds = [held.device.as_fd(), held.container.as_fd()];
        for (name, fd) in HeldFds::names(&self.bdf).into_iter().zip(fds) {
            let state =
                // Neither can be polled, which a service manager would do to see a hang-up.
                [NotifyState::FdStore, NotifyState::FdName(&name), NotifyState::Custom("FDPOLL=0")];
            sd_notify::notify_with_fds(&state, &[fd])?;
            kept.push(name);
        }
        Ok(())
    }

    fn forget(&self) -> io::Result<()> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_empty() {
            return Ok(());
        }
        for name in kept.iter() {
            sd_notify::notify(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)])?;
        }
        kept.clear();
        barrier()
    }
}

/// Waits until the service manager has handled all messages so far: it then closes its copy of a pipe's end.
fn barrier() -> io::Result<()> {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return Ok(());
    }
    let (reader, writer): (PipeReader, _) = io::pipe()?;
    sd_notify::notify_with_fds(&[NotifyState::Custom("BARRIER=1")], &[writer.as_fd()])?;
    drop(writer);
    let mut ends = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
    let timeout = PollTimeout::try_from(FORGET_TIMEOUT).unwrap_or(PollTimeout::MAX);
    match poll(&mut ends, timeout)? {
        0 => Err(io::Error::other(format!("no answer in {} s", FORGET_TIMEOUT.as_secs()))),
        _ => Ok(()),
    }
}

/// Logs what a keeper did not do.
pub(crate) fn tell_failure(result: io::Result<()>) {
    if let Err(error) = result {
        warn!(%error, "the service manager does not keep the card's descriptors as asked; a restart may reset the card");
    }
}
