//! Follows the objects of one kind for as long as it is let, whatever happens to the connection.
//!
//! The client's watcher lists them and watches from there on, and resumes a watch that broke off where it was. What is added
//! here:
//!
//! * It says when the server answers again, so that nobody is taken for silent for want of news.
//! * A server that was away for long may have come back as another one, from a backup say, with other numbers for versions: a
//!   watch that would be resumed then lists anew instead. The same if it says in its answer that it does not know the version.
//! * Attempts wait ever longer, each node for itself ([`Backoff`]).

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use kube::api::Api;
use kube::client::{Body, ClientBuilder};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::utils::Backoff as _;
use kube::runtime::watcher::{self, Event};
use kube::{Client, Error as ClientError};
use penstock_sources::cluster::{Document, Kind};
use tokio::sync::{Notify, mpsc};

use crate::access::chain;
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
    let answered = Arc::new(Notify::new());
    let api: Api<Told> = Api::all_with(telling(client, &answered), &resource(kind));
    let config = config(kind, &node, timing);
    let mut pauses = Backoff::new(timing.first_pause, timing.last_pause);
    loop {
        let begun = Instant::now();
        let pause = Backoff::new(timing.first_pause, timing.last_pause);
        let events = pin!(watcher::watcher(api.clone(), config.clone()).backoff(pause));
        if follow_once(kind, events, &answered, timing, &tell).await.is_none() {
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
    answered: &Notify,
    timing: Timing,
    tell: &mpsc::Sender<(Kind, Heard)>,
) -> Option<()> {
    let mut silent_since: Option<Instant> = None;
    loop {
        let heard = tokio::select! {
            // An answer comes before what it leads to.
            biased;
            () = answered.notified() => match silent_since.take() {
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
        tell.send((kind, heard)).await.ok()?;
    }
}

/// The same client, which says when the server has answered well.
fn telling(client: Client, answered: &Arc<Notify>) -> Client {
    let namespace = client.default_namespace().to_owned();
    let answered = Arc::clone(answered);
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let (client, answered) = (client.clone(), Arc::clone(&answered));
        async move {
            let response = client.send(request).await?;
            if response.status().is_success() {
                answered.notify_one();
            }
            Ok::<_, ClientError>(response)
        }
    });
    ClientBuilder::new(service, namespace).build()
}

/// Which objects of a kind are asked for. Slices of headless services are many, and of no use.
fn config(kind: Kind, node: &str, timing: Timing) -> watcher::Config {
    let seconds = timing.watch.as_secs().try_into().unwrap_or(u32::MAX);
    let config = watcher::Config::default().timeout(seconds);
    match kind {
        Kind::Service => config,
        Kind::Slice => config.labels("!service.kubernetes.io/headless"),
        Kind::Pod => config.fields(&format!("spec.nodeName={node}")),
        Kind::Node => config.fields(&format!("metadata.name={node}")),
    }
}

/// How long a server may say nothing at all: it ends a watch sooner, and tells of the versions each minute or so.
pub(crate) fn silence(timing: Timing) -> Duration {
    timing.watch + Duration::from_secs(10)
}
