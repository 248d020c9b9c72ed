//! A running watch of an API server.

use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, pending};
use penstock_model::{Fragment, Object, ObjectId};
use penstock_sources::cluster::{self, Cluster, Kind};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::access::{Access, Connection, chain};
use crate::backoff::Backoff;
use crate::follow::{Heard, follow};

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
    /// Longest wait for the answer to a request, and for the next part of a list.
    pub answer: Duration,
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
            // A server that has too much to do lets a request wait for 15 s.
            answer: Duration::from_secs(30),
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
        while let Some(name) = name(&mut node).await {
            match self.connect(&name).await {
                Ok(session) => {
                    pauses = Backoff::new(self.timing.first_pause, self.timing.last_pause);
                    if self.keep(session, &name, &mut node).await.is_none() {
                        return;
                    }
                }
                Err(why) => {
                    self.trouble(&why);
                    tokio::time::sleep(pauses.next().unwrap_or(self.timing.last_pause)).await;
                }
            }
        }
    }

    /// Takes what a session hears, and of those that follow it as files change, until the node has another name; none if
    /// it is all over.
    async fn keep(
        &mut self,
        mut session: Session,
        name: &str,
        node: &mut watch::Receiver<Fragment>,
    ) -> Option<()> {
        let mut files = interval(self.timing.files);
        files.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The next session, while it is made.
        let mut next: Option<BoxFuture<'_, Result<Session, String>>> = None;
        loop {
            tokio::select! {
                heard = session.heard.recv() => {
                    self.take(heard?);
                    while let Ok(heard) = session.heard.try_recv() {
                        self.take(heard);
                    }
                    self.publish();
                }
                // A task ends only if it panics: a defect, of which the channel's end tells.
                _ = session.tasks.join_next() => return None,
                changed = node.changed() => {
                    changed.ok()?;
                    if known(node).as_deref() != Some(name) {
                        return Some(());
                    }
                }
                made = async {
                    match &mut next {
                        Some(making) => making.await,
                        None => pending().await,
                    }
                } => {
                    next = None;
                    let access = &self.access;
                    match made {
                        Ok(another) => {
                            tracing::info!(%access, "the files changed: the API server is asked anew");
                            session = another;
                        }
                        Err(why) => {
                            tracing::warn!(%access, "{why}; what they held before is used");
                        }
                    }
                }
                _ = files.tick(), if next.is_none() => {
                    let access = self.access.clone();
                    let stamp = tokio::task::spawn_blocking(move || access.stamp()).await;
                    if stamp.is_ok_and(|stamp| stamp != session.stamp) {
                        let making = connect(self.access.clone(), self.timing, name.to_owned());
                        next = Some(making.boxed());
                    }
                }
            }
        }
    }

    /// Begins a session, and says so if that takes long: whoever gives credentials may not answer.
    async fn connect(&mut self, name: &str) -> Result<Session, String> {
        let mut made = pin!(connect(self.access.clone(), self.timing, name.to_owned()));
        loop {
            match timeout(self.timing.answer, &mut made).await {
                Ok(made) => return made,
                Err(_) => self.trouble("the command that gives credentials does not end"),
            }
        }
    }

    /// Nothing is heard of any kind.
    fn trouble(&mut self, why: &str) {
        for kind in Kind::ALL {
            self.cluster.trouble(kind, why);
        }
        self.publish();
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

/// Begins to follow all kinds, with what the files hold now.
async fn connect(access: Access, timing: Timing, node: String) -> Result<Session, String> {
    let Connection { client, stamp } = access.connect().await.map_err(|error| chain(&error))?;
    let (tell, heard) = mpsc::channel(QUEUE);
    let mut tasks = JoinSet::new();
    for kind in Kind::ALL {
        tasks.spawn(follow(kind, client.clone(), node.clone(), timing, tell.clone()));
    }
    Ok(Session { heard, stamp, tasks })
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
