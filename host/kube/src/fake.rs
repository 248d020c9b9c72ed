//! A small API server for tests: lists by pages, watches with bookmarks from a version on, versions that it has forgotten.
//!
//! It knows the resources that the source asks for and is strict about requests: what it does not know (a parameter, a selector,
//! a token) it refuses, as a silent misunderstanding would prove nothing. It is not the real thing: what objects say is not
//! checked, defaults are not filled in, and how the real server divides its work between cache and store is not modelled. It
//! can be made to do what the real one does when it is not well: to end watches, to forget versions, to hold back news, to
//! refuse, to go mute, to go away and to come back as another one.

mod history;
mod serve;
pub mod tls;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use self::history::History;

/// The token that it takes.
const TOKEN: &str = "a-token";

/// How long its end may take.
const END: Duration = Duration::from_secs(5);

/// How a server is mute: its connections stay, and carry nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mute {
    /// It does not answer.
    Requests,
    /// It answers, and stops in the middle of what it has to say.
    Bodies,
}

/// A running server. It has threads of its own, and ends with them.
#[derive(Debug)]
pub struct Fake {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// Without it, it speaks plainly.
    tls: Option<tls::Server>,
    runtime: Option<Runtime>,
}

/// A kind of request: verb and resource.
pub type Request = (&'static str, String);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Wakes watches.
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    history: History,
    token: String,
    /// Watches that were begun in another round are over.
    round: u64,
    mute: Option<Mute>,
    /// How often it went mute: what was begun before it did is never ended.
    mutes: u64,
    /// Resources whose watches deliver nothing for now.
    held: BTreeSet<String>,
    /// Resources of which nothing is told, and the HTTP status that is answered instead.
    refused: Vec<(String, u16)>,
    requests: BTreeSet<Request>,
    lists: u64,
    watches: u64,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fake {
    /// Starts one, without objects, on a free port of this machine.
    ///
    /// # Errors
    /// The operating system refuses the port or the threads.
    pub fn start() -> io::Result<Self> {
        Self::start_with(None)
    }

    /// The same, by TLS; whoever has a certificate of an authority that it knows needs no token.
    ///
    /// # Errors
    /// The operating system refuses the port or the threads.
    pub fn start_tls(tls: tls::Server) -> io::Result<Self> {
        Self::start_with(Some(tls))
    }

    fn start_with(tls: Option<tls::Server>) -> io::Result<Self> {
        let state = State { token: TOKEN.to_owned(), ..State::default() };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: watch::channel(()).0 });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut fake = Self { shared, address, tls, runtime: None };
        fake.come_back()?;
        Ok(fake)
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A kubeconfig for it if it speaks plainly, as long as its token is not changed.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        let (address, token) = (self.address, &self.shared.state().token);
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             clusters: [ {{ name: s, cluster: {{ server: \"http://{address}\" }} }} ]\n\
             users: [ {{ name: u, user: {{ token: {token} }} }} ]\n\
             contexts: [ {{ name: c, context: {{ cluster: s, user: u }} }} ]\n"
        )
    }

    /// From now on only this token is taken.
    pub fn set_token(&self, token: &str) {
        self.change(|state| token.clone_into(&mut state.token));
    }

    /// Creates an object, or replaces it. Its `apiVersion` and `kind` must be known ones.
    ///
    /// # Panics
    /// If it has no name, or is of another kind.
    pub fn put(&self, object: Value) {
        self.change(|state| state.history.put(object));
    }

    /// Deletes the object that has the kind and name of this one; whether there was one.
    pub fn delete(&self, object: &Value) -> bool {
        self.change(|state| state.history.delete(object))
    }

    /// All objects, with kind and version.
    #[must_use]
    pub fn objects(&self) -> Vec<Value> {
        self.shared.state().history.objects()
    }

    /// Ends all watches; they may be resumed.
    pub fn end_watches(&self) {
        self.change(|state| state.round += 1);
    }

    /// Forgets all versions but the present one, and with them what lists were in the middle of.
    pub fn forget(&self) {
        self.change(|state| state.history.forget());
    }

    /// Becomes another server, as one that was restored from a backup: nothing of what it knew is there, and versions begin
    /// anew.
    pub fn become_another(&self) {
        self.change(|state| {
            state.history = History::default();
            state.round += 1;
        });
    }

    /// Delivers no news of a resource (by its plural) until that is taken back.
    pub fn hold(&self, resource: &str, held: bool) {
        self.change(|state| {
            if held {
                state.held.insert(resource.to_owned());
            } else {
                state.held.remove(resource);
            }
        });
    }

    /// Goes mute, or speaks again: to new connections, not to those that it had.
    pub fn set_mute(&self, mute: Option<Mute>) {
        self.change(|state| {
            state.mute = mute;
            state.mutes += u64::from(mute.is_some());
        });
    }

    /// Answers requests about a resource with an HTTP status, until that is taken back.
    pub fn refuse(&self, resource: &str, status: Option<u16>) {
        self.change(|state| {
            state.refused.retain(|(other, _)| other != resource);
            state.refused.extend(status.map(|status| (resource.to_owned(), status)));
        });
    }

    /// What it was asked for so far.
    #[must_use]
    pub fn requests(&self) -> BTreeSet<Request> {
        self.shared.state().requests.clone()
    }

    /// How many lists were begun so far.
    #[must_use]
    pub fn lists(&self) -> u64 {
        self.shared.state().lists
    }

    /// How many watches were begun so far.
    #[must_use]
    pub fn watches(&self) -> u64 {
        self.shared.state().watches
    }

    /// Whether it is there, and has not gone away.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.runtime.is_some()
    }

    /// Goes away, with all its connections.
    pub fn go_away(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // In a thread of its own, as a runtime may not be waited for by a task of another one.
            let end = std::thread::spawn(move || runtime.shutdown_timeout(END));
            let _ = end.join();
        }
    }

    /// Is there again, at the same address.
    ///
    /// # Errors
    /// The operating system refuses the port or the threads.
    pub fn come_back(&mut self) -> io::Result<()> {
        self.go_away();
        let socket = std::net::TcpListener::bind(self.address)?;
        self.address = socket.local_addr()?;
        socket.set_nonblocking(true)?;
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let shared = Arc::clone(&self.shared);
        let tls = self.tls.clone();
        runtime.spawn(async move {
            let door = tls::Door::new(TcpListener::from_std(socket)?, tls);
            let router = serve::router(shared);
            axum::serve(door, router.into_make_service_with_connect_info::<tls::Peer>()).await
        });
        self.runtime = Some(runtime);
        Ok(())
    }

    /// Is another server to TLS, from when it comes back on.
    pub fn set_tls(&mut self, tls: tls::Server) {
        self.tls = Some(tls);
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.shared.state());
        self.shared.changed.send_replace(());
        result
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.go_away();
    }
}
