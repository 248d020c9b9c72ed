//! Memory shared between host and card.
//!
//! [`SharedMemory`] is a mapped memory file that another process may change at any time; it is therefore never turned into
//! a Rust reference, only copied from and to by volatile words. [`DmaBuffer`] adds the bus address under which the card
//! knows it. The order of accesses is the caller's business: a release fence before a doorbell, an acquire fence after a
//! phase bit was seen.

use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// Bytes of a page; all DMA memory is a multiple of it.
pub(crate) const PAGE_BYTES: usize = 4096;

/// First bus address given out: above everything a 32-bit platform reserves (the MSI window among others).
pub const IOVA_BASE: u64 = 1 << 32;
/// Bus addresses stay below this: the narrowest IOMMU of interest has 39 bits.
pub(crate) const IOVA_END: u64 = 1 << 38;

/// A mapped memory file.
#[derive(Debug)]
pub struct SharedMemory {
    fd: OwnedFd,
    base: NonNull<c_void>,
    bytes: usize,
    writable: bool,
}

// SAFETY: the mapping stays until drop, is reached through volatile copies only, and belongs to no thread.
unsafe impl Send for SharedMemory {}
// SAFETY: as above; concurrent volatile word copies tear at worst between words, which users must expect of memory
// that a device writes.
unsafe impl Sync for SharedMemory {}

impl SharedMemory {
    /// New zeroed memory of at least `bytes`, rounded up to whole pages.
    ///
    /// # Errors
    /// The operating system's.
    pub fn create(bytes: usize) -> io::Result<Self> {
        let bytes = bytes.max(1).next_multiple_of(PAGE_BYTES);
        let fd = memfd_create("penstock-dma", MFdFlags::MFD_CLOEXEC)?;
        nix::unistd::ftruncate(&fd, i64::try_from(bytes).map_err(io::Error::other)?)?;
        Self::map(fd, bytes, true)
    }

    /// Maps the first `bytes` of a memory file that came from elsewhere.
    ///
    /// # Errors
    /// The operating system's; `InvalidInput` for a file shorter than `bytes`.
    pub fn map(fd: OwnedFd, bytes: usize, writable: bool) -> io::Result<Self> {
        let invalid = |what| io::Error::new(io::ErrorKind::InvalidInput, what);
        let size = nix::sys::stat::fstat(&fd)?.st_size;
        if usize::try_from(size).unwrap_or(0) < bytes {
            return Err(invalid("memory file is shorter than the mapping asked for"));
        }
        let length = NonZeroUsize::new(bytes).ok_or_else(|| invalid("empty mapping"))?;
        let mut prot = ProtFlags::PROT_READ;
        prot.set(ProtFlags::PROT_WRITE, writable);
        // SAFETY: a fresh shared mapping at an address of the kernel's choice touches no memory that Rust knows of.
        let base = unsafe { mmap(None, length, prot, MapFlags::MAP_SHARED, &fd, 0) }?;
        Ok(Self { fd, base, bytes, writable })
    }

    /// Bytes mapped.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Never: a mapping has at least one byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Whether [`SharedMemory::write`] is allowed.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// Where it is mapped, for the kernel's DMA set-up. Never to be turned into a reference.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.base.as_ptr().cast()
    }

    fn check(&self, offset: usize, bytes: usize) {
        let end = offset.checked_add(bytes);
        assert!(
            end.is_some_and(|end| end <= self.bytes),
            "access of {bytes} bytes at {offset} beyond {} bytes",
            self.bytes
        );
    }

    /// Copies out `into.len()` bytes from `offset`.
    ///
    /// # Panics
    /// Beyond the end: the caller's bug.
    pub fn read(&self, offset: usize, into: &mut [u8]) {
        self.check(offset, into.len());
        // SAFETY: in bounds by `check`.
        let mut from = unsafe { self.as_ptr().add(offset) }.cast_const();
        let (mut chunks, step) = (into.chunks_mut(8), offset.is_multiple_of(8));
        for chunk in &mut chunks {
            if step && chunk.len() == 8 {
                // SAFETY: in bounds by `check`; aligned, as the base is page aligned and `from` advances by eights.
                let word = unsafe { from.cast::<u64>().read_volatile() };
                chunk.copy_from_slice(&word.to_ne_bytes());
            } else {
                for (i, byte) in chunk.iter_mut().enumerate() {
                    // SAFETY: in bounds by `check`.
                    *byte = unsafe { from.add(i).read_volatile() };
                }
            }
            // SAFETY: at most one past the end of the range checked.
            from = unsafe { from.add(chunk.len()) };
        }
    }

    /// Copies in `data` at `offset`, the last word last, as a bus does: a record whose last word is seen new is seen whole by a
    /// reader that fences after it.
    ///
    /// # Panics
    /// Beyond the end or not writable: the caller's bug.
    pub fn write(&self, offset: usize, data: &[u8]) {
        self.check(offset, data.len());
        assert!(self.writable, "write to a read-only mapping");
        let step = offset.is_multiple_of(8);
        let last = data.len().div_ceil(8).saturating_sub(1);
        // The last word after a fence: whoever sees a record's phase, which lies there, sees the record whole.
        for (n, chunk) in data.chunks(8).enumerate() {
            if n == last {
                fence(Ordering::Release);
            }
            // SAFETY: in bounds by `check`.
            let to = unsafe { self.as_ptr().add(offset + n * 8) };
            if let (true, Ok(word)) = (step, chunk.try_into()) {
                // SAFETY: in bounds by `check`, and aligned, as the mapping is and `offset` a multiple of 8.
                unsafe { to.cast::<u64>().write_volatile(u64::from_ne_bytes(word)) };
            } else {
                for (i, byte) in chunk.iter().enumerate() {
                    // SAFETY: in bounds by `check`.
                    unsafe { to.add(i).write_volatile(*byte) };
                }
            }
        }
    }

    /// Reads one byte.
    ///
    /// # Panics
    /// Beyond the end: the caller's bug.
    #[must_use]
    pub fn read_u8(&self, offset: usize) -> u8 {
        self.check(offset, 1);
        // SAFETY: in bounds by `check`.
        unsafe { self.as_ptr().add(offset).read_volatile() }
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: base and length are those of the mapping made in `map`; nothing else holds the address.
        let unmapped = unsafe { munmap(self.base, self.bytes) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}

impl AsFd for SharedMemory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Memory that the card reaches at a bus address.
#[derive(Clone, Debug)]
pub struct DmaBuffer {
    memory: Arc<SharedMemory>,
    iova: u64,
}

impl DmaBuffer {
    /// Memory that a transport has mapped at `iova`.
    #[must_use]
    pub fn new(memory: Arc<SharedMemory>, iova: u64) -> Self {
        Self { memory, iova }
    }

    /// The bus address.
    #[must_use]
    pub fn iova(&self) -> u64 {
        self.iova
    }

    /// The memory.
    #[must_use]
    pub fn memory(&self) -> &Arc<SharedMemory> {
        &self.memory
    }
}

/// Gives out bus addresses, page aligned, upwards from [`IOVA_BASE`]. Nothing is reused, so that an address that was freed faults.
#[derive(Clone, Debug)]
pub struct IovaAllocator {
    next: u64,
}

impl Default for IovaAllocator {
    fn default() -> Self {
        Self { next: IOVA_BASE }
    }
}

impl IovaAllocator {
    /// A range of `bytes`, which is rounded up to whole pages; a page is left free after it, so that an overrun faults.
    pub fn alloc(&mut self, bytes: usize) -> Option<u64> {
        let span = u64::try_from(bytes.next_multiple_of(PAGE_BYTES) + PAGE_BYTES).ok()?;
        let start = self.next;
        self.next = start.checked_add(span).filter(|end| *end <= IOVA_END)?;
        Some(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_at_any_offset_and_length() {
        let memory = SharedMemory::create(100).unwrap();
        assert_eq!(memory.len(), PAGE_BYTES);
        for offset in 0..17 {
            for len in 0..33usize {
                let data: Vec<u8> = (0..len).map(|i| (i * 7 + offset + 1) as u8).collect();
                memory.write(offset, &data);
                let mut back = vec![0; len];
                memory.read(offset, &mut back);
                assert_eq!(back, data);
            }
        }
    }

    #[test]
    fn two_mappings_of_one_file_are_the_same_memory() {
        let a = SharedMemory::create(PAGE_BYTES).unwrap();
        let b =
            SharedMemory::map(a.as_fd().try_clone_to_owned().unwrap(), PAGE_BYTES, false).unwrap();
        a.write(8, b"12345678");
        assert_eq!(b.read_u8(15), b'8');
        assert!(
            SharedMemory::map(a.as_fd().try_clone_to_owned().unwrap(), 2 * PAGE_BYTES, false)
                .is_err()
        );
    }

    #[test]
    #[should_panic(expected = "beyond")]
    fn overrun_is_caught() {
        SharedMemory::create(PAGE_BYTES).unwrap().write(PAGE_BYTES - 4, &[0; 8]);
    }

    #[test]
    fn addresses_do_not_touch() {
        let mut iova = IovaAllocator::default();
        let a = iova.alloc(1).unwrap();
        let b = iova.alloc(5000).unwrap();
        let c = iova.alloc(1).unwrap();
        assert_eq!((a, b - a, c - b), (IOVA_BASE, 2 * 4096, 3 * 4096));
        assert_eq!(iova.alloc(1 << 40), None);
    }
}
