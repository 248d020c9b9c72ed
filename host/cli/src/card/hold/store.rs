//! The descriptors that are kept, and the socket by which the daemon sends them.
//!
//! Messages are systemd's: datagrams of lines. `FDSTORE=1` keeps the descriptors that come with it under `FDNAME=`,
//! `FDSTOREREMOVE=1` closes those of that name. Descriptors of any other message are closed at once, which is what
//! `BARRIER=1` waits for. All other lines are ignored.

use std::io::{self, ErrorKind, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

/// Most descriptors kept; more are closed.
const KEPT_MAX: usize = 16;
/// Most descriptors taken from one message.
const MESSAGE_FDS_MAX: usize = 16;
/// Longest message.
const MESSAGE_BYTES_MAX: usize = 4096;
/// Name of descriptors that come without a good one.
const NAMELESS: &str = "stored";

/// A descriptor that is kept.
#[derive(Debug)]
pub(super) struct Kept {
    /// Its name.
    pub(super) name: String,
    /// It.
    pub(super) fd: OwnedFd,
}

/// What is kept.
#[derive(Debug)]
pub(super) struct Store {
    socket: UnixDatagram,
    path: PathBuf,
    kept: Vec<Kept>,
}

impl Store {
    /// An empty store behind a new socket. One that a dead process left at this path is replaced.
    ///
    /// # Errors
    /// The socket cannot be made, or something else than a socket stands there, which stays.
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        match std::fs::symlink_metadata(path) {
            // To connect to a file that is no socket is refused as well.
            Ok(file) if !file.file_type().is_socket() => {
                let why = "it is there and is no socket; remove it or choose another";
                return Err(io::Error::new(ErrorKind::AlreadyExists, why));
            }
            Ok(_) => {
                let left = UnixDatagram::unbound()?.connect(path);
                if left.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
                    std::fs::remove_file(path)?;
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let socket = UnixDatagram::bind(path)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, path: path.to_owned(), kept: Vec::new() })
    }

    /// To wait for messages.
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// What is kept, in the order of arrival.
    pub(super) fn kept(&self) -> &[Kept] {
        &self.kept
    }

    /// Handles all messages that have arrived.
    ///
    /// # Errors
    /// The socket is broken.
    pub(super) fn receive(&mut self) -> io::Result<()> {
        loop {
            let mut text = [0; MESSAGE_BYTES_MAX];
            let mut space =
                [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MESSAGE_FDS_MAX))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut parts = [IoSliceMut::new(&mut text)];
            let got = recvmsg(&self.socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC);
            let bytes = match got.map_err(io::Error::from) {
                Ok(got) => got.bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let mut fds = Vec::new();
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(received) = message {
                    fds.extend(received);
                }
            }
            self.handle(&String::from_utf8_lossy(&text[..bytes]), fds);
        }
    }

    fn handle(&mut self, message: &str, fds: Vec<OwnedFd>) {
        let value =
            |key: &str| message.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        let name = value("FDNAME").filter(|name| is_name(name)).unwrap_or(NAMELESS);
        if value("FDSTOREREMOVE") == Some("1") {
            self.kept.retain(|kept| kept.name != name);
        } else if value("FDSTORE") == Some("1") {
            let room = KEPT_MAX - self.kept.len();
            if fds.len() > room {
                eprintln!("penstock card hold: descriptors beyond {KEPT_MAX} are not kept");
            }
            let named = fds.into_iter().take(room).map(|fd| Kept { name: name.to_owned(), fd });
            self.kept.extend(named);
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // A file that is gone already needs no removal.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Names travel in a list with colons between them.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && name.bytes().all(|b| matches!(b, b' '..=b'~') && b != b':')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::File;

    use super::*;

    fn null() -> OwnedFd {
        File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn a_socket_left_by_a_dead_process_is_replaced_and_a_living_ones_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        drop(UnixDatagram::bind(&path).unwrap());
        let store = Store::bind(&path).unwrap();
        assert_eq!(Store::bind(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(store);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_socket_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.yaml");
        std::fs::write(&path, "precious").unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for there in [&path, &link] {
            let error = Store::bind(there).unwrap_err();
            assert!(error.to_string().contains("no socket"), "{error}");
            assert_eq!(std::fs::read_to_string(there).unwrap(), "precious");
        }
    }

    #[test]
    fn descriptors_are_kept_by_name_until_they_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::bind(&dir.path().join("notify")).unwrap();
        let names = |store: &Store| -> Vec<String> {
            store.kept().iter().map(|kept| kept.name.clone()).collect()
        };
        store.handle("FDSTORE=1\nFDNAME=device\nFDPOLL=0\n", vec![null()]);
        store.handle("FDNAME=container\nFDSTORE=1\n", vec![null()]);
        store.handle("FDSTORE=1\nFDNAME=a:b\n", vec![null()]);
        store.handle("READY=1\nSTATUS=FDSTORE=1\n", vec![null()]);
        store.handle("FDSTOREREMOVE=1\nFDNAME=other\n", vec![]);
        assert_eq!(names(&store), ["device", "container", NAMELESS]);
        store.handle("FDSTOREREMOVE=1\nFDNAME=device\n", vec![]);
        assert_eq!(names(&store), ["container", NAMELESS]);
        store.handle("FDSTORE=1\nFDNAME=many\n", (0..KEPT_MAX).map(|_| null()).collect());
        assert_eq!(store.kept().len(), KEPT_MAX);
    }
}
