//! The daemon's socket: JSON lines in, JSON lines out, as `penstock_views::api` says.
//!
//! A client costs a task and at most one request at a time; there are [`Limits`] to how many there are, and to how long one
//! may be silent or leave its answer unread. A request whose client has gone is not run.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use penstock_views::api::{Request, Response, VERSION};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::answer::Answers;
use crate::socket::Listener;

/// Longest request, in bytes.
const REQUEST_MAX_BYTES: u64 = 64 * 1024;
/// Pause between two looks whether a client that waits for its answer is still there.
const LOOK: Duration = Duration::from_millis(20);

/// How much clients may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Clients at a time.
    pub clients: usize,
    /// How long a client may take to send a request, the first included, or to read an answer.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { clients: 64, idle: Duration::from_secs(60) }
    }
}

/// Serves requests until the task is dropped.
pub async fn serve(listener: Listener, answers: Answers, limits: Limits) {
    let places = Arc::new(Semaphore::new(limits.clients));
    serve_at(listener, answers, limits, places).await;
}

async fn serve_at(listener: Listener, answers: Answers, limits: Limits, places: Arc<Semaphore>) {
    let mut clients = JoinSet::new();
    loop {
        match listener.listener.accept().await {
            Ok((stream, _)) => {
                // Those that have ended need no more room.
                while clients.try_join_next().is_some() {}
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    refuse(&stream, limits.clients);
                    continue;
                };
                let answers = answers.clone();
                clients.spawn(async move {
                    if let Err(error) = converse(stream, answers, limits.idle).await {
                        debug!(%error, "a client went away");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, "cannot accept a client");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Tells a client too many why it is not served. A new socket has room for a line; who gets none sees the end all the same.
fn refuse(stream: &UnixStream, clients: usize) {
    let why = format!("the daemon serves {clients} clients already; try again when one has gone");
    if let Ok(mut text) = serde_json::to_string(&Response::<()>::error(why)) {
        text.push('\n');
        let _ = stream.try_write(text.as_bytes());
    }
}

async fn converse(stream: UnixStream, answers: Answers, idle: Duration) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut line = String::new();
        if timeout(idle, (&mut read).take(REQUEST_MAX_BYTES).read_line(&mut line)).await?? == 0 {
            return Ok(());
        }
        let response = match serde_json::from_str::<Request>(&line) {
            Ok(request) if request.version == VERSION => tokio::select! {
                answer = answers.answer(request.op) => match answer {
                    Ok(data) => Response::data(data),
                    Err(error) => Response::error(error),
                },
                () = gone(&write) => return Ok(()),
            },
            Ok(request) => Response::error(format!(
                "protocol version {} is not spoken here, but {VERSION}; update the older of the two programs",
                request.version
            )),
            Err(error) => Response::error(format!("the request is not understood: {error}")),
        };
        let mut text = serde_json::to_string(&response)?;
        text.push('\n');
        timeout(idle, write.write_all(text.as_bytes())).await??;
        if !line.ends_with('\n') {
            return Ok(());
        }
    }
}

/// Waits until the client can no longer read an answer. One that only has nothing more to say is still there, and whether it
/// has sent something does not matter: neither shows in the readiness that the runtime waits for, so this looks.
async fn gone(stream: &OwnedWriteHalf) {
    let stream: &UnixStream = stream.as_ref();
    loop {
        tokio::time::sleep(LOOK).await;
        let mut fds = [PollFd::new(stream.as_fd(), PollFlags::empty())];
        let hung_up = PollFlags::POLLHUP | PollFlags::POLLERR;
        if poll(&mut fds, PollTimeout::ZERO).is_ok()
            && fds[0].revents().is_some_and(|events| events.intersects(hung_up))
        {
            return;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;
    use std::path::PathBuf;
    use std::sync::mpsc;
    use std::time::Instant;

    use penstock_abi::regs;
    use penstock_device::fake::FakeCard;
    use tokio::runtime::Runtime;
    use tokio::sync::watch;

    use super::*;
    use crate::answer::Knowledge;
    use crate::device::Device;
    use crate::keep::ServiceManager;
    use crate::socket::listen;

    struct Bench {
        dir: tempfile::TempDir,
        fake: FakeCard,
        device: Device,
        places: Arc<Semaphore>,
        runtime: Runtime,
    }

    impl Bench {
        fn new(limits: Limits) -> Self {
            let runtime = Runtime::new().unwrap();
            let dir = tempfile::tempdir().unwrap();
            let fake = FakeCard::new();
            let opened = fake.clone();
            let nobody = ServiceManager::new(String::new(), Vec::new());
            let device =
                Device::start(Arc::new(move || Ok(opened.transport())), Arc::new(nobody)).unwrap();
            runtime.block_on(device.attach()).unwrap();
            let places = Arc::new(Semaphore::new(limits.clients));
            let answers = Answers::new(
                device.clone(),
                Knowledge {
                    spec: "fake".to_owned(),
                    node: String::new(),
                    snapshot: watch::channel(None).1,
                    sources: watch::channel(Vec::new()).1,
                    reconcile: watch::channel(Default::default()).1,
                    neighbours: watch::channel(None).1,
                },
            );
            let listener = {
                let _guard = runtime.enter();
                listen(&dir.path().join("api.sock")).unwrap()
            };
            runtime.spawn(serve_at(listener, answers, limits, Arc::clone(&places)));
            Self { dir, fake, device, places, runtime }
        }

        fn api(&self) -> PathBuf {
            self.dir.path().join("api.sock")
        }

        fn client(&self) -> UnixStream {
            let stream = UnixStream::connect(self.api()).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            stream
        }

        fn flows(&self) -> UnixStream {
            let mut stream = self.client();
            stream.write_all(b"{\"version\":1,\"op\":\"flows\"}\n").unwrap();
            stream
        }

        fn wait(&self, what: &str, condition: impl Fn() -> bool) {
            let deadline = Instant::now() + Duration::from_secs(20);
            while !condition() {
                assert!(Instant::now() < deadline, "{what} did not happen");
                std::thread::sleep(Duration::from_millis(1));
            }
        }

        fn commands(&self) -> u32 {
            self.fake.register(regs::CMD_CONSUMER)
        }

        /// Keeps the card's thread busy until the sender is dropped.
        fn occupy(&self) -> mpsc::Sender<()> {
            let (release, wait) = mpsc::channel::<()>();
            let (busy, is_busy) = mpsc::channel();
            let device = self.device.clone();
            self.runtime.spawn(async move {
                let work = move |_: &mut penstock_device::Card| {
                    let _ = busy.send(());
                    let _ = wait.recv();
                    Ok(())
                };
                device.run(work).await
            });
            is_busy.recv().unwrap();
            release
        }
    }

    fn line(stream: UnixStream) -> String {
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line
    }

    #[test]
    fn what_is_asked_for_by_clients_that_hang_up_is_not_read() {
        const CLIENTS: usize = 200;
        let bench = Bench::new(Limits { clients: CLIENTS, ..Limits::default() });
        let before = bench.commands();
        assert!(line(bench.flows()).contains("\"ok\":true"));
        let one_dump = bench.commands() - before;
        assert!(one_dump > 0);
        bench.wait("the end of the first client", || bench.places.available_permits() == CLIENTS);

        let release = bench.occupy();
        let before = bench.commands();
        let clients: Vec<_> = (0..CLIENTS).map(|_| bench.flows()).collect();
        bench.wait("all clients", || bench.places.available_permits() == 0);
        drop(clients);
        bench.wait("all ends", || bench.places.available_permits() == CLIENTS);
        drop(release);
        // Comes behind all that was queued.
        bench.runtime.block_on(bench.device.run(|card| card.status())).unwrap();
        let read = bench.commands() - before;
        assert_eq!(read, 0, "a dump takes {one_dump} commands");
    }

    #[test]
    fn the_daemon_waits_behind_one_dump_however_many_are_asked_for() {
        const CLIENTS: usize = 30;
        let bench = Bench::new(Limits { clients: CLIENTS, ..Limits::default() });
        let before = bench.commands();
        assert!(line(bench.flows()).contains("\"ok\":true"));
        let one_dump = bench.commands() - before;
        bench.wait("the end of the first client", || bench.places.available_permits() == CLIENTS);

        let release = bench.occupy();
        let before = bench.commands();
        let clients: Vec<_> = (0..CLIENTS).map(|_| bench.flows()).collect();
        bench.wait("all clients", || bench.places.available_permits() == 0);
        let fake = bench.fake.clone();
        let mine = bench.runtime.spawn({
            let device = bench.device.clone();
            async move { device.run(move |_| Ok(fake.register(regs::CMD_CONSUMER))).await }
        });
        drop(release);
        let at_my_turn = bench.runtime.block_on(mine).unwrap().unwrap();
        assert!(at_my_turn - before <= 2 * one_dump, "{} commands", at_my_turn - before);
        for client in clients {
            assert!(line(client).contains("\"ok\":true"));
        }
    }

    #[test]
    fn a_client_too_many_is_told() {
        let bench = Bench::new(Limits { clients: 2, ..Limits::default() });
        let kept = [bench.client(), bench.client()];
        bench.wait("both clients", || bench.places.available_permits() == 0);
        let refused = line(bench.client());
        assert!(refused.contains("serves 2 clients already"), "{refused}");
        drop(kept);
        bench.wait("their ends", || bench.places.available_permits() == 2);
        assert!(line(bench.flows()).contains("\"ok\":true"));
    }

    #[test]
    fn a_silent_client_is_sent_away_and_one_that_is_done_talking_is_not() {
        let bench = Bench::new(Limits { clients: 4, idle: Duration::from_millis(50) });
        let mut silent = bench.client();
        assert_eq!(silent.read(&mut [0; 1]).unwrap(), 0, "the end of the connection");
        // A request that is never finished does not keep the place either.
        let mut half = bench.client();
        half.write_all(b"{\"version\":").unwrap();
        assert_eq!(half.read(&mut [0; 1]).unwrap(), 0);
        let release = bench.occupy();
        let asked = bench.flows();
        asked.shutdown(Shutdown::Write).unwrap();
        bench.wait("its place", || bench.places.available_permits() == 3);
        std::thread::sleep(3 * LOOK);
        drop(release);
        assert!(line(asked).contains("\"ok\":true"));
    }
}
