//! The file of the daemon's socket: who may have it, and that nobody else's file is touched.
//!
//! Beside the socket stands a file `….lock`, locked as long as a daemon serves the socket. It is never removed: a daemon that
//! starts at the moment another one ends would otherwise lock a file that nobody else sees. What stands at the socket's path
//! is replaced only if it is a socket that nobody answers; at the end it is removed only if it is still the same file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{
    FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// Why the socket cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another daemon serves it; the user's.
    #[error("another daemon serves {}; stop it or choose another --api", .0.display())]
    InUse(PathBuf),
    /// Something else than a socket stands there, and stays there; the user's.
    #[error("{} is there and is no socket; remove it or choose another --api", .0.display())]
    NotASocket(PathBuf),
    /// The path cannot be used; the user's.
    #[error("cannot listen on {}", path.display())]
    Listen {
        /// The socket, or its lock.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
}

/// A listening socket; its file is removed with it.
#[derive(Debug)]
pub struct Listener {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the socket's file.
    file: (u64, u64),
    /// Held until the socket's file is gone.
    _lock: File,
}

impl Drop for Listener {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            // A file that is gone already needs no removal.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

/// Binds the socket, with mode 0660.
///
/// # Errors
/// [`ListenError`].
pub fn listen(path: &Path) -> Result<Listener, ListenError> {
    let fail = |source| ListenError::Listen { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(fail)?;
    }
    let lock = lock(path)?;
    match std::fs::symlink_metadata(path) {
        Ok(file) if !file.file_type().is_socket() => {
            return Err(ListenError::NotASocket(path.to_owned()));
        }
        // A server that knows nothing of the lock.
        Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
            return Err(ListenError::InUse(path.to_owned()));
        }
        Ok(_) => std::fs::remove_file(path).map_err(fail)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(fail(error)),
    }
    let listener = UnixListener::bind(path).map_err(fail)?;
    let file = identity(path).map_err(fail)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(fail)?;
    Ok(Listener { listener, path: path.to_owned(), file, _lock: lock })
}

/// Locks the file beside the socket.
fn lock(socket: &Path) -> Result<File, ListenError> {
    let mut name = socket.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let fail = |source| ListenError::Listen { path: path.clone(), source };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(&path).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ListenError::InUse(socket.to_owned())),
        Err(TryLockError::Error(error)) => Err(fail(error)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_socket_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.yaml");
        std::fs::write(&path, "precious").unwrap();
        let error = listen(&path).unwrap_err();
        assert!(matches!(error, ListenError::NotASocket(_)), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        // Nor what a link points to, nor the link.
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(listen(&link), Err(ListenError::NotASocket(_))));
        assert!(link.exists());
    }

    #[tokio::test]
    async fn a_daemon_that_is_about_to_serve_has_the_socket_already() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.sock");
        let about_to = lock(&path).unwrap();
        assert!(matches!(listen(&path), Err(ListenError::InUse(_))));
        assert!(!path.exists());
        drop(about_to);
        listen(&path).unwrap();
    }

    #[tokio::test]
    async fn of_daemons_that_start_at_once_one_serves() {
        const DAEMONS: usize = 8;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.sock");
        let runtime = tokio::runtime::Handle::current();
        for _ in 0..50 {
            // A dead daemon's socket, so that all of them find something to replace.
            drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
            let together = std::sync::Barrier::new(DAEMONS);
            let results: Vec<_> = std::thread::scope(|scope| {
                let start = || {
                    let _guard = runtime.enter();
                    together.wait();
                    listen(&path)
                };
                let threads: Vec<_> = (0..DAEMONS).map(|_| scope.spawn(start)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let served = results.iter().filter(|result| result.is_ok()).count();
            let refused =
                results.iter().filter(|r| matches!(r, Err(ListenError::InUse(_)))).count();
            assert_eq!((served, refused), (1, DAEMONS - 1), "{results:?}");
            std::os::unix::net::UnixStream::connect(&path).unwrap();
        }
    }

    #[tokio::test]
    async fn the_end_of_one_leaves_the_socket_of_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.sock");
        let old = listen(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let new = std::os::unix::net::UnixListener::bind(&path).unwrap();
        drop(old);
        std::os::unix::net::UnixStream::connect(&path).unwrap();
        drop(new);
        // Its own file goes with it.
        drop(listen(&path).unwrap());
        assert!(!path.exists());
    }
}
