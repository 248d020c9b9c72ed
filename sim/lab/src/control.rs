//! The supervisor's control socket: one JSON request a line, one JSON reply a line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::state::ProcessState;

/// Longest time the supervisor takes over a request.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What a supervisor can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Lists the processes.
    Status,
    /// Starts a process in a namespace; it lives as long as the lab unless it is stopped.
    Start {
        /// Name that is not in use by a running process.
        name: String,
        /// Namespace to run it in.
        namespace: String,
        /// Program and arguments.
        argv: Vec<String>,
    },
    /// Sends a signal to a process and, if that ends it, waits for the end.
    Kill {
        /// Name of the process.
        name: String,
        /// Signal name, such as `SIGTERM`.
        signal: String,
    },
    /// Starts a process again that has ended, as it was started first.
    Restart {
        /// Name of the process.
        name: String,
    },
    /// Ends the lab.
    Down,
}

/// The supervisor's answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum Reply {
    /// The request was carried out.
    Ok {
        /// Processes of the lab after it.
        processes: Vec<ProcessState>,
    },
    /// The request failed; nothing changed.
    Error {
        /// What was wrong.
        message: String,
    },
}

/// Sends one request to the supervisor behind `socket` and returns the processes of the lab after it.
///
/// # Errors
/// The supervisor cannot be reached or refuses the request.
pub fn ask(socket: &Path, request: &Request) -> Result<Vec<ProcessState>> {
    let mut stream = UnixStream::connect(socket)
        .with_context(|| format!("cannot reach the lab's supervisor at {}", socket.display()))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut line = serde_json::to_string(request)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).context("the lab's supervisor did not answer")?;
    match serde_json::from_str(&answer).context("the lab's supervisor gave no proper answer")? {
        Reply::Ok { processes } => Ok(processes),
        Reply::Error { message } => bail!("{message}"),
    }
}
