//! What a vif of the card is plugged into: a TAP device, a Unix socket, pcap files, or another thread of this process.

mod stream;

use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::pcap;

pub use stream::StreamPort;

/// Counters of a port, from the card's side of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Frames that came in.
    pub rx_frames: u64,
    /// Their bytes.
    pub rx_bytes: u64,
    /// Receive errors, empty frames among them.
    pub rx_errors: u64,
    /// Frames handed out.
    pub tx_frames: u64,
    /// Their bytes.
    pub tx_bytes: u64,
    /// Frames that left the card but that the port refused: interface down, queue full, longer than its MTU.
    pub tx_dropped: u64,
}

/// A source and sink of frames. Never blocks.
pub trait Port: Send {
    /// A descriptor that is readable when a frame may wait; `None` if there is no such thing.
    fn fd(&self) -> Option<BorrowedFd<'_>>;

    /// Copies the next frame into `buffer` and returns its length; `None` when there is none now.
    ///
    /// # Errors
    /// The port's; the frame is lost and counted.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>>;

    /// Hands a frame out.
    ///
    /// # Errors
    /// The frame is not taken, and counted as dropped.
    fn send(&mut self, frame: &[u8]) -> io::Result<()>;
}

/// A TAP device of the network namespace that this process is in. It may be moved to another namespace afterwards.
#[derive(Debug)]
pub struct Tap {
    file: File,
    name: String,
}

#[allow(missing_docs)]
mod ioctl {
    nix::ioctl_write_int!(tun_set_iff, b'T', 202);
}

impl Tap {
    /// Opens the TAP device `name`, creating it if it is not there. A device created here disappears with this value.
    ///
    /// # Errors
    /// The operating system's; `InvalidInput` for a name that is not one.
    pub fn open(name: &str) -> io::Result<Self> {
        let mut request =
            IfRequest { name: [0; IF_NAME_BYTES], flags: IFF_TAP | IFF_NO_PI, pad: [0; 22] };
        if name.is_empty()
            || name.len() >= IF_NAME_BYTES
            || name.bytes().any(|b| b == 0 || b == b'/')
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{name}` is not an interface name"),
            ));
        }
        request.name[..name.len()].copy_from_slice(name.as_bytes());
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(nix::libc::O_NONBLOCK)
            .open("/dev/net/tun")?;
        // SAFETY: the request is a `struct ifreq` of the size that the kernel copies; it lives during the call.
        unsafe {
            ioctl::tun_set_iff(
                file.as_raw_fd(),
                std::ptr::from_mut(&mut request) as nix::sys::ioctl::ioctl_param_type,
            )
        }?;
        let given = CStr::from_bytes_until_nul(&request.name).map_err(io::Error::other)?;
        Ok(Self { file, name: given.to_string_lossy().into_owned() })
    }

    /// The interface's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

const IF_NAME_BYTES: usize = 16;
const IFF_TAP: i16 = 0x0002;
const IFF_NO_PI: i16 = 0x1000;

/// `struct ifreq` with its union as flags.
#[repr(C)]
struct IfRequest {
    name: [u8; IF_NAME_BYTES],
    flags: i16,
    pad: [u8; 22],
}

const _: () = assert!(size_of::<IfRequest>() == size_of::<nix::libc::ifreq>());

impl Port for Tap {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.file.read(buffer) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        let bytes = self.file.write(frame)?;
        if bytes == frame.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }
}

/// Frames from one capture file and into another.
pub struct PcapPort {
    input: Option<pcap::Reader>,
    output: Option<pcap::Writer>,
    clock: std::time::Instant,
}

impl PcapPort {
    /// `input` is played as fast as the card takes it; `output` is created anew. Time stamps count from now.
    ///
    /// # Errors
    /// A file cannot be opened, or `input` is not a capture of Ethernet.
    pub fn open(input: Option<&Path>, output: Option<&Path>) -> io::Result<Self> {
        let input = input.map(pcap::Reader::open).transpose()?;
        let output = output.map(pcap::Writer::create).transpose()?;
        Ok(Self { input, output, clock: std::time::Instant::now() })
    }
}

impl Port for PcapPort {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.input.as_ref().map(AsFd::as_fd)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let Some(reader) = &mut self.input else { return Ok(None) };
        match reader.next_packet() {
            Ok(Some(packet)) => {
                let bytes = packet.data.len().min(buffer.len());
                buffer[..bytes].copy_from_slice(&packet.data[..bytes]);
                Ok(Some(bytes))
            }
            end => {
                // The file has ended, in good order or not.
                self.input = None;
                end.map(|_| None)
            }
        }
    }

    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        match &mut self.output {
            Some(writer) => {
                writer.write(self.clock.elapsed(), frame)?;
                // So that the file is whole at any time.
                writer.flush()
            }
            None => Ok(()),
        }
    }
}

/// The card's end of a channel to another thread.
#[derive(Debug)]
pub struct ChannelPort {
    from_peer: Receiver<Vec<u8>>,
    to_peer: Sender<Vec<u8>>,
    ready: EventFd,
}

/// The other end of a [`ChannelPort`]: a generator, a checker, another card.
#[derive(Debug)]
pub struct ChannelEnd {
    to_card: Sender<Vec<u8>>,
    from_card: Receiver<Vec<u8>>,
    ready: EventFd,
}

/// A port and its other end.
///
/// # Errors
/// No event descriptor.
pub fn channel_port() -> io::Result<(ChannelPort, ChannelEnd)> {
    let (to_card, from_peer) = channel();
    let (to_peer, from_card) = channel();
    let ready = EventFd::new(EFD_NONBLOCK)?;
    let end = ChannelEnd { to_card, from_card, ready: ready.try_clone()? };
    Ok((ChannelPort { from_peer, to_peer, ready }, end))
}

impl ChannelEnd {
    /// Sends a frame to the card; `false` when the card is gone.
    pub fn send(&self, frame: Vec<u8>) -> bool {
        let sent = self.to_card.send(frame).is_ok();
        // A full counter wakes the card as well.
        let _ = self.ready.write(1);
        sent
    }

    /// Frames from the card.
    #[must_use]
    pub fn frames(&self) -> &Receiver<Vec<u8>> {
        &self.from_card
    }
}

impl Port for ChannelPort {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        // SAFETY: the descriptor is open as long as `self`.
        Some(unsafe { BorrowedFd::borrow_raw(self.ready.as_raw_fd()) })
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let frame = match self.from_peer.try_recv() {
            Ok(frame) => frame,
            Err(TryRecvError::Disconnected) => return Ok(None),
            Err(TryRecvError::Empty) => {
                // Emptied first, looked at once more after: a frame sent in between is not left asleep.
                let _ = self.ready.read();
                match self.from_peer.try_recv() {
                    Ok(frame) => frame,
                    Err(_) => return Ok(None),
                }
            }
        };
        let bytes = frame.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&frame[..bytes]);
        Ok(Some(bytes))
    }

    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.to_peer.send(frame.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
