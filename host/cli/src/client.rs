//! The daemon as the command line sees it: one request, one answer.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use penstock_views::api::{Op, Request, Response, VERSION};
use serde::de::DeserializeOwned;

/// An answer that takes longer does not come.
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
    #[error("{0}")]
    Refused(String),
    /// It took the request and ended the connection.
    #[error("the daemon ended the connection without an answer; its log may say why")]
    NoAnswer,
    /// Something else answers there, or another version.
    #[error("the daemon's answer is not understood: {0}")]
    Protocol(String),
}

/// Asks the daemon behind `socket`.
///
/// # Errors
/// [`ClientError`].
pub fn ask<T: DeserializeOwned>(socket: &Path, op: Op) -> Result<T, ClientError> {
    let lost = |source| ClientError::NoDaemon { path: socket.to_owned(), source };
    let mut stream = UnixStream::connect(socket).map_err(lost)?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(lost)?;
    let mut line = serde_json::to_string(&Request { version: VERSION, op })
        .map_err(|error| ClientError::Protocol(error.to_string()))?;
    line.push('\n');
    // A daemon that has no place for another client says so without waiting for the request.
    let sent = stream.write_all(line.as_bytes());
    let mut answer = String::new();
    match BufReader::new(stream).read_line(&mut answer) {
        Ok(0) => return Err(sent.err().map_or(ClientError::NoAnswer, lost)),
        Err(error) => return Err(lost(sent.err().unwrap_or(error))),
        Ok(_) => {}
    }
    let response: Response<T> =
        serde_json::from_str(&answer).map_err(|error| ClientError::Protocol(error.to_string()))?;
    match (response.data, response.error) {
        (Some(data), _) => Ok(data),
        (None, Some(error)) => Err(ClientError::Refused(error)),
        (None, None) => Err(ClientError::Protocol("neither data nor an error".to_owned())),
    }
}
