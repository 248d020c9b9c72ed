//! Messages of the vfio-user protocol (version 0.1), as far as a PCI function without migration needs them.
//!
//! A message is a [`Header`] and a body; `size` covers both. A reply repeats id and command; one with [`FLAG_ERROR`] is a
//! header alone, whatever the command. File descriptors travel with the first byte of their message. Host byte order.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bytes of a [`Header`].
pub const HEADER_BYTES: usize = 16;
/// Longest message accepted: a header, and an access of [`DATA_MAX_BYTES`].
pub const MESSAGE_MAX_BYTES: usize = DATA_MAX_BYTES + 256;
/// Longest access in one message.
pub const DATA_MAX_BYTES: usize = 1 << 16;
/// Most descriptors in one message.
pub const FDS_MAX: usize = 8;
/// Protocol version spoken: major.
pub const VERSION_MAJOR: u16 = 0;
/// Protocol version spoken: highest minor.
pub const VERSION_MINOR: u16 = 1;

/// Header flag: this is a reply.
pub const FLAG_REPLY: u32 = 1;
/// Header flag: the sender wants no reply.
pub const FLAG_NO_REPLY: u32 = 1 << 4;
/// Header flag: the request failed, `error` says why.
pub const FLAG_ERROR: u32 = 1 << 5;

/// Command codes.
pub mod command {
    /// Negotiates version and capabilities; first message of a connection.
    pub const VERSION: u16 = 1;
    /// Maps memory at a bus address.
    pub const DMA_MAP: u16 = 2;
    /// Unmaps a range of bus addresses.
    pub const DMA_UNMAP: u16 = 3;
    /// Asks for the number of regions and interrupts.
    pub const DEVICE_GET_INFO: u16 = 4;
    /// Asks for a region's size and flags.
    pub const DEVICE_GET_REGION_INFO: u16 = 5;
    /// Asks for an interrupt type's vectors.
    pub const DEVICE_GET_IRQ_INFO: u16 = 7;
    /// Connects interrupt vectors to event descriptors.
    pub const DEVICE_SET_IRQS: u16 = 8;
    /// Reads a region.
    pub const REGION_READ: u16 = 9;
    /// Writes a region.
    pub const REGION_WRITE: u16 = 10;
    /// Resets the function.
    pub const DEVICE_RESET: u16 = 13;
}

/// What stands before every body.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// Chosen by the sender of the request.
    pub id: u16,
    /// `command::*`.
    pub command: u16,
    /// Bytes of header and body.
    pub size: u32,
    /// `FLAG_*`.
    pub flags: u32,
    /// Error number (with [`FLAG_ERROR`]).
    pub error: u32,
}

/// Body of `VERSION`, followed by JSON and a NUL.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Version {
    /// Major number; both sides must agree.
    pub major: u16,
    /// Minor number; the lower one counts.
    pub minor: u16,
}

/// Body of `DMA_MAP`; the descriptor of the memory file goes with it, or the memory cannot be reached.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct DmaMap {
    /// Bytes of this structure.
    pub argsz: u32,
    /// [`DMA_READ`], [`DMA_WRITE`].
    pub flags: u32,
    /// Offset in the memory file.
    pub offset: u64,
    /// Bus address.
    pub address: u64,
    /// Bytes.
    pub size: u64,
}

/// The device may read the memory.
pub const DMA_READ: u32 = 1;
/// The device may write the memory.
pub const DMA_WRITE: u32 = 2;

/// Body of `DMA_UNMAP` and of its reply.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct DmaUnmap {
    /// Bytes of this structure.
    pub argsz: u32,
    /// See [`DMA_UNMAP_ALL`].
    pub flags: u32,
    /// Bus address.
    pub address: u64,
    /// Bytes.
    pub size: u64,
}

/// Flags with which address 0, size 0 means everything: bit 1 as in the kernel's VFIO, bit 2 as some clients have it.
pub const DMA_UNMAP_ALL: u32 = 0b110;

/// Body of `DEVICE_GET_INFO` and of its reply.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct DeviceInfo {
    /// Bytes of this structure.
    pub argsz: u32,
    /// [`DEVICE_RESETTABLE`], [`DEVICE_PCI`].
    pub flags: u32,
    /// Regions.
    pub regions: u32,
    /// Interrupt types.
    pub irqs: u32,
}

/// The function can be reset.
pub const DEVICE_RESETTABLE: u32 = 1;
/// It is a PCI function.
pub const DEVICE_PCI: u32 = 2;

/// Body of `DEVICE_GET_REGION_INFO` and of its reply.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RegionInfo {
    /// Bytes of this structure and of the capabilities behind it.
    pub argsz: u32,
    /// [`REGION_READABLE`], [`REGION_WRITABLE`].
    pub flags: u32,
    /// Region.
    pub index: u32,
    /// Offset of the first capability; 0 = none.
    pub cap_offset: u32,
    /// Bytes of the region; 0 = not there.
    pub size: u64,
    /// Offset in the descriptor that can be mapped.
    pub offset: u64,
}

/// The region can be read.
pub const REGION_READABLE: u32 = 1;
/// The region can be written.
pub const REGION_WRITABLE: u32 = 2;
/// Region of BAR 0.
pub const REGION_BAR0: u32 = 0;
/// Region of the configuration space.
pub const REGION_CONFIG: u32 = 7;
/// Number of regions of a PCI function.
pub const REGIONS: u32 = 9;

/// Body of `DEVICE_GET_IRQ_INFO` and of its reply.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct IrqInfo {
    /// Bytes of this structure.
    pub argsz: u32,
    /// [`IRQ_EVENTFD`].
    pub flags: u32,
    /// Interrupt type.
    pub index: u32,
    /// Vectors.
    pub count: u32,
}

/// Vectors of the type can be connected to event descriptors.
pub const IRQ_EVENTFD: u32 = 1;
/// Interrupt type of MSI-X.
pub const IRQ_MSIX: u32 = 2;
/// Number of interrupt types of a PCI function.
pub const IRQS: u32 = 5;

/// Body of `DEVICE_SET_IRQS`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SetIrqs {
    /// Bytes of this structure.
    pub argsz: u32,
    /// `SET_*`.
    pub flags: u32,
    /// Interrupt type.
    pub index: u32,
    /// First vector.
    pub start: u32,
    /// Vectors.
    pub count: u32,
}

/// `SetIrqs`: no data.
pub const SET_DATA_NONE: u32 = 1;
/// `SetIrqs`: data are descriptors, one a vector; none at all disconnects.
pub const SET_DATA_EVENTFD: u32 = 4;
/// `SetIrqs`: about the signal itself (as opposed to masking).
pub const SET_ACTION_TRIGGER: u32 = 32;

/// Body of `REGION_READ` (data follow in the reply) and of `REGION_WRITE` (data follow in the request).
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RegionAccess {
    /// Offset in the region.
    pub offset: u64,
    /// Region.
    pub region: u32,
    /// Bytes.
    pub count: u32,
}

/// Sends bytes, and descriptors with the first of them. Returns how many bytes went out.
///
/// # Errors
/// The operating system's; `WouldBlock` also for a send time-out.
pub fn send_with_fds(socket: BorrowedFd<'_>, data: &[u8], fds: &[RawFd]) -> io::Result<usize> {
    let rights = [ControlMessage::ScmRights(fds)];
    let control: &[ControlMessage<'_>] = if fds.is_empty() { &[] } else { &rights };
    Ok(sendmsg::<()>(
        socket.as_raw_fd(),
        &[IoSlice::new(data)],
        control,
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?)
}

/// Receives what is there, up to `into.len()` bytes; descriptors are appended to `fds`. 0 = the peer has closed.
///
/// # Errors
/// The operating system's; `WouldBlock` also for a receive time-out.
pub fn recv_with_fds(
    socket: BorrowedFd<'_>,
    into: &mut [u8],
    fds: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut control = nix::cmsg_space!([RawFd; FDS_MAX]);
    let mut slices = [IoSliceMut::new(into)];
    let message = recvmsg::<()>(
        socket.as_raw_fd(),
        &mut slices,
        Some(&mut control),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )?;
    for item in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(received) = item {
            // SAFETY: the kernel has just made these descriptors for us; each is taken exactly once.
            fds.extend(received.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    Ok(message.bytes)
}
