//! A PCI function bound to the kernel's `vfio-pci`: a real card, or the simulated one inside a virtual machine.
//!
//! BAR 0 is mapped and accessed by volatile words; DMA memory is a memory file mapped through the IOMMU; interrupts are
//! MSI-X event descriptors. Field order matters on drop: the BAR is unmapped before the group is let go.

use std::fs;
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use penstock_abi::regs::BAR0_BYTES;
use vfio_bindings::bindings::vfio::{
    VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_MSIX_IRQ_INDEX,
    VFIO_REGION_INFO_FLAG_MMAP,
};
use vfio_ioctls::{VfioContainer, VfioDevice, VfioError, VfioOps};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::{DeviceError, DmaBuffer, IovaAllocator, PciTransport, SharedMemory};

const PCI_COMMAND: u64 = 4;
const PCI_COMMAND_MEMORY_MASTER: u16 = 0b110;

/// A PCI function reached through `/dev/vfio`.
pub struct KernelVfio {
    bar0: Bar,
    irqs: Vec<EventFd>,
    buffers: Vec<DmaBuffer>,
    iova: IovaAllocator,
    device: VfioDevice,
    container: Arc<VfioContainer>,
    bdf: String,
}

/// BAR 0, mapped.
struct Bar {
    base: NonNull<u32>,
}

// SAFETY: the mapping belongs to this value alone and to no thread.
unsafe impl Send for Bar {}

impl Bar {
    fn map(device: &VfioDevice) -> nix::Result<Self> {
        let length = NonZeroUsize::new(BAR0_BYTES as usize).ok_or(nix::errno::Errno::EINVAL)?;
        let offset = device.get_region_offset(VFIO_PCI_BAR0_REGION_INDEX);
        let offset = i64::try_from(offset).map_err(|_| nix::errno::Errno::EOVERFLOW)?;
        // SAFETY: `device` keeps its descriptor open at least during this call.
        let fd = unsafe { BorrowedFd::borrow_raw(device.as_raw_fd()) };
        let prot = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a fresh shared mapping of device registers at an address of the kernel's choice.
        let base = unsafe { mmap(None, length, prot, MapFlags::MAP_SHARED, fd, offset) }?;
        Ok(Self { base: base.cast() })
    }

    fn register(&self, offset: u32) -> Result<NonNull<u32>, DeviceError> {
        if offset >= BAR0_BYTES || !offset.is_multiple_of(4) {
            return Err(DeviceError::protocol(format!("no register at {offset:#x}")));
        }
        // SAFETY: in bounds and aligned by the check above.
        Ok(unsafe { self.base.add(offset as usize / 4) })
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        // SAFETY: address and length of the mapping made in `map`.
        let unmapped = unsafe { munmap(self.base.cast(), BAR0_BYTES as usize) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}

impl KernelVfio {
    /// Opens the function `bdf` (`0000:01:00.0`), which must be bound to `vfio-pci`.
    ///
    /// # Errors
    /// [`DeviceError::Connect`] when it is not there or not bound, [`DeviceError::InUse`] when another process has it.
    pub fn open(bdf: &str) -> Result<Self, DeviceError> {
        let path = Path::new("/sys/bus/pci/devices").join(bdf);
        check_bound(&path)?;
        let failed = |e: VfioError| opening(&path, e);
        let container = Arc::new(VfioContainer::new(None).map_err(failed)?);
        let ops: Arc<dyn VfioOps> = container.clone();
        let device = VfioDevice::new(&path, ops, false).map_err(failed)?;
        let (size, flags) = (
            device.get_region_size(VFIO_PCI_BAR0_REGION_INDEX),
            device.get_region_flags(VFIO_PCI_BAR0_REGION_INDEX),
        );
        if size < u64::from(BAR0_BYTES) || flags & VFIO_REGION_INFO_FLAG_MMAP == 0 {
            return Err(DeviceError::protocol(format!(
                "BAR 0 of {bdf} has {size} bytes and flags {flags:#x}"
            )));
        }
        let bar0 =
            Bar::map(&device).map_err(|e| DeviceError::io(format!("map BAR 0 of {bdf}"), e))?;
        let function = Self {
            bar0,
            irqs: Vec::new(),
            buffers: Vec::new(),
            iova: IovaAllocator::default(),
            device,
            container,
            bdf: bdf.to_owned(),
        };
        function.enable_bus_master();
        Ok(function)
    }

    fn enable_bus_master(&self) {
        let mut bits = [0; 2];
        self.device.region_read(VFIO_PCI_CONFIG_REGION_INDEX, &mut bits, PCI_COMMAND);
        let bits = u16::from_le_bytes(bits) | PCI_COMMAND_MEMORY_MASTER;
        self.device.region_write(VFIO_PCI_CONFIG_REGION_INDEX, &bits.to_le_bytes(), PCI_COMMAND);
    }
}

fn check_bound(path: &Path) -> Result<(), DeviceError> {
    let connect = |source| DeviceError::Connect { path: path.to_owned(), source };
    fs::metadata(path).map_err(connect)?;
    let driver = fs::read_link(path.join("driver")).unwrap_or_default();
    if driver.file_name().is_some_and(|name| name == "vfio-pci") {
        return Ok(());
    }
    Err(connect(std::io::Error::other(
        "the function is not bound to vfio-pci (driver_override, drivers_probe)",
    )))
}

fn opening(path: &Path, error: VfioError) -> DeviceError {
    let path = PathBuf::from(path);
    if let VfioError::OpenGroup(source, _) = &error
        && source.raw_os_error() == Some(nix::libc::EBUSY)
    {
        return DeviceError::InUse { path };
    }
    DeviceError::Connect { path, source: std::io::Error::other(error) }
}

impl PciTransport for KernelVfio {
    fn read32(&mut self, offset: u32) -> Result<u32, DeviceError> {
        let register = self.bar0.register(offset)?;
        // SAFETY: `register` points into the mapped BAR, aligned; device registers are accessed by volatile words only.
        Ok(u32::from_le(unsafe { register.read_volatile() }))
    }

    fn write32(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        let register = self.bar0.register(offset)?;
        // SAFETY: as in `read32`.
        unsafe { register.write_volatile(value.to_le()) };
        Ok(())
    }

    fn dma_alloc(&mut self, bytes: usize) -> Result<DmaBuffer, DeviceError> {
        let memory =
            SharedMemory::create(bytes).map_err(|e| DeviceError::io("allocate DMA memory", e))?;
        let iova = self
            .iova
            .alloc(memory.len())
            .ok_or_else(|| DeviceError::protocol("out of bus addresses"))?;
        // SAFETY: the mapping of `memory` stays until the container has unmapped it: `self.buffers` keeps it, and `drop`
        // unmaps before `buffers` is dropped.
        let mapped = unsafe { self.container.vfio_dma_map(iova, memory.len(), memory.as_ptr()) };
        mapped.map_err(|e| DeviceError::Refused {
            what: "DMA map".to_owned(),
            source: std::io::Error::other(e),
        })?;
        let buffer = DmaBuffer::new(Arc::new(memory), iova);
        self.buffers.push(buffer.clone());
        Ok(buffer)
    }

    fn arm_irqs(&mut self, vectors: u32) -> Result<Vec<EventFd>, DeviceError> {
        let error = |e| DeviceError::io("create event descriptors", e);
        let refused = |e: VfioError| DeviceError::Refused {
            what: "interrupt set-up".to_owned(),
            source: std::io::Error::other(e),
        };
        let there = self.device.get_irq_info(VFIO_PCI_MSIX_IRQ_INDEX).map_or(0, |info| info.count);
        if there < vectors {
            return Err(DeviceError::protocol(format!(
                "{} has {there} MSI-X vectors, {vectors} needed",
                self.bdf
            )));
        }
        if !self.irqs.is_empty() {
            self.device.disable_msix().map_err(refused)?;
        }
        let fds = (0..vectors)
            .map(|_| EventFd::new(EFD_NONBLOCK))
            .collect::<Result<Vec<_>, _>>()
            .map_err(error)?;
        self.device.enable_msix(fds.iter().collect()).map_err(refused)?;
        let clones =
            fds.iter().map(EventFd::try_clone).collect::<Result<Vec<_>, _>>().map_err(error)?;
        self.irqs = fds;
        Ok(clones)
    }

    fn wait_irq(&mut self, vector: u32, timeout: Duration) -> Result<(), DeviceError> {
        let Some(irq) = self.irqs.get(vector as usize) else {
            std::thread::sleep(timeout);
            return Ok(());
        };
        let timeout = PollTimeout::try_from(timeout.max(Duration::from_millis(1)))
            .unwrap_or(PollTimeout::MAX);
        // SAFETY: the descriptor belongs to `self.irqs`, which outlives this call.
        let fd = unsafe { BorrowedFd::borrow_raw(irq.as_raw_fd()) };
        match poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(DeviceError::io("wait for an interrupt", errno)),
        }
        // Empties the counter; `WouldBlock` means that it was empty.
        let _ = irq.read();
        Ok(())
    }

    fn reset(&mut self) -> Result<(), DeviceError> {
        // The crate's call returns nothing; a function that did not come back reads as all ones in what follows.
        self.device.reset();
        self.enable_bus_master();
        Ok(())
    }

    fn describe(&self) -> String {
        format!("pci:{}", self.bdf)
    }
}

impl Drop for KernelVfio {
    fn drop(&mut self) {
        for buffer in &self.buffers {
            if let Err(error) = self.container.vfio_dma_unmap(buffer.iova(), buffer.memory().len())
            {
                tracing::warn!(bdf = self.bdf, %error, "cannot unmap DMA memory");
            }
        }
    }
}
