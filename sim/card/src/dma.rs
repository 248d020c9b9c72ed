//! What the card sees of host memory: bus addresses mapped to memory files.
//!
//! Ranges may be as small as a page and neighbours may lie anywhere, so accesses are walked range by range. Each memory file is
//! mapped once, however many ranges refer to it. A range without a file (a virtual machine's ROM) exists but cannot be reached.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

use penstock_device::SharedMemory;

/// An access outside the mapped ranges, or against their permissions: a bus error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bus error at {address:#x}")]
pub struct DmaFault {
    /// First bus address that failed.
    pub address: u64,
}

/// A range that cannot be mapped.
#[derive(Debug, thiserror::Error)]
pub enum DmaMapError {
    /// It overlaps one that is mapped. The client's.
    #[error("bus addresses {address:#x} to {end:#x} overlap a range that is mapped")]
    Overlap {
        /// Start.
        address: u64,
        /// End.
        end: u64,
    },
    /// It is empty or wraps round. The client's.
    #[error("a range of {bytes} bytes at {address:#x} is not a range")]
    NotARange {
        /// Start.
        address: u64,
        /// Bytes.
        bytes: u64,
    },
    /// The memory file cannot be mapped.
    #[error("cannot map the memory file")]
    Map(#[from] std::io::Error),
}

#[derive(Debug)]
struct Range {
    bytes: u64,
    memory: Option<Arc<SharedMemory>>,
    offset: usize,
    readable: bool,
    writable: bool,
}

/// The mapped ranges.
#[derive(Debug, Default)]
pub struct DmaMap {
    ranges: BTreeMap<u64, Range>,
    files: Vec<((u64, u64), Weak<SharedMemory>)>,
}

/// Permissions of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl DmaMap {
    /// Maps memory of this process.
    ///
    /// # Errors
    /// [`DmaMapError::Overlap`], [`DmaMapError::NotARange`].
    pub fn map_memory(
        &mut self,
        address: u64,
        memory: Arc<SharedMemory>,
    ) -> Result<(), DmaMapError> {
        let bytes = memory.len() as u64;
        self.insert(
            address,
            Range { bytes, memory: Some(memory), offset: 0, readable: true, writable: true },
        )
    }

    /// Maps `bytes` of a memory file from `offset`; without a file the range exists but every access to it faults.
    pub(crate) fn map_file(
        &mut self,
        address: u64,
        bytes: u64,
        file: Option<OwnedFd>,
        offset: u64,
        access: Access,
    ) -> Result<(), DmaMapError> {
        let memory = file.map(|fd| self.whole_file(fd)).transpose()?;
        let offset = usize::try_from(offset).map_err(std::io::Error::other)?;
        if let Some(memory) = &memory {
            let end = (offset as u64).checked_add(bytes);
            if end.is_none_or(|end| end > memory.len() as u64) {
                return Err(DmaMapError::NotARange { address, bytes });
            }
        }
        let writable = access.write && memory.as_ref().is_some_and(|m| m.is_writable());
        self.insert(address, Range { bytes, memory, offset, readable: access.read, writable })
    }

    fn whole_file(&mut self, fd: OwnedFd) -> std::io::Result<Arc<SharedMemory>> {
        let stat = nix::sys::stat::fstat(&fd)?;
        let key = (stat.st_dev, stat.st_ino);
        let bytes = usize::try_from(stat.st_size).map_err(std::io::Error::other)?;
        self.files.retain(|(_, memory)| memory.strong_count() > 0);
        let known =
            self.files.iter().find(|(k, _)| *k == key).and_then(|(_, memory)| memory.upgrade());
        if let Some(memory) = known.filter(|memory| memory.len() == bytes) {
            return Ok(memory);
        }
        let read_only = fd.try_clone()?;
        let memory = SharedMemory::map(fd, bytes, true)
            .or_else(|_| SharedMemory::map(read_only, bytes, false))?;
        let memory = Arc::new(memory);
        self.files.push((key, Arc::downgrade(&memory)));
        Ok(memory)
    }

    fn insert(&mut self, address: u64, range: Range) -> Result<(), DmaMapError> {
        let bytes = range.bytes;
        let end = address.checked_add(bytes).filter(|_| bytes > 0);
        let end = end.ok_or(DmaMapError::NotARange { address, bytes })?;
        let before = self.ranges.range(..end).next_back();
        if before.is_some_and(|(start, range)| start + range.bytes > address) {
            return Err(DmaMapError::Overlap { address, end });
        }
        self.ranges.insert(address, range);
        Ok(())
    }

    /// Unmaps every range that lies in `bytes` from `address`, also in part; there may be many or none.
    pub fn unmap(&mut self, address: u64, bytes: u64) {
        let end = address.saturating_add(bytes);
        self.ranges.retain(|start, range| *start >= end || start + range.bytes <= address);
    }

    /// Unmaps everything.
    pub fn clear(&mut self) {
        self.ranges.clear();
        self.files.clear();
    }

    /// Ranges mapped.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether nothing is mapped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Calls `each(memory, offset in it, range of the access)` for every piece of an access.
    fn walk(
        &self,
        address: u64,
        bytes: usize,
        permitted: impl Fn(&Range) -> bool,
        mut each: impl FnMut(&SharedMemory, usize, std::ops::Range<usize>),
    ) -> Result<(), DmaFault> {
        let mut done = 0;
        while done < bytes {
            let at = address.checked_add(done as u64).ok_or(DmaFault { address })?;
            let fault = DmaFault { address: at };
            let (start, range) = self.ranges.range(..=at).next_back().ok_or(fault)?;
            let within = at - start;
            let memory = range
                .memory
                .as_deref()
                .filter(|_| within < range.bytes && permitted(range))
                .ok_or(fault)?;
            let piece =
                usize::try_from(range.bytes - within).unwrap_or(usize::MAX).min(bytes - done);
            each(memory, range.offset + within as usize, done..done + piece);
            done += piece;
        }
        Ok(())
    }

    /// Reads from a bus address.
    ///
    /// # Errors
    /// [`DmaFault`]; what `into` then holds is not said.
    pub fn read(&self, address: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        let bytes = into.len();
        self.walk(
            address,
            bytes,
            |r| r.readable,
            |memory, offset, piece| memory.read(offset, &mut into[piece]),
        )
    }

    /// Writes to a bus address.
    ///
    /// # Errors
    /// [`DmaFault`]; pieces before the faulting one are written.
    pub fn write(&self, address: u64, data: &[u8]) -> Result<(), DmaFault> {
        self.walk(
            address,
            data.len(),
            |r| r.writable,
            |memory, offset, piece| memory.write(offset, &data[piece]),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    const RW: Access = Access { read: true, write: true };

    #[test]
    fn accesses_cross_ranges_that_lie_apart_in_memory() {
        let memory = SharedMemory::create(4 * 4096).unwrap();
        let fd = || Some(memory.as_fd().try_clone_to_owned().unwrap());
        let mut map = DmaMap::default();
        map.map_file(0x1000, 4096, fd(), 3 * 4096, RW).unwrap();
        map.map_file(0x2000, 4096, fd(), 0, RW).unwrap();
        map.write(0x1fc0, &[7; 128]).unwrap();
        assert_eq!(
            (memory.read_u8(4 * 4096 - 1), memory.read_u8(0), memory.read_u8(63)),
            (7, 7, 7)
        );
        let mut back = [0; 128];
        map.read(0x1fc0, &mut back).unwrap();
        assert_eq!(back, [7; 128]);
        assert_eq!(map.read(0x2fc0, &mut back), Err(DmaFault { address: 0x3000 }));
    }

    #[test]
    fn permissions_files_and_overlaps() {
        let memory = SharedMemory::create(4096).unwrap();
        let fd = || Some(memory.as_fd().try_clone_to_owned().unwrap());
        let mut map = DmaMap::default();
        map.map_file(0x1000, 4096, fd(), 0, Access { read: true, write: false }).unwrap();
        map.map_file(0x5000, 4096, None, 0, RW).unwrap();
        assert!(map.write(0x1000, &[1]).is_err());
        assert!(map.read(0x5000, &mut [0]).is_err());
        assert!(matches!(
            map.map_file(0x1800, 4096, fd(), 0, RW),
            Err(DmaMapError::Overlap { .. })
        ));
        assert!(matches!(
            map.map_file(0x9000, 8192, fd(), 0, RW),
            Err(DmaMapError::NotARange { .. })
        ));
        assert!(matches!(
            map.map_file(u64::MAX, 4096, fd(), 0, RW),
            Err(DmaMapError::NotARange { .. })
        ));
        map.unmap(0, u64::MAX);
        assert!(map.is_empty());
    }
}
