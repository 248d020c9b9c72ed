//! Follows the objects of one kind for as long as it is let, whatever happens to the connection.
//!
//! The client's watcher lists them and watches from there on, and resumes a watch that broke off where it was. What is added
//! here:
//!
//! * It says when the server answers again, so that nobody is taken for silent for want of news.
//! * A server that was away for long may have come back as another one, from a backup say, with other numbers for versions: a
//!   watch that would be resumed then lists anew instead. The same if it says in its answer that it does not know the version,
//!   and if it was taken for gone because it said nothing ([`ask`](crate::ask)).
//! * Attempts wait ever longer, each node for itself ([`Backoff`]).

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt as _;
use kube::api::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::utils::Backoff as _;
use kube::runtime::watcher::{self, Event};
use kube::{Client, Error as ClientError};
use penstock_sources::cluster::{Document, Kind};
use tokio::sync::mpsc;

use crate::access::chain;
use crate::ask::{Signs, asking};
use crate::backoff::Backoff;
use crate::object::{Told, resource};
use crate::watch::Timing;

/// A version that a server does not know any more (HTTP 410).
const GONE: u16 = 410;

/// What is heard of a kind.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A list begins.
    Begin,
    /// An object of the list.
    List(Document),
    /// The list is complete.
    End,
    /// An object is new or other than before.
    Put(Document),
    /// An object is gone.
    Remove(Document),
    /// The server answers.
    Answer,
    /// It does not, or not as it should.
    Trouble(String),
}

/// Follows a kind until the other end of `tell` is gone. `node` is the node that this is.
pub(crate) async fn follow(
    kind: Kind,
    client: Client,
    node: String,
    timing: Timing,
    tell: mpsc::Sender<(Kind, Heard)>,
) {
    let signs = Arc::new(Signs::default());
    let api: Api<Told> = Api::all_with(asking(client, timing, &signs), &resource(kind));
    let config = config(kind, &node, timing);
    let mut pauses = Backoff::new(timing.first_pause, timing.last_pause);
    loop {
        let begun = Instant::now();
        let pause = Backoff::new(timing.first_pause, timing.last_pause);
        let events = pin!(watcher::watcher(api.clone(), config.clone()).backoff(pause));
        if follow_once(kind, events, &signs, timing, &tell).await.is_none() {
            return;
        }
        if begun.elapsed() > timing.last_pause * 4 {
            pauses.reset();
        }
        tokio::time::sleep(pauses.next().unwrap_or(timing.last_pause)).await;
    }
}

/// Follows a kind until it has to be listed anew; none if nobody listens.
async fn follow_once(
    kind: Kind,
    mut events: impl futures_util::Stream<Item = watcher::Result<Event<Told>>> + Unpin,
    signs: &Signs,
    timing: Timing,
    tell: &mpsc::Sender<(Kind, Heard)>,
) -> Option<()> {
    let mut silent_since: Option<Instant> = None;
    loop {
        let heard = tokio::select! {
            // An answer comes before what it leads to.
            biased;
            () = signs.answered() => match silent_since.take() {
                Some(since) if since.elapsed() > timing.relist_after => return Some(()),
                Some(_) => Heard::Answer,
                None => continue,
            },
            event = events.next() => match event? {
                Ok(Event::Init) => Heard::Begin,
                Ok(Event::InitApply(object)) => Heard::List(object.document),
                Ok(Event::InitDone) => Heard::End,
                Ok(Event::Apply(object)) => Heard::Put(object.document),
                Ok(Event::Delete(object)) => Heard::Remove(object.document),
                Err(watcher::Error::WatchError(status)) if status.code == GONE => {
                    tracing::debug!(kind = kind.as_str(), "the server has forgotten where we were");
                    continue;
                }
                Err(watcher::Error::WatchStartFailed(ClientError::Api(status)))
                    if status.code == GONE =>
                {
                    return Some(());
                }
                Err(error) => {
                    silent_since.get_or_insert_with(Instant::now);
                    Heard::Trouble(chain(&error))
                }
            },
        };
        let anew = matches!(heard, Heard::Trouble(_)) && signs.was_mute();
        tell.send((kind, heard)).await.ok()?;
        if anew {
            return Some(());
        }
    }
}

/// Which objects of a kind are asked for. Slices of headless services are many, and of no use.
fn config(kind: Kind, node: &str, timing: Timing) -> watcher::Config {
    let seconds = timing.watch.as_secs().try_into().unwrap_or(u32::MAX);
    let config = watcher::Config::default().timeout(seconds);
    match kind {
        Kind::Service | Kind::FloatingIp => config,
        Kind::Slice => config.labels("!service.kubernetes.io/headless"),
        Kind::Pod => config.fields(&format!("spec.nodeName={node}")),
        Kind::Node => config.fields(&format!("metadata.name={node}")),
    }
}
