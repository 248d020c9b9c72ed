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
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use penstock_device::{DeviceError, HeldFds, KernelVfio};
use sd_notify::NotifyState;
use tracing::{info, warn};

use crate::device::{Opener, chain};

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

/// How to reach the device `spec`, and who keeps it; `inherited` is what the service manager handed this process.
///
/// The first attempt to open a function of the kernel's VFIO adopts it if its descriptors were kept, and opens it anew if
/// that fails.
#[must_use]
pub fn opener(spec: String, mut inherited: Vec<(String, OwnedFd)>) -> (Opener, Arc<dyn Keeper>) {
    let bdf = spec.strip_prefix("pci:").unwrap_or_default().to_owned();
    let names = inherited.iter().map(|(name, _)| name.clone()).collect();
    let keeper: Arc<dyn Keeper> = Arc::new(ServiceManager::new(bdf.clone(), names));
    let held = HeldFds::pick(&bdf, &mut inherited);
    let others: Vec<_> = inherited.into_iter().map(|(name, _)| name).collect();
    if !others.is_empty() {
        warn!(?others, "the service manager kept descriptors that are not of {spec}; closed");
        if held.is_none() {
            tell_failure(keeper.forget());
        }
    }
    let (held, shared) = (Mutex::new(held), Arc::clone(&keeper));
    let opener: Opener = Arc::new(move || {
        let held = held.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(held) = held {
            match KernelVfio::adopt(&bdf, held) {
                Ok(function) => {
                    info!("{spec} adopted as the last daemon left it, without a reset");
                    return Ok(Box::new(function));
                }
                Err(error) => give_up_adopting(&spec, &error, shared.as_ref()),
            }
        }
        penstock_device::open(&spec)
    });
    (opener, keeper)
}

fn give_up_adopting(spec: &str, error: &DeviceError, keeper: &dyn Keeper) {
    let why = chain(error);
    warn!("{spec} cannot be adopted as the last daemon left it, opening it anew: {why}");
    tell_failure(keeper.forget());
}

/// Logs what a keeper did not do.
pub(crate) fn tell_failure(result: io::Result<()>) {
    if let Err(error) = result {
        warn!(%error, "the service manager does not keep the card's descriptors as asked; a restart may reset the card");
    }
}
