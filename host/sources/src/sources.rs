//! Sources that are followed, and the intent that they come to.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use penstock_model::{Fragment, Intent, Rules};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{Merger, Paths, SourceStatus, Watch, manifests, node_file};

/// Follows sources, as long as it lives.
///
/// If one of them ends, or this task does, which is a defect, both channels are closed. What was published last holds then,
/// but nobody knows for how long: whoever drives a card should end.
#[derive(Debug)]
pub struct Sources {
    intents: watch::Receiver<Arc<Intent>>,
    status: watch::Receiver<Arc<[SourceStatus]>>,
    task: JoinHandle<()>,
    /// Kept for as long as they are followed.
    _watches: Vec<Watch>,
}

impl Sources {
    /// Follows a node file and a directory of manifests, on the current tokio runtime. What both give is the node file's.
    #[must_use]
    pub fn of_files(paths: &Paths, rules: impl Into<Rules>) -> Self {
        let watches =
            vec![node_file::watch(paths.node.clone()), manifests::watch(paths.manifests.clone())];
        let fragments = watches.iter().map(Watch::fragments).collect();
        Self::run(fragments, watches, rules.into())
    }

    /// Follows sources, on the current tokio runtime. They are in order of precedence: the first wins.
    #[must_use]
    pub fn start(sources: Vec<watch::Receiver<Fragment>>, rules: impl Into<Rules>) -> Self {
        Self::run(sources, Vec::new(), rules.into())
    }

    fn run(sources: Vec<watch::Receiver<Fragment>>, watches: Vec<Watch>, rules: Rules) -> Self {
        let names = sources.iter().map(|source| source.borrow().source.clone()).collect();
        let merger = Merger::new(names, rules);
        let (intents, intent_receiver) = watch::channel(Arc::default());
        let (status, status_receiver) = watch::channel(merger.status().into());
        let task = tokio::spawn(run(sources, merger, intents, status));
        Self { intents: intent_receiver, status: status_receiver, task, _watches: watches }
    }

    /// What is to be done: the channel holds it, and wakes when it is something else. Nothing may be done before it is
    /// [complete](Intent::complete).
    #[must_use]
    pub fn intents(&self) -> watch::Receiver<Arc<Intent>> {
        self.intents.clone()
    }

    /// How the sources are, in order of precedence.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Arc<[SourceStatus]>> {
        self.status.clone()
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    mut sources: Vec<watch::Receiver<Fragment>>,
    mut merger: Merger,
    intents: watch::Sender<Arc<Intent>>,
    status: watch::Sender<Arc<[SourceStatus]>>,
) {
    loop {
        let fragments: Vec<Fragment> =
            sources.iter_mut().map(|source| source.borrow_and_update().clone()).collect();
        // The first merge of many objects takes its time.
        let merged = tokio::task::spawn_blocking(move || {
            let intent = merger.merge(&fragments);
            (merger, intent)
        });
        let Ok((back, intent)) = merged.await else { return };
        merger = back;
        send(&status, merger.status().into());
        let complete = intent.complete && !intents.borrow().complete;
        if send(&intents, Arc::new(intent)) && complete {
            let intent = intents.borrow();
            tracing::info!(load_balancers = intent.balancers.len(), "all sources are complete");
        }
        if !changed(&mut sources).await {
            return;
        }
    }
}

/// Publishes something if it is news.
fn send<T: PartialEq>(sender: &watch::Sender<T>, value: T) -> bool {
    sender.send_if_modified(|before| {
        let news = *before != value;
        if news {
            *before = value;
        }
        news
    })
}

/// Waits until one of the sources says something else; false if one has ended.
async fn changed(sources: &mut [watch::Receiver<Fragment>]) -> bool {
    let mut waits: Vec<Pin<Box<_>>> =
        sources.iter_mut().map(|source| Box::pin(source.changed())).collect();
    poll_fn(|context| {
        for wait in &mut waits {
            if let Poll::Ready(result) = wait.as_mut().poll(context) {
                return Poll::Ready(result.is_ok());
            }
        }
        Poll::Pending
    })
    .await
}
