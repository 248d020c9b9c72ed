//! A running watch of an API server.

use std::time::Duration;

use penstock_model::{Fragment, Object, ObjectId};
use penstock_sources::cluster::{self, Cluster, Kind};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use crate::access::{Access, Connection, chain};
use crate::backoff::Backoff;
use crate::follow::{Heard, follow, silence};

/// Events that wait to be taken; further ones wait at the server.
const QUEUE: usize = 256;

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Longest wait before the second attempt.
    pub first_pause: Duration,
    /// Longest wait before any.
    pub last_pause: Duration,
    /// Who was silent for longer is listed anew.
    pub relist_after: Duration,
    /// A watch ends after so long, and is resumed: whole seconds. A connection of which nobody said that it is gone is noticed
    /// little later than that.
    pub watch: Duration,
    /// How often files are looked at.
    pub files: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(500),
            last_pause: Duration::from_secs(10),
            relist_after: Duration::from_secs(10),
            watch: Duration::from_secs(120),
            files: Duration::from_secs(10),
        }
    }
}

/// A running watch of an API server. Dropping it ends the watch and closes the channel.
#[derive(Debug)]
pub struct Watch {
    fragments: watch::Receiver<Fragment>,
    task: JoinHandle<()>,
}

impl Watch {
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

/// Watches an API server, on the current tokio runtime. `node` is the source that says which node this is: its pods, and its
/// zone, are asked for by that name, so nothing is asked before it is known.
#[must_use]
pub fn watch(access: Access, node: watch::Receiver<Fragment>, timing: Timing) -> Watch {
    let (sender, fragments) = watch::channel(Fragment::empty(cluster::SOURCE));
    let cluster = Cluster::new(access.to_string());
    let task = tokio::spawn(Follower { access, timing, cluster, sender }.run(node));
    Watch { fragments, task }
}

struct Follower {
    access: Access,
    timing: Timing,
    cluster: Cluster,
    sender: watch::Sender<Fragment>,
}

/// The tasks that follow the kinds by one client.
struct Session {
    heard: mpsc::Receiver<(Kind, Heard)>,
    /// What the files held of which the client was made.
    stamp: u64,
    /// Dropping it ends them.
    tasks: JoinSet<()>,
}

impl Follower {
    async fn run(mut self, mut node: watch::Receiver<Fragment>) {
        let mut pauses = Backoff::new(self.timing.first_pause, self.timing.last_pause);
        let mut files = interval(self.timing.files);
        files.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while let Some(name) = name(&mut node).await {
            let mut session = match self.connect(&name).await {
                Ok(session) => session,
                Err(why) => {
                    for kind in Kind::ALL {
                        self.cluster.trouble(kind, why.clone());
                    }
                    self.publish();
                    tokio::time::sleep(pauses.next().unwrap_or(self.timing.last_pause)).await;
                    continue;
                }
            };
            pauses = Backoff::new(self.timing.first_pause, self.timing.last_pause);
            loop {
                tokio::select! {
                    heard = session.heard.recv() => {
                        let Some(heard) = heard else { return };
                        self.take(heard);
                        while let Ok(heard) = session.heard.try_recv() {
                            self.take(heard);
                        }
                        self.publish();
                    }
                    // A task ends only if it panics: a defect, of which the channel's end tells.
                    _ = session.tasks.join_next() => return,
                    changed = node.changed() => match changed {
                        Err(_) => return,
                        Ok(()) if known(&node).as_ref() == Some(&name) => {}
                        Ok(()) => break,
                    },
                    _ = files.tick() => {
                        let access = self.access.clone();
                        let stamp = tokio::task::spawn_blocking(move || access.stamp()).await;
                        if stamp.is_ok_and(|stamp| stamp != session.stamp)
                            && let Some(another) = self.replace(&name).await
                        {
                            session = another;
                        }
                    }
                }
            }
        }
    }

    /// Begins anew with what the files hold now, if that makes a client; else goes on with what they held.
    async fn replace(&self, name: &str) -> Option<Session> {
        match self.connect(name).await {
            Ok(session) => {
                tracing::info!(access = %self.access, "the files changed: the API server is asked anew");
                Some(session)
            }
            Err(why) => {
                tracing::warn!(access = %self.access, "{why}; what they held before is used");
                None
            }
        }
    }

    async fn connect(&self, node: &str) -> Result<Session, String> {
        let connected = self.access.connect(silence(self.timing)).await;
        let Connection { client, stamp } = connected.map_err(|error| chain(&error))?;
        let (tell, heard) = mpsc::channel(QUEUE);
        let mut tasks = JoinSet::new();
        for kind in Kind::ALL {
            tasks.spawn(follow(kind, client.clone(), node.to_owned(), self.timing, tell.clone()));
        }
        Ok(Session { heard, stamp, tasks })
    }

    fn take(&mut self, (kind, heard): (Kind, Heard)) {
        let cluster = &mut self.cluster;
        match heard {
            Heard::Begin => cluster.begin(kind),
            Heard::List(document) => cluster.list(kind, document),
            Heard::End => cluster.end(kind),
            Heard::Put(document) => cluster.put(kind, document),
            Heard::Remove(document) => cluster.remove(kind, &document),
            Heard::Answer => cluster.answered(kind),
            Heard::Trouble(why) => cluster.trouble(kind, why),
        }
    }

    /// Publishes what there is to say, if it is news.
    fn publish(&mut self) {
        penstock_sources::publish(&self.sender, self.cluster.fragment());
    }
}

/// The name of the node, once it is known; none if nobody will say it.
async fn name(node: &mut watch::Receiver<Fragment>) -> Option<String> {
    loop {
        node.borrow_and_update();
        if let Some(name) = known(node) {
            return Some(name);
        }
        node.changed().await.ok()?;
    }
}

fn known(node: &watch::Receiver<Fragment>) -> Option<String> {
    match node.borrow().objects.get(&ObjectId::Node)? {
        Object::Node(node) => Some(node.name.clone()),
        _ => None,
    }
}
