//! Follows the node file and the manifests.
//!
//! Files are looked at every few seconds, and each time the kernel says that something changed (inotify): events only
//! make it quicker. They do not tell of everything, of a link above the directory that leads elsewhere for example, and a
//! kernel may have none to give. What changed does not matter, a look tells that.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use inotify::{EventStream, Inotify, WatchMask};
use penstock_model::Snapshot;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::follow::{Follower, POLL};
use crate::store::Reading;
use crate::{Paths, SourceError};

/// Events that follow one another are taken together.
const GATHER: Duration = Duration::from_millis(50);

/// What a source last found.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// What is in force: of each file what it said when it was last good. None until there is something to go by; the card
    /// is not to be touched before.
    pub snapshot: Option<Arc<Snapshot>>,
    /// What is wrong with the files as they are now, and what is in force instead.
    pub error: Option<Arc<SourceError>>,
}

/// A running watch. Dropping it ends the watch and closes the channel.
#[derive(Debug)]
pub struct Watch {
    states: watch::Receiver<State>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Starts to follow the files, on the current tokio runtime. They are read for the first time when they have been left
    /// alone for a moment.
    #[must_use]
    pub fn start(paths: Paths) -> Self {
        let (sender, states) = watch::channel(State::default());
        let events = Events::new(&paths);
        let task = tokio::spawn(run(paths, events, sender));
        Self { states, task }
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

async fn run(paths: Paths, mut events: Events, sender: watch::Sender<State>) {
    let mut follower = Follower::new(paths);
    while !sender.is_closed() {
        events.follow();
        let now = Instant::now().into_std();
        let stepped = tokio::task::spawn_blocking(move || {
            let step = follower.step(now);
            (follower, step)
        });
        let Ok((back, step)) = stepped.await else { return };
        follower = back;
        if let Some(reading) = step.reading {
            publish(&sender, reading);
        }
        tokio::select! {
            () = events.next() => {}
            () = sleep_until(step.next.into()) => {}
        }
    }
}

/// Publishes what a read gave, if it is news.
fn publish(sender: &watch::Sender<State>, reading: Reading) {
    let Reading { snapshot, mut faults, instead, .. } = reading;
    faults.extend(instead);
    let error = (!faults.is_empty()).then_some(SourceError::Faults(faults));
    sender.send_if_modified(|state| {
        let text = |error: Option<&SourceError>| error.map(ToString::to_string);
        let changed = state.snapshot.as_deref() != snapshot.as_ref();
        let other_error = text(state.error.as_deref()) != text(error.as_ref());
        if changed {
            state.snapshot = snapshot.map(Arc::new);
        }
        if other_error {
            if let Some(error) = &error {
                tracing::warn!(%error, "not all files can be taken as they are");
            }
            state.error = error.map(Arc::new);
        }
        changed || other_error
    });
}

/// The kernel's queue of file events, as long as there is one. The directories are watched rather than the files, so that
/// a file replaced by renaming, as editors and volume mounts do, is noticed.
struct Events {
    stream: Option<EventStream<[u8; 4096]>>,
    /// The directories in which the files lie, and the one in which the directory of manifests lies.
    directories: [PathBuf; 3],
    /// Whether it was said that there are no events.
    told: bool,
}

impl Events {
    fn new(paths: &Paths) -> Self {
        let directories =
            [parent(&paths.node), parent(&paths.manifests), &paths.manifests].map(Path::to_owned);
        let mut events = Self { stream: None, directories, told: false };
        match Inotify::init().and_then(|inotify| inotify.into_event_stream([0; 4096])) {
            Ok(stream) => events.stream = Some(stream),
            Err(error) => events.tell(&error),
        }
        events
    }

    /// Says once that changes are noticed later than they could be.
    fn tell(&mut self, error: &std::io::Error) {
        if !self.told {
            let seconds = POLL.as_secs();
            tracing::warn!(%error, "not all file events can be had; files are looked at every {seconds} s");
            self.told = true;
        }
    }

    /// Watches the directories, anew before each look, as others may have taken their places. One that is not there is
    /// passed over: reading says so better.
    fn follow(&mut self) {
        let changed = WatchMask::CREATE
            | WatchMask::CLOSE_WRITE
            | WatchMask::MOVE
            | WatchMask::DELETE
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF;
        let Some(stream) = &self.stream else { return };
        let mut watches = stream.watches();
        let failed = self.directories.iter().filter_map(|path| watches.add(path, changed).err());
        let failed: Vec<_> =
            failed.filter(|error| error.kind() != std::io::ErrorKind::NotFound).collect();
        if let Some(error) = failed.first() {
            self.tell(error);
        }
    }

    /// Waits for events and takes them; for ever if there are none.
    async fn next(&mut self) {
        let Some(stream) = &mut self.stream else { return std::future::pending().await };
        let mut found = stream.next().await;
        tokio::time::sleep(GATHER).await;
        while let Some(Ok(_)) = found {
            match stream.next().now_or_never() {
                Some(next) => found = next,
                None => return,
            }
        }
        let error = match found {
            Some(Err(error)) => error,
            _ => std::io::ErrorKind::UnexpectedEof.into(),
        };
        self.stream = None;
        self.tell(&error);
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Time passes as fast as there is nothing to do.
    #[tokio::test(start_paused = true)]
    async fn without_events_files_are_looked_at() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths {
            node: directory.path().join("node.yaml"),
            manifests: directory.path().join("manifests"),
        };
        std::fs::create_dir(&paths.manifests).unwrap();
        let none = "apiVersion: v1\nkind: List\nitems: []\n";
        std::fs::write(paths.manifests.join("none.yaml"), none).unwrap();
        let (sender, mut states) = watch::channel(State::default());
        let mut events = Events::new(&paths);
        events.stream = None;
        let task = tokio::spawn(run(paths.clone(), events, sender));
        states.wait_for(|state| state.error.is_some()).await.unwrap();
        assert!(states.borrow().snapshot.is_none());
        let node =
            "name: na\nfabric: { address: 192.0.2.1/24, mac: \"02:00:c0:00:02:01\" }\nvrfs: []\n";
        std::fs::write(&paths.node, node).unwrap();
        states.wait_for(|state| state.error.is_none() && state.snapshot.is_some()).await.unwrap();
        task.abort();
    }
}
