//! The loop of the program `penstock-card`: runs the card, serves its socket and its ports, and sleeps while it is idle.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::card::{CardError, CardSim};
use crate::server::Server;

/// Cycles between two looks at the descriptors: a fraction of a millisecond, which bounds what a register access waits.
const BURST_CYCLES: u64 = 64;
/// An idle card is woken this often, so that the soft core's timers (heartbeat: 0.1 s) run.
const IDLE_WAKE: Duration = Duration::from_millis(50);

/// Ends [`run`] from another thread.
#[derive(Debug)]
pub struct Stop {
    fd: EventFd,
}

impl Stop {
    /// A switch that is not pulled.
    ///
    /// # Errors
    /// No event descriptor.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self { fd: EventFd::new(EFD_NONBLOCK)? })
    }

    /// Another handle of the same switch.
    ///
    /// # Errors
    /// No descriptor.
    pub fn try_clone(&self) -> std::io::Result<Self> {
        Ok(Self { fd: self.fd.try_clone()? })
    }

    /// Pulls the switch.
    pub fn stop(&self) {
        // A counter at its limit has been pulled often enough.
        let _ = self.fd.write(1);
    }

    fn pulled(&self) -> bool {
        self.fd.read().is_ok()
    }
}

/// Why the loop ended other than by [`Stop`].
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The RTL is broken.
    #[error(transparent)]
    Card(#[from] CardError),
    /// Waiting failed.
    #[error("cannot wait for events")]
    Poll(#[from] nix::errno::Errno),
}

/// Runs `card` until `stop` is pulled. An assertion of the RTL that fails ends it, unless `keep_going`.
///
/// # Errors
/// [`ServiceError`].
pub fn run(
    card: &mut CardSim,
    server: &mut Server,
    stop: &Stop,
    keep_going: bool,
) -> Result<(), ServiceError> {
    loop {
        let received = card.receive();
        let idle = card.run(BURST_CYCLES) && !received;
        if let Err(error) = card.check() {
            if !keep_going {
                return Err(error.into());
            }
            tracing::error!(%error, "going on");
        }
        if wait(card, server, stop, idle)? {
            if stop.pulled() {
                return Ok(());
            }
            server.serve(card);
        }
    }
}

/// Waits for any descriptor, not at all while the card is busy. Says whether one of the server's or the switch is ready.
fn wait(card: &CardSim, server: &Server, stop: &Stop, idle: bool) -> Result<bool, ServiceError> {
    // SAFETY: the descriptor is open as long as `stop`, which outlives this call.
    let stop_fd = unsafe { BorrowedFd::borrow_raw(stop.fd.as_raw_fd()) };
    let mut fds: Vec<PollFd<'_>> = std::iter::once(stop_fd)
        .chain(server.fds())
        .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
        .collect();
    let ours = fds.len();
    let timeout = if idle {
        fds.extend(card.port_fds().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        PollTimeout::try_from(IDLE_WAKE).unwrap_or(PollTimeout::ZERO)
    } else {
        PollTimeout::ZERO
    };
    match poll(&mut fds, timeout) {
        Ok(_) => {}
        Err(nix::errno::Errno::EINTR) => return Ok(false),
        Err(errno) => return Err(errno.into()),
    }
    Ok(fds[..ours].iter().any(|fd| fd.revents().is_some_and(|r| !r.is_empty())))
}
