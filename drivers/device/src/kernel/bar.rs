//! BAR 0 of a function, mapped into this process.

use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use penstock_abi::regs::BAR0_BYTES;

use crate::error::DeviceError;

/// The mapping; ends with the value, which must be before the function's descriptor is closed.
#[derive(Debug)]
pub(super) struct Bar {
    base: NonNull<u32>,
}

// SAFETY: the mapping belongs to this value alone and to no thread.
unsafe impl Send for Bar {}

impl Bar {
    /// Maps the registers that lie at `offset` of a function's descriptor.
    pub(super) fn map(device: BorrowedFd<'_>, offset: u64) -> nix::Result<Self> {
        let length = NonZeroUsize::new(BAR0_BYTES as usize).ok_or(Errno::EINVAL)?;
        let offset = i64::try_from(offset).map_err(|_| Errno::EOVERFLOW)?;
        let prot = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a fresh shared mapping of device registers at an address of the kernel's choice.
        let base = unsafe { mmap(None, length, prot, MapFlags::MAP_SHARED, device, offset) }?;
        Ok(Self { base: base.cast() })
    }

    fn register(&self, offset: u32) -> Result<NonNull<u32>, DeviceError> {
        if offset >= BAR0_BYTES || !offset.is_multiple_of(4) {
            return Err(DeviceError::protocol(format!("no register at {offset:#x}")));
        }
        // SAFETY: in bounds and aligned by the check above.
        Ok(unsafe { self.base.add(offset as usize / 4) })
    }

    pub(super) fn read(&self, offset: u32) -> Result<u32, DeviceError> {
        let register = self.register(offset)?;
        // SAFETY: `register` points into the mapped BAR, aligned; device registers are accessed by volatile words only.
        Ok(u32::from_le(unsafe { register.read_volatile() }))
    }

    pub(super) fn write(&self, offset: u32, value: u32) -> Result<(), DeviceError> {
        let register = self.register(offset)?;
        // SAFETY: as in `read`.
        unsafe { register.write_volatile(value.to_le()) };
        Ok(())
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        // SAFETY: address and length of the mapping made in `map`.
        let unmapped = unsafe { munmap(self.base.cast(), BAR0_BYTES as usize) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}
