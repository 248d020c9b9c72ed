//! Who is at the other end, as the kernel says (`SO_PEERCRED`), and what they may do.

use std::fmt;
use std::io;

use axum::http::Method;
use tokio::net::UnixStream;

/// A client. Of whoever connected: a descriptor that was handed on speaks with its first owner's rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// Process, if it can be seen from here.
    pub pid: Option<i32>,
}

impl Peer {
    pub(super) fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        Ok(Self { uid: credentials.uid(), gid: credentials.gid(), pid: credentials.pid() })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {}, gid {}, pid ", self.uid, self.gid)?;
        match self.pid {
            Some(pid) => write!(f, "{pid}"),
            None => f.write_str("unknown"),
        }
    }
}

/// **The rule**: whoever may open the socket may read, which its mode and group decide. To change something one must be root
/// or the user that the daemon runs as: the socket's group is there for looking.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writers {
    pub(super) users: [u32; 2],
}

impl Default for Writers {
    fn default() -> Self {
        Self { users: [0, nix::unistd::geteuid().as_raw()] }
    }
}

impl Writers {
    /// Whether `peer` may send a request of this method. Methods that change nothing are reads (RFC 9110, 9.2.1).
    pub(super) fn allow(self, peer: Peer, method: &Method) -> bool {
        method.is_safe() || self.users.contains(&peer.uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_may_read_root_and_the_daemon_may_write() {
        let writers = Writers { users: [0, 990] };
        let may = |uid, method| writers.allow(Peer { uid, gid: 990, pid: Some(7) }, &method);
        for reader in [0, 990, 1000] {
            assert!(may(reader, Method::GET) && may(reader, Method::HEAD), "{reader}");
        }
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert!(may(0, method.clone()) && may(990, method.clone()), "{method}");
            assert!(!may(1000, method.clone()), "{method}");
        }
        let own = nix::unistd::geteuid().as_raw();
        assert_eq!(Writers::default().users, [0, own]);
    }
}
