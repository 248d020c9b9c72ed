//! The client by which a kind is followed: it notices when the server answers, and does not wait for one that says nothing.
//!
//! A connection may be there and carry nothing any more: a firewall has forgotten it, the other machine lost its power. Nobody
//! says so, and all that can be done is not to wait for ever. A request is answered soon, a list comes without long pauses, and
//! a watch ends when it was told to ([`Timing::watch`]); servers also tell of versions each minute. Who says nothing for longer
//! is taken for gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::unfold;
use http::Request;
use http_body_util::{BodyExt as _, StreamBody};
use kube::Client;
use kube::client::{Body, ClientBuilder};
use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::timeout;
use tower::BoxError;

use crate::watch::Timing;

/// How much later than asked a watch may end: less than the client's own patience, which passes over such an end in silence.
const LATE: Duration = Duration::from_secs(3);

/// A server that says nothing.
#[derive(Debug, Error)]
#[error("the server has said nothing for {} s", .0.as_secs_f32())]
struct Mute(Duration);

/// How the server answers.
#[derive(Debug, Default)]
pub(crate) struct Signs {
    answered: Notify,
    mute: AtomicBool,
}

impl Signs {
    /// Waits until it has answered well.
    pub(crate) async fn answered(&self) {
        self.answered.notified().await;
    }

    /// Whether it was taken for gone since this was asked last.
    pub(crate) fn was_mute(&self) -> bool {
        self.mute.swap(false, Ordering::Relaxed)
    }

    fn say_mute(&self, after: Duration) -> BoxError {
        self.mute.store(true, Ordering::Relaxed);
        Mute(after).into()
    }
}

/// The same client, with patience and signs.
pub(crate) fn asking(client: Client, timing: Timing, signs: &Arc<Signs>) -> Client {
    let namespace = client.default_namespace().to_owned();
    let signs = Arc::clone(signs);
    let service = tower::service_fn(move |request: Request<Body>| {
        let (client, signs) = (client.clone(), Arc::clone(&signs));
        async move {
            let pause = if is_watch(&request) { timing.watch + LATE } else { timing.answer };
            let Ok(response) = timeout(timing.answer, client.send(request)).await else {
                return Err(signs.say_mute(timing.answer));
            };
            let response = response?;
            if response.status().is_success() {
                signs.answered.notify_one();
            }
            let parts = |body: Option<Body>| {
                unfold(body, move |body| {
                    let signs = Arc::clone(&signs);
                    async move {
                        let mut body = body?;
                        match timeout(pause, body.frame()).await {
                            Ok(part) => Some((part?.map_err(BoxError::from), Some(body))),
                            Err(_) => Some((Err(signs.say_mute(pause)), None)),
                        }
                    }
                })
            };
            Ok(response.map(|body| StreamBody::new(parts(Some(body)))))
        }
    });
    ClientBuilder::new(service, namespace).build()
}

fn is_watch(request: &Request<Body>) -> bool {
    request.uri().query().is_some_and(|query| query.split('&').any(|part| part == "watch=true"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn watches_are_told_from_lists() {
        let is = |uri: &str| is_watch(&Request::get(uri).body(Body::empty()).unwrap());
        assert!(is("/api/v1/pods?watch=true&timeoutSeconds=120"));
        assert!(is("/api/v1/pods?resourceVersion=5&watch=true"));
        assert!(
            !is("/api/v1/pods?limit=500") && !is("/api/v1/pods") && !is("/?fieldSelector=watch")
        );
    }
}
