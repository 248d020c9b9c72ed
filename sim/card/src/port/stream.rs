//! A port on a Unix stream socket: for peers that are processes rather than interfaces, and need no privileges.
//!
//! The card listens, one peer at a time connects. Each frame is preceded by its length as 32 bits, most significant byte
//! first: the format of QEMU's `-netdev stream`, so that a virtual machine's interface can be plugged into the card.
//! Frames for a peer that is not there, or that has not read the last [`BACKLOG_BYTES`], are refused and so counted.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::Port;

/// Bytes before each frame.
const LENGTH_BYTES: usize = 4;
/// What is kept for a peer that reads slowly.
const BACKLOG_BYTES: usize = 1 << 20;
/// No frame of an honest peer is longer.
const FRAME_BYTES_MAX: usize = 1 << 16;

/// A listening socket and the peer that came.
#[derive(Debug)]
pub struct StreamPort {
    listener: UnixListener,
    path: PathBuf,
    peer: Option<Peer>,
}

#[derive(Debug)]
struct Peer {
    stream: UnixStream,
    /// Bytes received and not yet handed on, from the start of a frame's length.
    input: Vec<u8>,
    /// Bytes sent and not yet taken.
    output: Vec<u8>,
}

impl StreamPort {
    /// Listens at `path`, which must not exist. The socket is removed with this value.
    ///
    /// # Errors
    /// The operating system's.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path: path.to_owned(), peer: None })
    }

    fn accept(&mut self) -> io::Result<()> {
        match self.listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true)?;
                self.peer = Some(Peer { stream, input: Vec::new(), output: Vec::new() });
                Ok(())
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(e) => Err(e),
        }
    }
}

impl Drop for StreamPort {
    fn drop(&mut self) {
        // Somebody else may have removed it.
        let _ = fs::remove_file(&self.path);
    }
}

impl Peer {
    /// Reads what has arrived, up to one buffer full.
    fn fill(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(bytes) => {
                self.input.extend_from_slice(&buffer[..bytes]);
                Ok(())
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Takes the first whole frame out of what has been read.
    fn take(&mut self, into: &mut [u8]) -> io::Result<Option<usize>> {
        let Some((length, rest)) = self.input.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(io::Error::new(ErrorKind::InvalidData, "a frame longer than 64 KiB"));
        }
        let Some(frame) = rest.get(..length) else { return Ok(None) };
        let bytes = length.min(into.len());
        into[..bytes].copy_from_slice(&frame[..bytes]);
        self.input.drain(..LENGTH_BYTES + length);
        Ok(Some(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(bytes) => _ = self.output.drain(..bytes),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

impl Port for StreamPort {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.peer.as_ref().map_or(self.listener.as_fd(), |peer| peer.stream.as_fd()))
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        if self.peer.is_none() {
            self.accept()?;
        }
        let Some(peer) = &mut self.peer else { return Ok(None) };
        let frame = peer.flush().and_then(|()| {
            if let Some(bytes) = peer.take(buffer)? {
                return Ok(Some(bytes));
            }
            peer.fill()?;
            peer.take(buffer)
        });
        match frame {
            Err(e) => {
                // The next peer may come.
                self.peer = None;
                if e.kind() == ErrorKind::UnexpectedEof { Ok(None) } else { Err(e) }
            }
            frame => frame,
        }
    }

    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        let peer = self.peer.as_mut().ok_or(ErrorKind::NotConnected)?;
        if peer.output.len() + frame.len() > BACKLOG_BYTES {
            return Err(ErrorKind::WouldBlock.into());
        }
        let length = u32::try_from(frame.len()).map_err(|_| ErrorKind::InvalidInput)?;
        peer.output.extend_from_slice(&length.to_be_bytes());
        peer.output.extend_from_slice(frame);
        let flushed = peer.flush();
        if flushed.is_err() {
            self.peer = None;
        }
        flushed
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn port() -> (StreamPort, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (StreamPort::bind(&folder.path().join("port")).unwrap(), folder)
    }

    fn connect(port: &mut StreamPort) -> UnixStream {
        let peer = UnixStream::connect(&port.path).unwrap();
        assert_eq!(port.receive(&mut []).unwrap(), None);
        peer
    }

    #[test]
    fn frames_are_cut_where_their_lengths_say() {
        let (mut port, _folder) = port();
        let mut peer = connect(&mut port);
        let mut buffer = [0; 100];
        peer.write_all(&[0, 0, 0, 3, 1, 2, 3, 0, 0, 0, 2, 7]).unwrap();
        assert_eq!(port.receive(&mut buffer).unwrap(), Some(3));
        assert_eq!(buffer[..3], [1, 2, 3]);
        assert_eq!(port.receive(&mut buffer).unwrap(), None);
        peer.write_all(&[8]).unwrap();
        assert_eq!(port.receive(&mut buffer).unwrap(), Some(2));
        assert_eq!(buffer[..2], [7, 8]);
        port.send(&[9; 60]).unwrap();
        let mut sent = [0; 64];
        peer.read_exact(&mut sent).unwrap();
        assert_eq!((&sent[..4], &sent[4..]), (&[0, 0, 0, 60][..], &[9; 60][..]));
    }

    #[test]
    fn a_peer_that_does_not_read_loses_frames_and_nothing_else() {
        let (mut port, _folder) = port();
        assert_eq!(port.send(&[1]).unwrap_err().kind(), ErrorKind::NotConnected);
        let mut peer = connect(&mut port);
        let frame = [5; 1500];
        let mut taken = 0u32;
        while port.send(&frame).is_ok() {
            taken += 1;
            assert!(taken < 10_000, "the backlog has no limit");
        }
        let mut record = [0; 1504];
        for _ in 0..taken {
            // Taking from the socket makes room for the backlog.
            assert_eq!(port.receive(&mut []).unwrap(), None);
            peer.read_exact(&mut record).unwrap();
            assert_eq!(record[..5], [0, 0, 0x05, 0xdc, 5]);
        }
        port.send(&frame).unwrap();
    }

    #[test]
    fn the_next_peer_may_come() {
        let (mut port, _folder) = port();
        for _ in 0..3 {
            let mut peer = connect(&mut port);
            peer.write_all(&[0, 0, 0, 1, 42]).unwrap();
            let mut buffer = [0; 4];
            assert_eq!(port.receive(&mut buffer).unwrap(), Some(1));
            drop(peer);
            assert_eq!(port.receive(&mut buffer).unwrap(), None);
        }
        let mut peer = connect(&mut port);
        peer.write_all(&[0xff; 4]).unwrap();
        assert!(port.receive(&mut [0; 4]).is_err(), "a length of 4 GiB");
        assert!(port.peer.is_none());
    }
}
