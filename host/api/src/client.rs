//! Asks a daemon: one request, one answer. Blocks, and starts no thread: whoever asks may be about to join a namespace.

use std::fmt::Display;
use std::future::Future;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::types::Refused;

/// An answer of which nothing comes for longer does not come.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens; start the daemon or name its socket.
    #[error("no daemon answers at {} (is penstockd running? --api or PENSTOCK_API names its socket)", path.display())]
    NoDaemon {
        /// The socket.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The daemon says why.
    #[error("{why}")]
    Refused {
        /// HTTP's number for the kind of refusal.
        status: u16,
        /// Why.
        why: String,
    },
    /// It took the request and ended the connection.
    #[error("the daemon ended the connection without an answer; its log may say why")]
    NoAnswer,
    /// It ended what has no end.
    #[error("the daemon has ended the connection")]
    Ended,
    /// It took the request, and is silent.
    #[error("the daemon has taken the request and not answered for {} s; it may still be at it", .0.as_secs())]
    Late(Duration),
    /// Something else answers there, or another version.
    #[error("the daemon's answer is not understood: {0}")]
    Protocol(String),
}

impl From<hyper::Error> for ClientError {
    fn from(error: hyper::Error) -> Self {
        if error.is_parse() { Self::Protocol(error.to_string()) } else { Self::NoAnswer }
    }
}

/// Asks the daemon behind `socket`.
///
/// # Errors
/// [`ClientError`].
pub fn get<T: DeserializeOwned>(socket: &Path, resource: &impl Display) -> Result<T, ClientError> {
    parse(&get_json(socket, resource)?)
}

/// Asks the daemon behind `socket` and gives the body as it came.
///
/// # Errors
/// [`ClientError`].
pub fn get_json(socket: &Path, resource: &impl Display) -> Result<Vec<u8>, ClientError> {
    call(socket, &Method::GET, &resource.to_string(), Vec::new())
}

/// Tells the daemon behind `socket` to do what a resource is for, and gives the body of its answer as it came.
///
/// # Errors
/// [`ClientError`].
pub fn post_json(socket: &Path, resource: &impl Display) -> Result<Vec<u8>, ClientError> {
    call(socket, &Method::POST, &resource.to_string(), Vec::new())
}

/// Tells whoever serves `path` behind `socket` to do what `body` says.
///
/// # Errors
/// [`ClientError`].
pub fn post<T: DeserializeOwned>(
    socket: &Path,
    path: &str,
    body: &impl Serialize,
) -> Result<T, ClientError> {
    send(socket, &Method::POST, path, body)
}

/// Tells the daemon behind `socket` that a resource is what `body` says.
///
/// # Errors
/// [`ClientError`].
pub fn put<T: DeserializeOwned>(
    socket: &Path,
    resource: &impl Display,
    body: &impl Serialize,
) -> Result<T, ClientError> {
    send(socket, &Method::PUT, &resource.to_string(), body)
}

/// Tells the daemon behind `socket` that a resource is to go.
///
/// # Errors
/// [`ClientError`].
pub fn delete<T: DeserializeOwned>(
    socket: &Path,
    resource: &impl Display,
) -> Result<T, ClientError> {
    parse(&delete_json(socket, resource)?)
}

/// The same, and gives the body of its answer as it came.
///
/// # Errors
/// [`ClientError`].
pub fn delete_json(socket: &Path, resource: &impl Display) -> Result<Vec<u8>, ClientError> {
    call(socket, &Method::DELETE, &resource.to_string(), Vec::new())
}

fn send<T: DeserializeOwned>(
    socket: &Path,
    method: &Method,
    path: &str,
    body: &impl Serialize,
) -> Result<T, ClientError> {
    let body = serde_json::to_vec(body).map_err(|error| misunderstood(&error))?;
    parse(&call(socket, method, path, body)?)
}

/// What a body says.
///
/// # Errors
/// [`ClientError::Protocol`].
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|error| misunderstood(&error))
}

fn misunderstood(error: &impl ToString) -> ClientError {
    ClientError::Protocol(error.to_string())
}

/// Asks the daemon behind `socket` for a resource without end, and hands on its lines as they come, until `each` has had enough.
///
/// # Errors
/// [`ClientError`]; also when the daemon ends the connection.
pub fn follow(
    socket: &Path,
    resource: &impl Display,
    mut each: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<(), ClientError> {
    let late = || ClientError::Late(TIMEOUT);
    with_answer(
        TIMEOUT,
        socket,
        &Method::GET,
        &resource.to_string(),
        Vec::new(),
        async |response| {
            let (mut body, mut line) = (response.into_body(), Vec::new());
            while let Some(frame) = in_time(TIMEOUT, body.frame()).await.ok_or_else(late)? {
                let frame = frame?;
                let mut pieces =
                    frame.data_ref().map_or(&[][..], |data| data).split(|byte| *byte == b'\n');
                line.extend_from_slice(pieces.next().unwrap_or_default());
                // Each further piece comes behind the end of a line.
                for piece in pieces {
                    if !line.is_empty() && each(&line).is_break() {
                        return Ok(());
                    }
                    line.clear();
                    line.extend_from_slice(piece);
                }
            }
            Err(ClientError::Ended)
        },
    )
}

fn call(socket: &Path, method: &Method, path: &str, body: Vec<u8>) -> Result<Vec<u8>, ClientError> {
    call_for(TIMEOUT, socket, method, path, body)
}

/// Calls, and waits no longer than `patience` for anything to come.
fn call_for(
    patience: Duration,
    socket: &Path,
    method: &Method,
    path: &str,
    body: Vec<u8>,
) -> Result<Vec<u8>, ClientError> {
    let late = || ClientError::Late(patience);
    with_answer(patience, socket, method, path, body, async |response| {
        read(patience, response).await.ok_or_else(late)?.map_err(Into::into)
    })
}

/// Calls, and has `take` see to the answer, if it is none that says why there is none.
fn with_answer<T>(
    patience: Duration,
    socket: &Path,
    method: &Method,
    path: &str,
    body: Vec<u8>,
    take: impl AsyncFnOnce(Response<Incoming>) -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    let lost = |source| ClientError::NoDaemon { path: socket.to_owned(), source };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(lost)?;
    runtime.block_on(async {
        let stream = UnixStream::connect(socket).await.map_err(lost)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            // A socket has no name; HTTP wants one.
            .header(HOST, "penstock")
            .header(CONNECTION, "close");
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request =
            request.body(Full::new(Bytes::from(body))).map_err(|error| misunderstood(&error))?;
        let late = || ClientError::Late(patience);
        let response = in_time(patience, sender.send_request(request)).await.ok_or_else(late)??;
        let status = response.status();
        if status.is_success() {
            let taken = take(response).await;
            connection.abort();
            return taken;
        }
        let body = read(patience, response).await.ok_or_else(late)??;
        connection.abort();
        Err(match serde_json::from_slice::<Refused>(&body) {
            Ok(refused) => ClientError::Refused { status: status.as_u16(), why: refused.error },
            Err(_) => ClientError::Protocol(format!("HTTP status {status}")),
        })
    })
}

/// The whole body; none if it stops coming.
async fn read(
    patience: Duration,
    response: Response<Incoming>,
) -> Option<Result<Vec<u8>, hyper::Error>> {
    let (mut body, mut all) = (response.into_body(), Vec::new());
    while let Some(frame) = in_time(patience, body.frame()).await? {
        match frame {
            Ok(frame) => all.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data)),
            Err(error) => return Some(Err(error)),
        }
    }
    Some(Ok(all))
}

async fn in_time<T>(patience: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(patience, work).await.ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::paths::{EventQuery, Resource};

    /// What the client makes of an answer; none is the end of the connection.
    fn asked(
        resource: &Resource,
        answer: Option<&'static str>,
    ) -> (String, Result<Vec<u8>, ClientError>) {
        served(answer, |socket| get_json(socket, resource))
    }

    fn served<T>(answer: Option<&'static str>, ask: impl FnOnce(&Path) -> T) -> (String, T) {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("api.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let daemon = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0].into());
            }
            stream.write_all(answer.unwrap_or_default().as_bytes()).unwrap();
            head
        });
        let result = ask(&socket);
        (daemon.join().unwrap(), result)
    }

    #[test]
    fn an_answer_is_passed_on_as_it_came() {
        let ok = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"b\":1.0}";
        let (head, body) = asked(&Resource::NextHop { id: 87 }, Some(ok));
        assert!(head.starts_with("GET /v1/next-hops/87 HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("host: penstock\r\n"), "{head}");
        assert_eq!(body.unwrap(), b"{\"b\":1.0}");
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        let text = |answer| asked(&Resource::Status, answer).1.unwrap_err();
        let refused = "HTTP/1.1 404 Not Found\r\ncontent-length: 17\r\n\r\n{\"error\":\"no\"}   ";
        assert!(
            matches!(text(Some(refused)), ClientError::Refused { status: 404, why } if why == "no")
        );
        let proxy = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\n\r\noops";
        assert!(matches!(text(Some(proxy)), ClientError::Protocol(why) if why.contains("502")));
        // A daemon of before HTTP.
        let older = "{\"version\":1,\"ok\":false,\"error\":\"not understood\"}\n";
        assert!(matches!(text(Some(older)), ClientError::Protocol(_)));
        assert!(matches!(text(None), ClientError::NoAnswer));
        let cut = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{";
        assert!(matches!(text(Some(cut)), ClientError::NoAnswer));
    }

    #[test]
    fn lines_come_as_they_are_however_they_are_cut() {
        let cut = [&b"{\"a\":"[..], b"1}\n\n{\"b\":2}", b"\n", b"\n{\"c\":3}\n{\"d\""];
        let chunk = |part: &&[u8]| {
            format!("{:x}\r\n{}\r\n", part.len(), std::str::from_utf8(part).unwrap())
        };
        let chunks: String = cut.iter().map(chunk).collect();
        let answer =
            format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
        let followed = |enough: usize| {
            let mut lines = Vec::new();
            let answer: &'static str = Box::leak(answer.clone().into_boxed_str());
            let (_, result) = served(Some(answer), |socket| {
                follow(socket, &Resource::Events(EventQuery::default()), |line| {
                    lines.push(String::from_utf8(line.to_vec()).unwrap());
                    if lines.len() == enough {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                })
            });
            (lines, result)
        };
        let all = ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"];
        let (lines, result) = followed(9);
        assert_eq!(lines, all);
        assert!(matches!(result, Err(ClientError::Ended)));
        let (lines, result) = followed(2);
        assert_eq!(lines, all[..2]);
        assert!(result.is_ok());
    }

    #[test]
    fn a_daemon_that_is_late_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("api.sock");
        let _silent = UnixListener::bind(&socket).unwrap();
        let patience = Duration::from_millis(20);
        let error =
            call_for(patience, &socket, &Method::POST, "/v1/audit", Vec::new()).unwrap_err();
        assert!(matches!(error, ClientError::Late(after) if after == patience), "{error}");
    }

    #[test]
    fn nobody_is_told_from_no_answer() {
        let dir = tempfile::tempdir().unwrap();
        let error = get_json(&dir.path().join("api.sock"), &Resource::Status).unwrap_err();
        assert!(
            matches!(&error, ClientError::NoDaemon { source, .. } if source.kind() == io::ErrorKind::NotFound)
        );
        assert!(error.to_string().contains("is penstockd running?"), "{error}");
    }
}
