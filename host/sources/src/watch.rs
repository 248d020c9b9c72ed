//! Follows the node file and the manifests.
//!
//! The kernel says that something changed (inotify); what changed does not matter, as everything is read again. Reads
//! wait until the files have been quiet for [`QUIET`], but not longer than [`QUIET_MAX`]. The directories are watched
//! rather than the files, so that a file replaced by renaming, as editors and volume mounts do, is noticed; they are
//! watched anew before each read, so that a directory replaced is noticed too.

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use penstock_model::Snapshot;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{Paths, SourceError, load};

/// Files must have been left alone for this long before they are read.
const QUIET: Duration = Duration::from_millis(30);
/// They are read after this long even so.
const QUIET_MAX: Duration = Duration::from_millis(500);

/// What a source last found.
#[derive(Clone, Debug)]
pub struct State {
    /// The last good snapshot.
    pub snapshot: Arc<Snapshot>,
    /// Why the files as they are now were not taken; none if `snapshot` is what they say.
    pub error: Option<Arc<SourceError>>,
}

/// A running watch. Dropping it ends the watch and closes the channel.
#[derive(Debug)]
pub struct Watch {
    states: watch::Receiver<State>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Loads once and starts to follow the files, on the current tokio runtime.
    ///
    /// # Errors
    /// The first load fails, or the kernel refuses the watch.
    pub fn start(paths: Paths) -> Result<Self, SourceError> {
        let refused = |source| SourceError::Io { path: paths.manifests.clone(), source };
        let events = Events::new().map_err(refused)?;
        events.follow(&paths);
        let snapshot = Arc::new(load(&paths)?);
        let (sender, states) = watch::channel(State { snapshot, error: None });
        let task = tokio::spawn(run(paths, events, sender));
        Ok(Self { states, task })
    }

    /// The channel: holds the current state, wakes on a new one.
    #[must_use]
    pub fn states(&self) -> watch::Receiver<State> {
        self.states.clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The kernel's queue of file events. It reads like a pipe, so tokio waits for it as for one.
struct Events {
    inotify: Inotify,
    queue: pipe::Receiver,
}

impl Events {
    fn new() -> std::io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let queue = inotify.as_fd().try_clone_to_owned()?;
        Ok(Self { inotify, queue: pipe::Receiver::from_owned_fd_unchecked(queue)? })
    }

    /// Watches the directories in which the files lie, and the one in which the directory of manifests lies. One that is
    /// not there is passed over: `load` says so better.
    fn follow(&self, paths: &Paths) {
        let changed = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF;
        let directories = [parent(&paths.node), parent(&paths.manifests), &paths.manifests];
        for directory in directories {
            if let Err(error) = self.inotify.add_watch(directory, changed) {
                tracing::debug!(directory = %directory.display(), %error, "not watched");
            }
        }
    }

    /// Waits for events and takes them. What they say does not matter.
    async fn next(&self) -> std::io::Result<()> {
        let mut events = [0; 4096];
        let mut any = false;
        loop {
            match self.queue.try_read(&mut events) {
                Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => any = true,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && any => {
                    return Ok(());
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    self.queue.readable().await?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

async fn run(paths: Paths, events: Events, sender: watch::Sender<State>) {
    while events.next().await.is_ok() {
        settle(&events).await;
        events.follow(&paths);
        let read = {
            let paths = paths.clone();
            tokio::task::spawn_blocking(move || load(&paths)).await
        };
        let Ok(read) = read else { return };
        publish(&sender, read);
        if sender.is_closed() {
            return;
        }
    }
    tracing::error!("the kernel no longer reports changes of files; restart to follow them again");
}

/// Waits until events cease.
async fn settle(events: &Events) {
    let latest = Instant::now() + QUIET_MAX;
    while let Ok(Ok(Ok(()))) = timeout_at(latest, timeout(QUIET, events.next())).await {}
}

/// Publishes what a read gave, if it is news.
fn publish(sender: &watch::Sender<State>, read: Result<Snapshot, SourceError>) {
    sender.send_if_modified(|state| match read {
        Ok(snapshot) => {
            let news = state.error.is_some() || *state.snapshot != snapshot;
            if news {
                *state = State { snapshot: Arc::new(snapshot), error: None };
            }
            news
        }
        Err(error) => {
            let news = state.error.as_ref().is_none_or(|old| old.to_string() != error.to_string());
            if news {
                tracing::warn!(%error, "manifests refused, the last good ones stay in force");
                state.error = Some(Arc::new(error));
            }
            news
        }
    });
}
