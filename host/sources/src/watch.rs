//! Follows the node file and the manifests.
//!
//! Files are looked at every few seconds, and each time the kernel says that something changed (inotify): events only
//! make it quicker. They do not tell of everything, of a link above the directory that leads elsewhere for example, and a
//! kernel may have none to give. What changed does not matter, a look tells that.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use inotify::{EventStream, Inotify, WatchMask};
use penstock_model::Fragment;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::follow::{Follower, POLL, Store};
use crate::look::Place;
use crate::publish::publish;

/// Events that follow one another are taken together.
const GATHER: Duration = Duration::from_millis(50);

/// A running watch of a source's files. Dropping it ends the watch and closes the channel.
#[derive(Debug)]
pub struct Watch {
    fragments: watch::Receiver<Fragment>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Starts to follow files, on the current tokio runtime. They are read for the first time when they have been left alone
    /// for a moment.
    pub(crate) fn start<S: Store>(name: &str, place: Place, store: S) -> Self {
        let (sender, fragments) = watch::channel(Fragment::empty(name));
        let events = Events::new(&place);
        let task = tokio::spawn(run(Follower::new(place, store), events, sender));
        Self { fragments, task }
    }

    /// What the source has to say: the channel holds it, and wakes when it is something else.
    #[must_use]
    pub fn fragments(&self) -> watch::Receiver<Fragment> {
        self.fragments.clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run<S: Store>(
    mut follower: Follower<S>,
    mut events: Events,
    sender: watch::Sender<Fragment>,
) {
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
            publish(&sender, reading.fragment);
        }
        tokio::select! {
            () = events.next() => {}
            () = sleep_until(step.next.into()) => {}
        }
    }
}

/// The kernel's queue of file events, as long as there is one. The directories are watched rather than the files, so that
/// a file replaced by renaming, as editors and volume mounts do, is noticed.
struct Events {
    stream: Option<EventStream<[u8; 4096]>>,
    /// The directory in which the place lies, and the place itself if it is one.
    directories: Vec<PathBuf>,
    /// Whether it was said that there are no events.
    told: bool,
}

impl Events {
    fn new(place: &Place) -> Self {
        let mut directories = vec![parent(place.path()).to_owned()];
        if let Place::Directory(path) = place {
            directories.push(path.clone());
        }
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
    use crate::node_file::NodeStore;

    /// Time passes as fast as there is nothing to do.
    #[tokio::test(start_paused = true)]
    async fn without_events_files_are_looked_at() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.yaml");
        let place = Place::File(path.clone());
        let (sender, mut fragments) = watch::channel(Fragment::empty("node file"));
        let mut events = Events::new(&place);
        events.stream = None;
        let store = NodeStore::new(path.clone());
        let task = tokio::spawn(run(Follower::new(place, store), events, sender));
        fragments.wait_for(|fragment| !fragment.findings.is_empty()).await.unwrap();
        assert!(!fragments.borrow().complete);
        let node =
            "name: na\nfabric: { address: 192.0.2.1/24, mac: \"02:00:c0:00:02:01\" }\nvrfs: []\n";
        std::fs::write(&path, node).unwrap();
        let done = |fragment: &Fragment| fragment.findings.is_empty() && fragment.complete;
        fragments.wait_for(done).await.unwrap();
        task.abort();
    }
}
