//! One connection: bytes in, messages out. A message that arrives in pieces costs no waiting.

use std::io::{self, Read};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::errno::Errno;
use penstock_device::vfio_user::wire::{self, HEADER_BYTES, Header, MESSAGE_MAX_BYTES};
use zerocopy::{FromBytes, IntoBytes};

/// A client that does not read its reply for this long is dropped, as the card stands still meanwhile.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);
const READ_BYTES: usize = 4096;

/// A whole request.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) header: Header,
    pub(super) body: Vec<u8>,
    pub(super) fds: Vec<OwnedFd>,
}

#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    bytes: Vec<u8>,
    fds: Vec<OwnedFd>,
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, bytes: Vec::new(), fds: Vec::new() })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// The next whole message, if it is there.
    ///
    /// # Errors
    /// The peer has closed, or sends nonsense: the connection is of no more use.
    pub(super) fn receive(&mut self) -> io::Result<Option<Message>> {
        loop {
            if let Some(message) = self.take_message()? {
                return Ok(Some(message));
            }
            let mut chunk = [0; READ_BYTES];
            match wire::recv_with_fds(self.stream.as_fd(), &mut chunk, &mut self.fds) {
                Ok(0) => return Err(io::ErrorKind::ConnectionAborted.into()),
                Ok(bytes) => self.bytes.extend_from_slice(&chunk[..bytes]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn take_message(&mut self) -> io::Result<Option<Message>> {
        let Ok((header, _)) = Header::read_from_prefix(&self.bytes) else { return Ok(None) };
        let size = header.size as usize;
        if !(HEADER_BYTES..=MESSAGE_MAX_BYTES).contains(&size) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("message of {size} bytes"),
            ));
        }
        if self.bytes.len() < size {
            return Ok(None);
        }
        let rest = self.bytes.split_off(size);
        let body = std::mem::replace(&mut self.bytes, rest).split_off(HEADER_BYTES);
        Ok(Some(Message { header, body, fds: std::mem::take(&mut self.fds) }))
    }

    pub(super) fn reply(&mut self, request: &Header, body: &[u8]) -> io::Result<()> {
        let size = (HEADER_BYTES + body.len()) as u32;
        let header = Header { size, flags: wire::FLAG_REPLY, error: 0, ..*request };
        self.send(&[header.as_bytes(), body].concat())
    }

    pub(super) fn reply_error(&mut self, request: &Header, errno: Errno) -> io::Result<()> {
        let flags = wire::FLAG_REPLY | wire::FLAG_ERROR;
        let header = Header { size: HEADER_BYTES as u32, flags, error: errno as u32, ..*request };
        self.send(header.as_bytes())
    }

    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        let mut sent = 0;
        while sent < message.len() {
            match wire::send_with_fds(self.stream.as_fd(), &message[sent..], &[]) {
                Ok(bytes) => sent += bytes,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    let timeout = PollTimeout::try_from(SEND_TIMEOUT).unwrap_or(PollTimeout::MAX);
                    if poll(&mut [PollFd::new(self.stream.as_fd(), PollFlags::POLLOUT)], timeout)?
                        == 0
                    {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

impl Drop for Connection {
    /// What the peer has sent and nobody reads any more is read, so that it meets an end and not an error: a virtual machine monitor
    /// that waits for a reply may take the error for a bug of its own and abort.
    fn drop(&mut self) {
        // A peer that has closed already needs none of this.
        let _ = self.stream.shutdown(Shutdown::Both);
        let mut rest = [0; READ_BYTES];
        while self.stream.read(&mut rest).is_ok_and(|bytes| bytes > 0) {}
    }
}
