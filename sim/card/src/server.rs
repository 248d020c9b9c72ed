//! The card as a vfio-user PCI function: one owner at a time, from the program's only thread.
//!
//! A connection becomes the owner with its version message; while there is one, others are told EBUSY and closed. When the
//! owner leaves, its memory, interrupts and rings are forgotten; the data path goes on, and the next owner finds the tables as
//! they were. Region accesses never fail towards the client, because clients hang or give the device up on an error reply:
//! what cannot be read is all ones, what cannot be written is dropped, and both are counted.

mod connection;

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use penstock_abi::regs::BAR0_BYTES;
use penstock_device::vfio_user::wire::{self, command};
use vmm_sys_util::eventfd::EventFd;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::card::CardSim;
use crate::config::{CONFIG_BYTES, ConfigSpace, Identity, MSIX_BAR, MSIX_BAR_BYTES};
use crate::dma::Access;
use connection::{Connection, Message};

/// Connections that have not said anything yet, at most.
const GUESTS_MAX: usize = 4;

/// The listening socket, its connections, and the function's configuration space.
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    owner: Option<Connection>,
    guests: Vec<Connection>,
    config: ConfigSpace,
    identity: Identity,
    msix: Vec<u8>,
    refused_accesses: u64,
    removed: Arc<AtomicBool>,
}

/// Takes the function off the bus, from another thread: what it reads as is all ones, what is written to it has no effect, and
/// its DMA stops; the connection stays. That is what a host sees of a card that is pulled out or whose link is down.
#[derive(Clone, Debug)]
pub struct Removal(Arc<AtomicBool>);

impl Removal {
    /// Takes it off.
    pub fn remove(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Server {
    /// Listens at `path`. A socket that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// The operating system's; `AddrInUse` when another card listens there.
    pub fn bind(path: &Path) -> io::Result<Self> {
        Self::bind_as(path, Identity::default())
    }

    /// As [`Server::bind`], as another function than a card's: for tests of what a driver makes of it.
    ///
    /// # Errors
    /// As [`Server::bind`].
    pub fn bind_as(path: &Path, identity: Identity) -> io::Result<Self> {
        if path.exists() {
            match UnixStream::connect(path) {
                Ok(_) => {
                    return Err(io::Error::new(
                        io::ErrorKind::AddrInUse,
                        "another card listens there",
                    ));
                }
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
                Err(e) => return Err(e),
            }
        }
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            owner: None,
            guests: Vec::new(),
            config: ConfigSpace::new(&identity),
            identity,
            msix: vec![0; MSIX_BAR_BYTES as usize],
            refused_accesses: 0,
            removed: Arc::default(),
        })
    }

    /// The means to take the function off the bus.
    #[must_use]
    pub fn removal(&self) -> Removal {
        Removal(Arc::clone(&self.removed))
    }

    fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Acquire)
    }

    /// Descriptors to wait on.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let connections = self.owner.iter().chain(&self.guests);
        std::iter::once(self.listener.as_fd()).chain(connections.map(Connection::fd))
    }

    /// Whether the function has an owner.
    #[must_use]
    pub fn has_owner(&self) -> bool {
        self.owner.is_some()
    }

    /// Region accesses that could not be done.
    #[must_use]
    pub fn refused_accesses(&self) -> u64 {
        self.refused_accesses
    }

    /// Accepts connections and executes what has arrived. Never blocks but for a reply that a client does not read.
    pub fn serve(&mut self, card: &mut CardSim) {
        if self.is_removed() {
            card.set_bus_master(false);
        }
        self.accept();
        // The owner first: one that has left must not be in the way of a guest that came after.
        self.serve_owner(card);
        for mut guest in std::mem::take(&mut self.guests) {
            match guest.receive() {
                Ok(Some(message)) => self.introduce(guest, &message),
                Ok(None) => self.guests.push(guest),
                Err(error) => tracing::debug!(%error, "connection closed before it said anything"),
            }
        }
        self.serve_owner(card);
    }

    fn serve_owner(&mut self, card: &mut CardSim) {
        while let Some(mut owner) = self.owner.take() {
            match owner.receive() {
                Ok(Some(message)) => match self.execute(&mut owner, message, card) {
                    Ok(()) => self.owner = Some(owner),
                    Err(error) => self.owner_left(card, &error),
                },
                Ok(None) => {
                    self.owner = Some(owner);
                    return;
                }
                Err(error) => self.owner_left(card, &error),
            }
        }
    }

    fn accept(&mut self) {
        while self.guests.len() < GUESTS_MAX {
            match self.listener.accept() {
                Ok((stream, _)) => match Connection::new(stream) {
                    Ok(guest) => self.guests.push(guest),
                    Err(error) => tracing::warn!(%error, "cannot take a connection"),
                },
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    return;
                }
            }
        }
    }

    /// First message of a connection.
    fn introduce(&mut self, mut guest: Connection, message: &Message) {
        let version = wire::Version::read_from_prefix(&message.body).map(|(v, _)| v);
        let outcome = match version {
            Ok(version)
                if message.header.command == command::VERSION
                    && version.major == wire::VERSION_MAJOR =>
            {
                if self.owner.is_some() {
                    tracing::warn!("refused a second owner");
                    guest.reply_error(&message.header, Errno::EBUSY)
                } else {
                    let minor = version.minor.min(wire::VERSION_MINOR);
                    let reply = wire::Version { major: wire::VERSION_MAJOR, minor };
                    let capabilities = serde_json::json!({ "capabilities": {
                        "max_msg_fds": wire::FDS_MAX, "max_data_xfer_size": wire::DATA_MAX_BYTES
                    }});
                    let mut body = reply.as_bytes().to_vec();
                    body.extend_from_slice(capabilities.to_string().as_bytes());
                    body.push(0);
                    guest.reply(&message.header, &body).map(|()| {
                        tracing::info!("a host has attached");
                        self.owner = Some(guest);
                    })
                }
            }
            _ => guest.reply_error(&message.header, Errno::EPROTO),
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "cannot answer a version message");
        }
    }

    fn owner_left(&mut self, card: &mut CardSim, error: &io::Error) {
        tracing::info!(reason = %error, "the host has left; the data path goes on");
        card.host_left();
        self.config = ConfigSpace::new(&self.identity);
        card.set_bus_master(false);
    }

    fn execute(
        &mut self,
        owner: &mut Connection,
        mut message: Message,
        card: &mut CardSim,
    ) -> io::Result<()> {
        let header = message.header;
        let fds = std::mem::take(&mut message.fds);
        let body = message.body.as_slice();
        let result = match header.command {
            command::DMA_MAP => dma_map(body, fds, card),
            command::DMA_UNMAP => dma_unmap(body, card),
            command::DEVICE_GET_INFO => device_info(body),
            command::DEVICE_GET_REGION_INFO => region_info(body, &self.identity),
            command::DEVICE_GET_IRQ_INFO => irq_info(body, &self.identity),
            command::DEVICE_SET_IRQS => set_irqs(body, fds, card, &self.identity),
            command::REGION_READ => self.region_read(body, card),
            command::REGION_WRITE => self.region_write(body, card),
            command::DEVICE_RESET => {
                self.reset(card);
                Ok(Vec::new())
            }
            _ => Err(Errno::ENOTSUP),
        };
        match result {
            Ok(_) if header.flags & wire::FLAG_NO_REPLY != 0 => Ok(()),
            Ok(reply) => owner.reply(&header, &reply),
            Err(errno) => {
                tracing::warn!(command = header.command, %errno, "request refused");
                owner.reply_error(&header, errno)
            }
        }
    }

    fn reset(&mut self, card: &mut CardSim) {
        tracing::debug!("function-level reset");
        self.config = ConfigSpace::new(&self.identity);
        card.set_bus_master(false);
        card.function_reset();
    }

    fn region_read(&mut self, body: &[u8], card: &mut CardSim) -> Result<Vec<u8>, Errno> {
        let (access, _) = parse::<wire::RegionAccess>(body)?;
        let count = access.count as usize;
        if count > wire::DATA_MAX_BYTES {
            return Err(Errno::EINVAL);
        }
        let mut reply = access.as_bytes().to_vec();
        let start = reply.len();
        reply.resize(start + count, 0xff);
        let data = &mut reply[start..];
        let offset = access.offset;
        let refused = match access.region {
            _ if self.is_removed() => true,
            wire::REGION_CONFIG => {
                self.config.read(offset, data);
                false
            }
            wire::REGION_BAR0 => !read_registers(card, offset, data),
            MSIX_BAR => match usize::try_from(offset)
                .ok()
                .and_then(|at| self.msix.get(at..at.checked_add(count)?))
            {
                Some(bytes) => {
                    data.copy_from_slice(bytes);
                    false
                }
                None => true,
            },
            _ => true,
        };
        self.count_refused(refused, "read", &access);
        Ok(reply)
    }

    fn region_write(&mut self, body: &[u8], card: &mut CardSim) -> Result<Vec<u8>, Errno> {
        let (access, data) = parse::<wire::RegionAccess>(body)?;
        if data.len() != access.count as usize {
            return Err(Errno::EINVAL);
        }
        let offset = access.offset;
        let refused = match access.region {
            _ if self.is_removed() => true,
            wire::REGION_CONFIG => {
                let effects = self.config.write(offset, data);
                if effects.reset {
                    self.reset(card);
                }
                card.set_bus_master(self.config.bus_master());
                false
            }
            wire::REGION_BAR0 => !write_registers(card, offset, data),
            MSIX_BAR => {
                let range = usize::try_from(offset)
                    .ok()
                    .and_then(|at| Some(at..at.checked_add(data.len())?));
                match range.and_then(|range| self.msix.get_mut(range)) {
                    Some(bytes) => {
                        bytes.copy_from_slice(data);
                        false
                    }
                    None => true,
                }
            }
            _ => true,
        };
        self.count_refused(refused, "write", &access);
        Ok(access.as_bytes().to_vec())
    }

    fn count_refused(&mut self, refused: bool, what: &str, access: &wire::RegionAccess) {
        if refused {
            self.refused_accesses += 1;
            tracing::debug!(
                region = access.region,
                offset = access.offset,
                count = access.count,
                "{what} has no effect"
            );
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        let _ = fs::remove_file(&self.path);
    }
}

fn parse<T: FromBytes + Immutable>(body: &[u8]) -> Result<(T, &[u8]), Errno> {
    T::read_from_prefix(body).map_err(|_| Errno::EINVAL)
}

/// Whole aligned registers; says whether the access was one.
fn read_registers(card: &mut CardSim, offset: u64, data: &mut [u8]) -> bool {
    let Some(offset) = registers(offset, data.len()) else { return false };
    for (i, word) in data.chunks_exact_mut(4).enumerate() {
        match card.read_reg(offset + 4 * i as u32) {
            Ok(value) => word.copy_from_slice(&value.to_le_bytes()),
            Err(error) => {
                tracing::error!(%error, "register read failed");
                return false;
            }
        }
    }
    true
}

/// Whole aligned registers; says whether the access was one.
fn write_registers(card: &mut CardSim, offset: u64, data: &[u8]) -> bool {
    let Some(offset) = registers(offset, data.len()) else { return false };
    for (i, word) in data.chunks_exact(4).enumerate() {
        let value = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        if let Err(error) = card.write_reg(offset + 4 * i as u32, value) {
            tracing::error!(%error, "register write failed");
            return false;
        }
    }
    true
}

fn registers(offset: u64, bytes: usize) -> Option<u32> {
    let end = offset.checked_add(bytes as u64)?;
    let whole = offset.is_multiple_of(4) && bytes.is_multiple_of(4) && end <= u64::from(BAR0_BYTES);
    u32::try_from(offset).ok().filter(|_| whole)
}

fn dma_map(body: &[u8], mut fds: Vec<OwnedFd>, card: &mut CardSim) -> Result<Vec<u8>, Errno> {
    let (map, _) = parse::<wire::DmaMap>(body)?;
    if fds.len() > 1 {
        return Err(Errno::EINVAL);
    }
    let access =
        Access { read: map.flags & wire::DMA_READ != 0, write: map.flags & wire::DMA_WRITE != 0 };
    card.dma().map_file(map.address, map.size, fds.pop(), map.offset, access).map_err(|error| {
        tracing::warn!(%error, "DMA map refused");
        Errno::EINVAL
    })?;
    Ok(Vec::new())
}

fn dma_unmap(body: &[u8], card: &mut CardSim) -> Result<Vec<u8>, Errno> {
    let (unmap, _) = parse::<wire::DmaUnmap>(body)?;
    if unmap.flags & wire::DMA_UNMAP_ALL != 0 && unmap.size == 0 {
        card.dma().clear();
    } else {
        card.dma().unmap(unmap.address, unmap.size);
    }
    Ok(unmap.as_bytes().to_vec())
}

fn device_info(body: &[u8]) -> Result<Vec<u8>, Errno> {
    let (_, _) = parse::<wire::DeviceInfo>(body)?;
    let info = wire::DeviceInfo {
        argsz: size_of::<wire::DeviceInfo>() as u32,
        flags: wire::DEVICE_RESETTABLE | wire::DEVICE_PCI,
        regions: wire::REGIONS,
        irqs: wire::IRQS,
    };
    Ok(info.as_bytes().to_vec())
}

fn region_info(body: &[u8], identity: &Identity) -> Result<Vec<u8>, Errno> {
    let (query, _) = parse::<wire::RegionInfo>(body)?;
    let size = match query.index {
        wire::REGION_BAR0 => u64::from(identity.bar0_bytes),
        MSIX_BAR => MSIX_BAR_BYTES,
        wire::REGION_CONFIG => CONFIG_BYTES,
        index if index < wire::REGIONS => 0,
        _ => return Err(Errno::EINVAL),
    };
    let flags = if size > 0 { wire::REGION_READABLE | wire::REGION_WRITABLE } else { 0 };
    let argsz = size_of::<wire::RegionInfo>() as u32;
    let info =
        wire::RegionInfo { argsz, flags, index: query.index, cap_offset: 0, size, offset: 0 };
    Ok(info.as_bytes().to_vec())
}

fn irq_info(body: &[u8], identity: &Identity) -> Result<Vec<u8>, Errno> {
    let (query, _) = parse::<wire::IrqInfo>(body)?;
    if query.index >= wire::IRQS {
        return Err(Errno::EINVAL);
    }
    let count = if query.index == wire::IRQ_MSIX { identity.msix_vectors } else { 0 };
    let argsz = size_of::<wire::IrqInfo>() as u32;
    let info = wire::IrqInfo { argsz, flags: wire::IRQ_EVENTFD, index: query.index, count };
    Ok(info.as_bytes().to_vec())
}

fn set_irqs(
    body: &[u8],
    fds: Vec<OwnedFd>,
    card: &mut CardSim,
    identity: &Identity,
) -> Result<Vec<u8>, Errno> {
    let (set, _) = parse::<wire::SetIrqs>(body)?;
    let end = set.start.checked_add(set.count).ok_or(Errno::EINVAL)?;
    let vectors = if set.index == wire::IRQ_MSIX { identity.msix_vectors } else { 0 };
    if set.index >= wire::IRQS || end > vectors {
        return Err(Errno::EINVAL);
    }
    if set.flags & wire::SET_ACTION_TRIGGER == 0 {
        return Ok(Vec::new()); // masks: the client's own business, as it holds the event descriptors
    }
    let named = set.start as usize..end as usize;
    if set.flags & wire::SET_DATA_EVENTFD != 0 {
        if fds.len() > named.len() {
            return Err(Errno::EINVAL);
        }
        let mut fds = fds.into_iter();
        for vector in named {
            // SAFETY: the descriptor was received for this purpose and is owned by `fds` until here.
            let irq = fds.next().map(|fd| unsafe { EventFd::from_raw_fd(fd.into_raw_fd()) });
            card.set_irq(vector, irq);
        }
    } else if set.count == 0 {
        (0..vectors as usize).for_each(|vector| card.set_irq(vector, None));
    } else {
        named.for_each(|vector| card.trigger_irq(vector));
    }
    Ok(Vec::new())
}
