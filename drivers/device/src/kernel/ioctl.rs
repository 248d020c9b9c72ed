//! The requests of `/dev/vfio` that the driver makes on an open function and its container, each with its error reported.
//!
//! Structures are the kernel's (`vfio-bindings`); request numbers carry no size, as VFIO's do not.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use nix::errno::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_API_VERSION, VFIO_BASE, VFIO_DEVICE_FLAGS_PCI, VFIO_DMA_MAP_FLAG_READ,
    VFIO_DMA_MAP_FLAG_WRITE, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD,
    VFIO_IRQ_SET_DATA_NONE, VFIO_PCI_MSIX_IRQ_INDEX, VFIO_TYPE1v2_IOMMU, vfio_device_info,
    vfio_iommu_type1_dma_map, vfio_iommu_type1_dma_unmap, vfio_irq_info, vfio_region_info,
};

/// Most vectors that one request connects.
pub(super) const VECTORS_MAX: usize = 16;

/// `vfio_irq_set` with room for descriptors in place of its open end.
#[repr(C)]
struct IrqSet {
    argsz: u32,
    flags: u32,
    index: u32,
    start: u32,
    count: u32,
    fds: [RawFd; VECTORS_MAX],
}

const IRQ_SET_HEAD_BYTES: usize = 20;

/// Documentation of the requests stands in the kernel's `linux/vfio.h`.
#[allow(missing_docs)]
mod request {
    use super::*;
    use nix::{
        ioctl_none_bad, ioctl_readwrite_bad, ioctl_write_int_bad, ioctl_write_ptr_bad,
        request_code_none,
    };

    const TYPE: u8 = b';';
    const BASE: u8 = VFIO_BASE as u8;

    ioctl_none_bad!(api_version, request_code_none!(TYPE, BASE));
    ioctl_write_int_bad!(check_extension, request_code_none!(TYPE, BASE + 1));
    ioctl_readwrite_bad!(device_info, request_code_none!(TYPE, BASE + 7), vfio_device_info);
    ioctl_readwrite_bad!(region_info, request_code_none!(TYPE, BASE + 8), vfio_region_info);
    ioctl_readwrite_bad!(irq_info, request_code_none!(TYPE, BASE + 9), vfio_irq_info);
    ioctl_write_ptr_bad!(set_irqs, request_code_none!(TYPE, BASE + 10), IrqSet);
    ioctl_none_bad!(reset, request_code_none!(TYPE, BASE + 11));
    ioctl_write_ptr_bad!(map_dma, request_code_none!(TYPE, BASE + 13), vfio_iommu_type1_dma_map);
    ioctl_readwrite_bad!(
        unmap_dma,
        request_code_none!(TYPE, BASE + 14),
        vfio_iommu_type1_dma_unmap
    );
}

/// Where a region lies in the function's descriptor.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RegionPlace {
    pub(super) bytes: u64,
    pub(super) flags: u32,
    pub(super) offset: u64,
}

/// Checks that the descriptor is a container that speaks the version and IOMMU type used here.
pub(super) fn check_container(container: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: takes no argument.
    let version = unsafe { request::api_version(container.as_raw_fd()) }?;
    // SAFETY: takes a number.
    let type1 =
        unsafe { request::check_extension(container.as_raw_fd(), VFIO_TYPE1v2_IOMMU as i32) }?;
    if u32::try_from(version) != Ok(VFIO_API_VERSION) || type1 != 1 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(())
}

/// Checks that the descriptor is a PCI function.
pub(super) fn check_device(device: BorrowedFd<'_>) -> io::Result<()> {
    let mut info =
        vfio_device_info { argsz: size_of::<vfio_device_info>() as u32, ..Default::default() };
    // SAFETY: `info` lives during the call and is as long as its `argsz` says.
    unsafe { request::device_info(device.as_raw_fd(), &raw mut info) }?;
    if info.flags & VFIO_DEVICE_FLAGS_PCI == 0 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(())
}

/// Size, flags and place of a region; all zeros for one that is not there.
pub(super) fn region(device: BorrowedFd<'_>, index: u32) -> io::Result<RegionPlace> {
    let argsz = size_of::<vfio_region_info>() as u32;
    let mut info = vfio_region_info { argsz, index, ..Default::default() };
    // SAFETY: `info` lives during the call and is as long as its `argsz` says.
    unsafe { request::region_info(device.as_raw_fd(), &raw mut info) }?;
    Ok(RegionPlace { bytes: info.size, flags: info.flags, offset: info.offset })
}

/// MSI-X vectors of the function; 0 without MSI-X.
pub(super) fn msix_vectors(device: BorrowedFd<'_>) -> io::Result<u32> {
    let argsz = size_of::<vfio_irq_info>() as u32;
    let mut info = vfio_irq_info { argsz, index: VFIO_PCI_MSIX_IRQ_INDEX, ..Default::default() };
    // SAFETY: `info` lives during the call and is as long as its `argsz` says.
    unsafe { request::irq_info(device.as_raw_fd(), &raw mut info) }?;
    Ok(info.count)
}

/// Connects vectors from `start` to event descriptors; `None` disconnects its vector.
pub(super) fn connect_irqs(
    device: BorrowedFd<'_>,
    start: u32,
    irqs: &[Option<RawFd>],
) -> io::Result<()> {
    if irqs.len() > VECTORS_MAX {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut fds = [-1; VECTORS_MAX];
    for (slot, irq) in fds.iter_mut().zip(irqs) {
        *slot = irq.unwrap_or(-1);
    }
    set_irqs(device, VFIO_IRQ_SET_DATA_EVENTFD, start, irqs.len(), fds)
}

/// Disconnects all vectors and turns MSI-X off; nothing happens if it is off.
pub(super) fn disarm_irqs(device: BorrowedFd<'_>) -> io::Result<()> {
    match set_irqs(device, VFIO_IRQ_SET_DATA_NONE, 0, 0, [-1; VECTORS_MAX]) {
        // The kernel's answer when MSI-X is off already.
        Err(e) if e.raw_os_error() == Some(nix::libc::EINVAL) => Ok(()),
        other => other,
    }
}

fn set_irqs(
    device: BorrowedFd<'_>,
    data: u32,
    start: u32,
    count: usize,
    fds: [RawFd; VECTORS_MAX],
) -> io::Result<()> {
    let set = IrqSet {
        argsz: (IRQ_SET_HEAD_BYTES + count * size_of::<RawFd>()) as u32,
        flags: data | VFIO_IRQ_SET_ACTION_TRIGGER,
        index: VFIO_PCI_MSIX_IRQ_INDEX,
        start,
        count: count as u32,
        fds,
    };
    // SAFETY: `set` lives during the call and is at least as long as its `argsz` says, as `count` is at most `VECTORS_MAX`.
    unsafe { request::set_irqs(device.as_raw_fd(), &raw const set) }?;
    Ok(())
}

/// Function-level reset.
pub(super) fn reset(device: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: takes no argument.
    unsafe { request::reset(device.as_raw_fd()) }?;
    Ok(())
}

/// Maps `bytes` of this process' memory at a bus address, for reading and writing.
///
/// # Safety
/// The memory at `address` stays mapped in this process until it is unmapped from the bus or this process ends, and is reached by
/// volatile accesses only.
pub(super) unsafe fn map_dma(
    container: BorrowedFd<'_>,
    iova: u64,
    address: *mut u8,
    bytes: usize,
) -> io::Result<()> {
    let map = vfio_iommu_type1_dma_map {
        argsz: size_of::<vfio_iommu_type1_dma_map>() as u32,
        flags: VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
        vaddr: address as u64,
        iova,
        size: bytes as u64,
    };
    // SAFETY: `map` lives during the call; what it names is the caller's promise.
    unsafe { request::map_dma(container.as_raw_fd(), &raw const map) }?;
    Ok(())
}

/// Unmaps every mapping that lies in `bytes` from `iova`; one that only overlaps the range is refused. Says how many bytes were
/// unmapped: 0 when nothing was mapped there, and on kernels before 6.0 also when another process had mapped it.
pub(super) fn unmap_dma(container: BorrowedFd<'_>, iova: u64, bytes: u64) -> io::Result<u64> {
    let mut unmap = vfio_iommu_type1_dma_unmap {
        argsz: size_of::<vfio_iommu_type1_dma_unmap>() as u32,
        flags: 0,
        iova,
        size: bytes,
        ..Default::default()
    };
    // SAFETY: `unmap` lives during the call and is as long as its `argsz` says.
    unsafe { request::unmap_dma(container.as_raw_fd(), &raw mut unmap) }?;
    Ok(unmap.size)
}

/// Whether a mapping was refused because something is mapped there.
pub(super) fn is_taken(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::EEXIST as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_are_the_kernels() {
        use vfio_bindings::bindings::vfio::vfio_irq_set;
        assert_eq!(size_of::<vfio_irq_set>(), IRQ_SET_HEAD_BYTES);
        assert_eq!(core::mem::offset_of!(IrqSet, fds), IRQ_SET_HEAD_BYTES);
    }

    #[test]
    fn foreign_descriptors_are_refused() {
        use std::os::fd::AsFd;
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(check_container(file.as_fd()).is_err());
        assert!(check_device(file.as_fd()).is_err());
        assert!(unmap_dma(file.as_fd(), 0, 4096).is_err());
    }
}
