use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use axum::Extension;
use axum::routing::{get, post};
use tokio::runtime::Runtime;

use super::*;
use crate::client::ClientError;
use crate::server::socket::listen;
use crate::server::{Body, Path, Query};

const LONG: Duration = Duration::from_secs(20);
/// More than the kernel keeps for a reader that does not read.
const BIG_BYTES: usize = 8 << 20;

/// Handlers of `/slow` that were begun and have not ended.
#[derive(Default)]
struct Slow {
    running: AtomicUsize,
    begun: AtomicUsize,
}

struct Running(Arc<Slow>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Bench {
    dir: tempfile::TempDir,
    server: Server,
    slow: Arc<Slow>,
    /// A permit ends one `/slow`.
    end: Arc<Semaphore>,
    _runtime: Runtime,
}

impl Bench {
    fn new(limits: Limits) -> Self {
        Self::start(Server::new(limits))
    }

    fn start(server: Server) -> Self {
        let runtime = Runtime::new().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (slow, end) = (Arc::new(Slow::default()), Arc::new(Semaphore::new(0)));
        let (counted, wait) = (Arc::clone(&slow), Arc::clone(&end));
        let slowly = async move || {
            counted.begun.fetch_add(1, Ordering::SeqCst);
            counted.running.fetch_add(1, Ordering::SeqCst);
            let _running = Running(Arc::clone(&counted));
            wait.acquire().await.unwrap().forget();
            "done"
        };
        let router = Router::new()
            .route("/quick", get(async || "done"))
            .route("/slow", get(slowly))
            .route("/big", get(async || vec![b'x'; BIG_BYTES]))
            .route("/count/{n}", get(async |Path(n): Path<u8>| n.to_string()))
            .route("/query", get(async |Query(n): Query<HashMap<String, u8>>| n["n"].to_string()))
            .route("/who", get(async |Extension(peer): Extension<Peer>| peer.to_string()))
            .route("/sum", post(async |Body(n): Body<Vec<u32>>| n.iter().sum::<u32>().to_string()))
            .route("/change", post(async |body: String| body.len().to_string()));
        let listener = {
            let _guard = runtime.enter();
            listen(&dir.path().join("api.sock")).unwrap()
        };
        let serving = server.clone();
        runtime.spawn(async move { serving.serve(listener, router).await });
        Self { dir, server, slow, end, _runtime: runtime }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("api.sock")
    }

    fn client(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }

    /// A client that has asked.
    fn get(&self, path: &str) -> UnixStream {
        let mut stream = self.client();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        stream
    }

    /// Status and body of the answer to a request that asks for the end of the connection.
    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = self.client();
        let len = body.len();
        let head = "Host: x\r\nConnection: close\r\nContent-Length:";
        write!(stream, "{method} {path} HTTP/1.1\r\n{head} {len}\r\n\r\n{body}").unwrap();
        answer(&mut stream)
    }

    fn wait(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + LONG;
        while !condition() {
            assert!(Instant::now() < deadline, "{what} did not happen");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn wait_running(&self, n: usize) {
        self.wait("the handlers", || self.slow.running.load(Ordering::SeqCst) == n);
    }
}

/// Status and body of an answer that ends with its connection.
fn answer(stream: &mut UnixStream) -> (u16, String) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The next answer, with a body of four bytes.
fn next_answer(stream: &mut UnixStream) -> String {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\ndone") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "the end instead of an answer: {text}");
        text.push(byte[0].into());
    }
    text
}

fn limits(clients: usize, idle_ms: u64) -> Limits {
    Limits { clients, idle: Duration::from_millis(idle_ms) }
}

#[test]
fn a_client_too_many_is_told() {
    let bench = Bench::new(limits(2, 60_000));
    let kept = [bench.client(), bench.client()];
    bench.wait("both clients", || bench.server.clients() == 2);
    let (status, body) = bench.ask("GET", "/quick", "");
    assert_eq!(status, 503);
    let why = "the daemon serves 2 clients already; try again when one has gone";
    assert_eq!(body, format!("{{\"error\":\"{why}\"}}"));
    // One of them does not even ask. It is not kept, nor are more than as many again.
    let mut silent: Vec<UnixStream> = (0..3).map(|_| bench.client()).collect();
    for client in &mut silent {
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0, "the end of the connection");
    }
    drop(kept);
    bench.wait("their ends", || bench.server.clients() == 0);
    assert_eq!(bench.ask("GET", "/quick", ""), (200, "done".to_owned()));
}

#[test]
fn a_silent_client_is_sent_away() {
    let bench = Bench::new(limits(8, 50));
    let mut silent = bench.client();
    // Neither a head nor a body that is never finished keeps the place.
    let mut half = bench.client();
    half.write_all(b"GET /quick HT").unwrap();
    let mut half_body = bench.client();
    half_body.write_all(b"POST /change HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1").unwrap();
    let mut again = bench.get("/quick");
    assert!(next_answer(&mut again).starts_with("HTTP/1.1 200"));
    for client in [&mut silent, &mut half, &mut again] {
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0, "the end of the connection");
    }
    let (status, body) = answer(&mut half_body);
    assert_eq!(
        (status, body.as_str()),
        (408, r#"{"error":"the request was not complete in time"}"#)
    );
    bench.wait("their places", || bench.server.clients() == 0);
}

#[test]
fn who_leaves_an_answer_unread_is_sent_away() {
    let bench = Bench::new(limits(2, 50));
    let mut client = bench.get("/big");
    bench.wait("its place", || bench.server.clients() == 1);
    bench.wait("its end", || bench.server.clients() == 0);
    let mut some = Vec::new();
    // The end may come as an error; what was sent before comes all the same.
    let _ = client.read_to_end(&mut some);
    assert!(!some.is_empty() && some.len() < BIG_BYTES, "{}", some.len());
    // One that reads gets it all.
    assert_eq!(bench.ask("GET", "/big", "").1.len(), BIG_BYTES);
}

#[test]
fn who_waits_for_an_answer_may_be_silent_and_done_talking() {
    let bench = Bench::new(limits(4, 50));
    let mut waiting = bench.get("/slow");
    let mut done = bench.get("/slow");
    done.shutdown(Shutdown::Write).unwrap();
    bench.wait_running(2);
    // Longer than any limit here.
    std::thread::sleep(Duration::from_millis(50) + 3 * LOOK);
    bench.end.add_permits(2);
    for client in [&mut waiting, &mut done] {
        assert!(next_answer(client).starts_with("HTTP/1.1 200"));
    }
}

#[test]
fn a_request_ends_with_its_client() {
    const CLIENTS: usize = 50;
    let bench = Bench::new(limits(CLIENTS, 60_000));
    let clients: Vec<UnixStream> = (0..CLIENTS).map(|_| bench.get("/slow")).collect();
    bench.wait_running(CLIENTS);
    drop(clients);
    bench.wait_running(0);
    bench.wait("their places", || bench.server.clients() == 0);
    assert_eq!(bench.slow.begun.load(Ordering::SeqCst), CLIENTS);
    // One that asks and goes at once is as well not begun at all.
    for _ in 0..CLIENTS {
        drop(bench.get("/slow"));
    }
    bench.wait("their places", || bench.server.clients() == 0);
    bench.wait_running(0);
}

#[test]
fn a_request_has_a_size() {
    let bench = Bench::new(limits(4, 60_000));
    let long = "x".repeat(REQUEST_MAX_BYTES);
    assert_eq!(bench.ask("POST", "/change", &long), (200, REQUEST_MAX_BYTES.to_string()));
    let (status, body) = bench.ask("POST", "/change", &format!("{long}x"));
    assert_eq!((status, body.as_str()), (413, r#"{"error":"a request has 65536 bytes at most"}"#));
    let mut client = bench.client();
    // The server may close before all of it is written.
    let _ = write!(client, "GET /quick HTTP/1.1\r\nX: {long}\r\n\r\n");
    let mut text = String::new();
    let _ = client.read_to_string(&mut text);
    assert!(text.starts_with("HTTP/1.1 431 "), "{text}");
}

#[test]
fn refusals_have_one_shape() {
    let bench = Bench::new(limits(4, 60_000));
    for (method, path, status, why) in [
        ("GET", "/v2/status", 404, "there is no resource /v2/status"),
        ("DELETE", "/quick", 405, "/quick does not take DELETE"),
        ("GET", "/count/many", 400, "many"),
        ("GET", "/count/256", 400, "256"),
        ("GET", "/query?n=x", 400, "query"),
    ] {
        let (got, body) = bench.ask(method, path, "");
        let refused: crate::types::Refused = serde_json::from_str(&body).unwrap();
        assert!(got == status && refused.error.contains(why), "{method} {path}: {got} {body}");
    }
    assert_eq!(bench.ask("GET", "/count/7", "").1, "7");
    assert_eq!(bench.ask("GET", "/query?n=7", "").1, "7");
    let sum = |body: &[i32]| crate::client::post::<u32>(&bench.socket(), "/sum", &body);
    assert_eq!(sum(&[7, 8]).unwrap(), 15);
    let error = sum(&[-1]).unwrap_err();
    assert!(matches!(&error, ClientError::Refused { why, .. } if why.contains("-1")), "{error}");
}

#[test]
fn who_may_not_write_may_read() {
    // Neither root nor whoever runs this.
    let writers = Writers { users: [u32::MAX; 2] };
    let bench = Bench::start(Server { writers, ..Server::new(limits(4, 60_000)) });
    let (status, body) = bench.ask("POST", "/change", "1");
    assert_eq!(status, 403);
    assert_eq!(body, r#"{"error":"only root and the daemon's own user may POST"}"#);
    // What is not there is not told either.
    assert_eq!(bench.ask("POST", "/nothing", "").0, 403);
    assert_eq!(bench.ask("GET", "/quick", "").0, 200);
    // As what this runs is the server's own user.
    let bench = Bench::new(limits(4, 60_000));
    assert_eq!(bench.ask("POST", "/change", "123"), (200, "3".to_owned()));
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let own = format!("uid {uid}, gid {gid}, pid {}", std::process::id());
    assert_eq!(bench.ask("GET", "/who", "").1, own);
}
