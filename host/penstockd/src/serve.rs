//! The daemon's socket: JSON lines in, JSON lines out, as `penstock_views::api` says.
//!
//! The socket is 0660. A second daemon on the same socket is refused; a socket left by a dead one is replaced.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use penstock_views::api::{Request, Response, VERSION};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tracing::{debug, warn};

use crate::answer::Answers;

/// Longest request, in bytes.
const REQUEST_MAX_BYTES: u64 = 64 * 1024;

/// Why the socket cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another daemon answers there; the user's.
    #[error("another daemon serves {}; stop it or choose another --api", .0.display())]
    InUse(PathBuf),
    /// The path cannot be used; the user's.
    #[error("cannot listen on {}", path.display())]
    Listen {
        /// The socket.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
}

/// A listening socket; its file is removed with it.
pub struct Listener {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for Listener {
    fn drop(&mut self) {
        // A file that is gone already needs no removal.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Binds the socket.
///
/// # Errors
/// [`ServeError`].
pub fn listen(path: &Path) -> Result<Listener, ServeError> {
    let fail = |source| ServeError::Listen { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(fail)?;
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(ServeError::InUse(path.to_owned()));
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(fail)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(fail)?;
    Ok(Listener { listener, path: path.to_owned() })
}

/// Serves requests until the task is dropped.
pub async fn serve(listener: Listener, answers: Answers) {
    loop {
        match listener.listener.accept().await {
            Ok((stream, _)) => {
                let answers = answers.clone();
                tokio::spawn(async move {
                    if let Err(error) = converse(stream, answers).await {
                        debug!(%error, "a client went away");
                    }
                });
            }
            Err(error) => {
                warn!(%error, "cannot accept a client");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(stream: UnixStream, answers: Answers) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut line = String::new();
        if (&mut read).take(REQUEST_MAX_BYTES).read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let response = match serde_json::from_str::<Request>(&line) {
            Ok(request) if request.version == VERSION => match answers.answer(request.op).await {
                Ok(data) => Response::data(data),
                Err(error) => Response::error(error),
            },
            Ok(request) => Response::error(format!(
                "protocol version {} is not spoken here, but {VERSION}; update the older of the two programs",
                request.version
            )),
            Err(error) => Response::error(format!("the request is not understood: {error}")),
        };
        let mut text = serde_json::to_string(&response)?;
        text.push('\n');
        write.write_all(text.as_bytes()).await?;
        if !line.ends_with('\n') {
            return Ok(());
        }
    }
}
