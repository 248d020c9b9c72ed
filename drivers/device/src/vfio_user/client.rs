//! Host side of vfio-user: one request in flight, each with a time-out.
//!
//! Own code rather than a general client, because an owner of a card must never hang on a server that stopped, must see the
//! error bit of replies, and must learn of a server's death while it waits for an interrupt.

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::wire::{self, command};
use crate::dma::{DmaBuffer, IovaAllocator, SharedMemory};
use crate::error::DeviceError;
use crate::transport::read_ids;
use crate::transport::{FunctionInfo, PciTransport, Region};

/// A server that takes longer than this over one request has failed.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A PCI function behind a vfio-user socket.
#[derive(Debug)]
pub struct VfioUser {
    stream: UnixStream,
    path: PathBuf,
    next_id: u16,
    iova: IovaAllocator,
    irqs: Vec<EventFd>,
    /// Set once the connection cannot be used any more, with the reason.
    broken: Option<String>,
}

impl VfioUser {
    /// Connects to the server at `path` and negotiates.
    ///
    /// # Errors
    /// [`DeviceError::Connect`] when nothing listens, [`DeviceError::InUse`] when the function has another owner,
    /// [`DeviceError::Timeout`] when the server does not answer.
    pub fn connect(path: &Path) -> Result<Self, DeviceError> {
        Self::connect_with_timeout(path, REQUEST_TIMEOUT)
    }

    /// As [`VfioUser::connect`], with a time-out of its own for each request.
    ///
    /// # Errors
    /// As [`VfioUser::connect`].
    pub fn connect_with_timeout(path: &Path, timeout: Duration) -> Result<Self, DeviceError> {
        let failed = |source| DeviceError::Connect { path: path.to_owned(), source };
        let stream = UnixStream::connect(path).map_err(failed)?;
        stream.set_read_timeout(Some(timeout)).map_err(failed)?;
        stream.set_write_timeout(Some(timeout)).map_err(failed)?;
        let mut client = Self {
            stream,
            path: path.to_owned(),
            next_id: 0,
            iova: IovaAllocator::default(),
            irqs: Vec::new(),
            broken: None,
        };
        client.negotiate()?;
        Ok(client)
    }

    fn negotiate(&mut self) -> Result<(), DeviceError> {
        let version = wire::Version { major: wire::VERSION_MAJOR, minor: wire::VERSION_MINOR };
        let capabilities = serde_json::json!({
            "capabilities": { "max_msg_fds": wire::FDS_MAX, "max_data_xfer_size": wire::DATA_MAX_BYTES }
        });
        let mut body = version.as_bytes().to_vec();
        body.extend_from_slice(capabilities.to_string().as_bytes());
        body.push(0);
        let reply = match self.request("version negotiation", command::VERSION, &body, &[]) {
            Err(DeviceError::Refused { source, .. })
                if source.raw_os_error() == Some(nix::libc::EBUSY) =>
            {
                return Err(DeviceError::InUse { path: self.path.clone() });
            }
            other => other?,
        };
        let (theirs, _) = parse::<wire::Version>("version", &reply)?;
        if theirs.major != version.major || theirs.minor > version.minor {
            return Err(DeviceError::protocol(format!(
                "server speaks vfio-user {}.{}",
                theirs.major, theirs.minor
            )));
        }
        Ok(())
    }

    fn read_bytes(&mut self, region: u32, offset: u64, into: &mut [u8]) -> Result<(), DeviceError> {
        let access = wire::RegionAccess { offset, region, count: into.len() as u32 };
        let reply = self.request("region read", command::REGION_READ, access.as_bytes(), &[])?;
        let (_, data) = parse::<wire::RegionAccess>("region read", &reply)?;
        if data.len() != into.len() {
            return Err(DeviceError::protocol(format!(
                "{} bytes read, {} asked for",
                data.len(),
                into.len()
            )));
        }
        into.copy_from_slice(data);
        Ok(())
    }

    fn write_bytes(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
        let access = wire::RegionAccess { offset, region, count: data.len() as u32 };
        let body = [access.as_bytes(), data].concat();
        self.request("region write", command::REGION_WRITE, &body, &[]).map(drop)
    }

    /// Maps a memory file at a bus address.
    ///
    /// # Errors
    /// As any request.
    pub fn dma_map(&mut self, memory: &SharedMemory, iova: u64) -> Result<(), DeviceError> {
        let body = wire::DmaMap {
            argsz: size_of::<wire::DmaMap>() as u32,
            flags: wire::DMA_READ | wire::DMA_WRITE,
            offset: 0,
            address: iova,
            size: memory.len() as u64,
        };
        self.request("DMA map", command::DMA_MAP, body.as_bytes(), &[memory.as_fd().as_raw_fd()])
            .map(drop)
    }

    /// Unmaps a range of bus addresses.
    ///
    /// # Errors
    /// As any request.
    pub fn dma_unmap(&mut self, iova: u64, bytes: usize) -> Result<(), DeviceError> {
        let body = wire::DmaUnmap {
            argsz: size_of::<wire::DmaUnmap>() as u32,
            flags: 0,
            address: iova,
            size: bytes as u64,
        };
        self.request("DMA unmap", command::DMA_UNMAP, body.as_bytes(), &[]).map(drop)
    }

    /// Connects a vector to the descriptor given, or disconnects it.
    fn connect_irq(&mut self, vector: u32, fds: &[RawFd]) -> Result<(), DeviceError> {
        let body = wire::SetIrqs {
            argsz: size_of::<wire::SetIrqs>() as u32,
            flags: wire::SET_DATA_EVENTFD | wire::SET_ACTION_TRIGGER,
            index: wire::IRQ_MSIX,
            start: vector,
            count: 1,
        };
        self.request("interrupt set-up", command::DEVICE_SET_IRQS, body.as_bytes(), fds).map(drop)
    }

    /// One request and its reply's body. After a failure of the stream itself every later call says that the card is gone.
    fn request(
        &mut self,
        what: &str,
        code: u16,
        body: &[u8],
        fds: &[RawFd],
    ) -> Result<Vec<u8>, DeviceError> {
        if let Some(how) = &self.broken {
            return Err(DeviceError::gone(how.clone()));
        }
        self.next_id = self.next_id.wrapping_add(1);
        let id = self.next_id;
        let (header, reply) = match self.exchange(id, code, body, fds) {
            Ok(reply) => reply,
            Err(error) => return Err(self.broken_by(what, &error)),
        };
        if header.id != id || header.command != code || header.flags & wire::FLAG_REPLY == 0 {
            self.broken = Some("the server's replies do not match the requests".to_owned());
            return Err(DeviceError::protocol(format!(
                "reply to {what} has id {} and command {}",
                header.id, header.command
            )));
        }
        if header.flags & wire::FLAG_ERROR != 0 {
            let source = io::Error::from_raw_os_error(header.error as i32);
            return Err(DeviceError::Refused { what: what.to_owned(), source });
        }
        Ok(reply)
    }

    fn exchange(
        &mut self,
        id: u16,
        code: u16,
        body: &[u8],
        fds: &[RawFd],
    ) -> io::Result<(wire::Header, Vec<u8>)> {
        let size = (wire::HEADER_BYTES + body.len()) as u32;
        let header = wire::Header { id, command: code, size, flags: 0, error: 0 };
        let message = [header.as_bytes(), body].concat();
        let mut sent = wire::send_with_fds(self.stream.as_fd(), &message, fds)?;
        while sent < message.len() {
            sent += wire::send_with_fds(self.stream.as_fd(), &message[sent..], &[])?;
        }
        let mut raw = [0; wire::HEADER_BYTES];
        self.stream.read_exact(&mut raw)?;
        let header = wire::Header::read_from_bytes(&raw).map_err(|_| io::ErrorKind::InvalidData)?;
        let body = (header.size as usize)
            .checked_sub(wire::HEADER_BYTES)
            .ok_or(io::ErrorKind::InvalidData)?;
        if header.size as usize > wire::MESSAGE_MAX_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut reply = vec![0; body];
        self.stream.read_exact(&mut reply)?;
        Ok((header, reply))
    }

    fn broken_by(&mut self, what: &str, error: &io::Error) -> DeviceError {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                self.broken = Some(format!("its server did not answer a {what}"));
                let after = self.stream.read_timeout().ok().flatten().unwrap_or(REQUEST_TIMEOUT);
                DeviceError::Timeout { what: what.to_owned(), after }
            }
            io::ErrorKind::InvalidData => {
                self.broken = Some("its server broke the protocol".to_owned());
                DeviceError::protocol(format!("reply to {what} has an impossible size"))
            }
            _ => {
                let how = format!("its server at {} ended: {error}", self.path.display());
                self.broken = Some(how.clone());
                DeviceError::gone(how)
            }
        }
    }
}

fn parse<'a, T: FromBytes + Immutable>(
    what: &str,
    body: &'a [u8],
) -> Result<(T, &'a [u8]), DeviceError> {
    T::read_from_prefix(body)
        .map_err(|_| DeviceError::protocol(format!("reply to {what} is too short")))
}

fn number(region: Region) -> u32 {
    match region {
        Region::Bar0 => wire::REGION_BAR0,
        Region::Config => wire::REGION_CONFIG,
    }
}

impl PciTransport for VfioUser {
    fn function(&mut self) -> Result<FunctionInfo, DeviceError> {
        let (vendor, device) = read_ids(self)?;
        let argsz = size_of::<wire::RegionInfo>() as u32;
        let query = wire::RegionInfo { argsz, index: wire::REGION_BAR0, ..Default::default() };
        let code = command::DEVICE_GET_REGION_INFO;
        let reply = self.request("region query", code, query.as_bytes(), &[])?;
        let (bar0, _) = parse::<wire::RegionInfo>("region query", &reply)?;
        let argsz = size_of::<wire::IrqInfo>() as u32;
        let query = wire::IrqInfo { argsz, index: wire::IRQ_MSIX, ..Default::default() };
        let code = command::DEVICE_GET_IRQ_INFO;
        let reply = self.request("interrupt query", code, query.as_bytes(), &[])?;
        let (msix, _) = parse::<wire::IrqInfo>("interrupt query", &reply)?;
        Ok(FunctionInfo { vendor, device, bar0_bytes: bar0.size, msix_vectors: msix.count })
    }

    fn read32(&mut self, offset: u32) -> Result<u32, DeviceError> {
        let mut word = [0; 4];
        self.read_bytes(wire::REGION_BAR0, offset.into(), &mut word)?;
        Ok(u32::from_le_bytes(word))
    }

    fn write32(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        self.write_bytes(wire::REGION_BAR0, offset.into(), &value.to_le_bytes())
    }

    fn read_region(
        &mut self,
        region: Region,
        offset: u64,
        into: &mut [u8],
    ) -> Result<(), DeviceError> {
        self.read_bytes(number(region), offset, into)
    }

    fn write_region(
        &mut self,
        region: Region,
        offset: u64,
        data: &[u8],
    ) -> Result<(), DeviceError> {
        self.write_bytes(number(region), offset, data)
    }

    fn dma_alloc(&mut self, bytes: usize) -> Result<DmaBuffer, DeviceError> {
        let memory =
            SharedMemory::create(bytes).map_err(|e| DeviceError::io("allocate DMA memory", e))?;
        let iova = self
            .iova
            .alloc(memory.len())
            .ok_or_else(|| DeviceError::protocol("out of bus addresses"))?;
        self.dma_map(&memory, iova)?;
        Ok(DmaBuffer::new(Arc::new(memory), iova))
    }

    fn dma_free(&mut self, buffer: DmaBuffer) -> Result<(), DeviceError> {
        self.dma_unmap(buffer.iova(), buffer.memory().len())
    }

    fn arm_irqs(&mut self, vectors: u32) -> Result<Vec<EventFd>, DeviceError> {
        let error = |e| DeviceError::io("create event descriptors", e);
        let mut fds = Vec::new();
        for vector in 0..vectors {
            let fd = EventFd::new(EFD_NONBLOCK).map_err(error)?;
            self.connect_irq(vector, &[fd.as_raw_fd()])?;
            fds.push(fd);
        }
        let clones =
            fds.iter().map(EventFd::try_clone).collect::<Result<Vec<_>, _>>().map_err(error)?;
        self.irqs = fds;
        Ok(clones)
    }

    fn mask_irq(&mut self, vector: u32, masked: bool) -> Result<(), DeviceError> {
        let irq = self
            .irqs
            .get(vector as usize)
            .ok_or_else(|| DeviceError::protocol(format!("interrupt {vector} is not armed")))?;
        let fd = irq.as_raw_fd();
        self.connect_irq(vector, if masked { &[] } else { std::slice::from_ref(&fd) })
    }

    fn wait_irq(&mut self, vector: u32, timeout: Duration) -> Result<(), DeviceError> {
        if let Some(how) = &self.broken {
            return Err(DeviceError::gone(how.clone()));
        }
        let timeout = PollTimeout::try_from(timeout.max(Duration::from_millis(1)))
            .unwrap_or(PollTimeout::MAX);
        // Nothing arrives unasked, so that any event of the socket is its end.
        let mut fds = vec![PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)];
        if let Some(irq) = self.irqs.get(vector as usize) {
            // SAFETY: the descriptor belongs to `self.irqs`, which outlives this call.
            let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(irq.as_raw_fd()) };
            fds.push(PollFd::new(fd, PollFlags::POLLIN));
        }
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(DeviceError::io("wait for an interrupt", errno)),
        }
        let ended = fds[0].revents().is_some_and(|r| !r.is_empty());
        if ended {
            return Err(self.broken_by("wait", &io::ErrorKind::ConnectionReset.into()));
        }
        if let Some(irq) = self.irqs.get(vector as usize) {
            // Empties the counter; `WouldBlock` means that it was empty.
            let _ = irq.read();
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<(), DeviceError> {
        self.request("reset", command::DEVICE_RESET, &[], &[]).map(drop)
    }

    fn describe(&self) -> String {
        format!("vfio-user:{}", self.path.display())
    }
}
