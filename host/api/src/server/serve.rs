//! Clients of a socket, and how much they may take.
//!
//! A client costs a task and at most one request at a time; there are [`Limits`] to how many there are, and to how long one
//! may be silent or leave its answer unread. The router is called for a request when all of it is there, and is dropped
//! where it stands when its client goes.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tower_service::Service as _;
use tracing::{debug, info, warn};

use super::peer::{Peer, Writers};
use super::problem::Problem;
use super::socket::Listener;

/// Longest head of a request, and longest body, in bytes.
const REQUEST_MAX_BYTES: usize = 64 * 1024;
/// Pause between two looks whether a client that waits for its answer is still there.
const LOOK: Duration = Duration::from_millis(20);
/// How long a client too many may take to ask and to read why it is not served.
const REFUSAL: Duration = Duration::from_secs(1);

type BoxError = Box<dyn Error + Send + Sync>;

/// How much clients may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Clients at a time. As many again are told that they are too many; others find the connection closed.
    pub clients: usize,
    /// How long a client may take to send the head of a request, the first included; to send its body; and how long it may
    /// read nothing of its answer.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { clients: 64, idle: Duration::from_secs(60) }
    }
}

/// Serves clients; clones share the places.
#[derive(Clone, Debug)]
pub struct Server {
    limits: Limits,
    writers: Writers,
    places: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
}

impl Server {
    /// A server with these limits and no client.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let places = || Arc::new(Semaphore::new(limits.clients));
        Self { limits, writers: Writers::default(), places: places(), refusals: places() }
    }

    /// Clients that are being served now.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.limits.clients - self.places.available_permits()
    }

    /// Waits until no client is being served.
    pub async fn idle(&self) {
        let all = u32::try_from(self.limits.clients).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        let _places = self.places.acquire_many(all).await.ok();
    }

    /// Serves requests until the task is dropped.
    pub async fn serve(&self, listener: Listener, router: Router) {
        let router = router.fallback(unknown_resource).method_not_allowed_fallback(unknown_method);
        let clients = self.limits.clients;
        let full = Router::new().fallback(async move || {
            let why =
                format!("the daemon serves {clients} clients already; try again when one has gone");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)
        });
        let mut tasks = JoinSet::new();
        loop {
            let stream = match listener.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "cannot accept a client");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            // Those that have ended need no more room.
            while tasks.try_join_next().is_some() {}
            let (place, router, idle, stays) =
                if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
                    (place, router.clone(), self.limits.idle, true)
                } else if let Ok(place) = Arc::clone(&self.refusals).try_acquire_owned() {
                    (place, full.clone(), REFUSAL, false)
                } else {
                    continue;
                };
            let conversation = Conversation { router, writers: self.writers, idle, stays };
            tasks.spawn(async move {
                if let Err(error) = conversation.with(stream).await {
                    debug!(error, "a client went away");
                }
                drop(place);
            });
        }
    }
}

async fn unknown_resource(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is no resource {}", uri.path()))
}

async fn unknown_method(method: Method, uri: Uri) -> Problem {
    let why = format!("{} does not take {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, why)
}

/// What a client gets.
#[derive(Clone)]
struct Conversation {
    router: Router,
    writers: Writers,
    idle: Duration,
    /// It may ask more than once.
    stays: bool,
}

impl Conversation {
    async fn with(self, stream: UnixStream) -> Result<(), BoxError> {
        let peer = Peer::of(&stream)?;
        // The connection owns the stream; this only looks at it.
        let seen = Arc::new(stream.as_fd().try_clone_to_owned()?);
        let (idle, stays) = (self.idle, self.stays);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(idle));
        let service = service_fn(move |request| {
            let (this, seen) = (self.clone(), Arc::clone(&seen));
            async move {
                tokio::select! {
                    biased;
                    () = gone(&seen) => Err(io::Error::from(io::ErrorKind::BrokenPipe)),
                    response = this.answer(peer, request) => Ok(response),
                }
            }
        });
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(idle)
            .max_header_size(REQUEST_MAX_BYTES)
            // A client that has nothing more to say may still listen.
            .half_close(true)
            .keep_alive(stays)
            .serve_connection(TokioIo::new(Box::pin(stream)), service)
            .await
            .map_err(Into::into)
    }

    async fn answer(mut self, peer: Peer, request: Request<Incoming>) -> Response {
        let (mut parts, body) = request.into_parts();
        let is_write = !parts.method.is_safe();
        let asked = format!("{} {}", parts.method, parts.uri.path());
        if !self.writers.allow(peer, &parts.method) {
            warn!(%peer, "refused: {asked}");
            let why = format!("only root and the daemon's own user may {}", parts.method);
            return Problem::new(StatusCode::FORBIDDEN, why).into_response();
        }
        let body = match timeout(self.idle, Limited::new(body, REQUEST_MAX_BYTES).collect()).await {
            Ok(Ok(body)) => Body::from(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                let why = format!("a request has {REQUEST_MAX_BYTES} bytes at most");
                return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, why).into_response();
            }
            Ok(Err(error)) => {
                let why = format!("the request is cut: {error}");
                return Problem::new(StatusCode::BAD_REQUEST, why).into_response();
            }
            Err(_) => {
                let why = "the request was not complete in time";
                return Problem::new(StatusCode::REQUEST_TIMEOUT, why).into_response();
            }
        };
        parts.extensions.insert(peer);
        let answered: Result<Response, Infallible> =
            self.router.call(Request::from_parts(parts, body)).await;
        let Ok(response) = answered;
        if is_write {
            info!(%peer, status = response.status().as_u16(), "{asked}");
        }
        response
    }
}

/// Waits until the client can no longer read an answer. One that only has nothing more to say is still there, and whether it
/// has sent something does not matter: neither shows in the readiness that the runtime waits for, so this looks.
async fn gone(stream: &OwnedFd) {
    loop {
        let mut fds = [PollFd::new(stream.as_fd(), PollFlags::empty())];
        let hung_up = PollFlags::POLLHUP | PollFlags::POLLERR;
        if poll(&mut fds, PollTimeout::ZERO).is_ok()
            && fds[0].revents().is_some_and(|events| events.intersects(hung_up))
        {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
