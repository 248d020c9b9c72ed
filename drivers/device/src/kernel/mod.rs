//! A PCI function bound to the kernel's `vfio-pci`: a real card, or the simulated one inside a virtual machine.
//!
//! A function is opened by `vfio-ioctls` (container, group, IOMMU type) or adopted from descriptors that another process kept
//! ([`KernelVfio::adopt`]); from there on both are the same two descriptors, and every request on them reports its error. BAR 0 is
//! mapped and accessed by volatile words; DMA memory is a memory file mapped through the IOMMU; interrupts are MSI-X event
//! descriptors.
//!
//! The kernel resets the function when the last copy of its descriptor is closed, however the process ends. While somebody holds
//! a copy ([`PciTransport::held_fds`]) nothing resets it.

mod bar;
mod ioctl;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::uio::{pread, pwrite};
use penstock_abi::regs::BAR0_BYTES;
use penstock_pci::Sysfs;
use vfio_bindings::bindings::vfio::{
    VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_CONFIG_REGION_INDEX, VFIO_REGION_INFO_FLAG_MMAP,
};
use vfio_ioctls::{VfioContainer, VfioDevice, VfioError, VfioOps};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::dma::{DmaBuffer, IovaAllocator, SharedMemory};
use crate::dma::{IOVA_BASE, IOVA_END};
use crate::error::DeviceError;
use crate::held::HeldFds;
use crate::transport::{FunctionInfo, PciTransport, Region};
use crate::transport::{read_ids, set_bus_master};
use bar::Bar;
use ioctl::RegionPlace;

/// Bus addresses tried for one buffer. More than one only where a kernel before 6.0 keeps what a dead owner had mapped.
const MAP_ATTEMPTS: usize = 256;

/// A PCI function reached through `/dev/vfio`.
///
/// Dropping it unmaps the registers, stops the function's access to memory and closes this process' descriptors.
#[derive(Debug)]
pub struct KernelVfio {
    bar0: Option<Bar>,
    irqs: Vec<EventFd>,
    buffers: Vec<DmaBuffer>,
    iova: IovaAllocator,
    bar0_place: RegionPlace,
    config_place: RegionPlace,
    fds: HeldFds,
    bdf: String,
}

impl KernelVfio {
    /// Opens the function `bdf` (`0000:01:00.0`), which must be bound to `vfio-pci`. The kernel resets it.
    ///
    /// # Errors
    /// [`DeviceError::Pci`] when it is not there, [`DeviceError::NotReady`] when VFIO cannot open it and what to type then,
    /// [`DeviceError::InUse`] when another process has it, [`DeviceError::Connect`] for all else.
    pub fn open(bdf: &str) -> Result<Self, DeviceError> {
        let bdf = ready(&Sysfs::default(), bdf)?;
        let path = Path::new("/sys/bus/pci/devices").join(&bdf);
        let failed = |e: VfioError| opening(&path, e);
        let container = Arc::new(VfioContainer::new(None).map_err(failed)?);
        let ops: Arc<dyn VfioOps> = container.clone();
        let device = VfioDevice::new(&path, ops, false).map_err(failed)?;
        Self::over(&bdf, take_over(device, container)?)
    }

    /// Takes a function over from descriptors that were kept open since its last owner ended; it is not reset. Its interrupts are
    /// disconnected, its access to memory ends, and what the last owner had mapped for it is unmapped.
    ///
    /// # Errors
    /// [`DeviceError::Refused`] when the descriptors are not those of a PCI function and its container.
    pub fn adopt(bdf: &str, held: HeldFds) -> Result<Self, DeviceError> {
        ioctl::check_device(held.device.as_fd()).map_err(|e| failed("to adopt a function", e))?;
        ioctl::check_container(held.container.as_fd())
            .map_err(|e| failed("to adopt a container", e))?;
        let mut function = Self::over(bdf, held)?;
        function.disarm()?;
        set_bus_master(&mut function, false)?;
        let bytes = function.unmap_all()?;
        tracing::debug!(
            bdf,
            bytes,
            "adopted the function; unmapped what its last owner had mapped"
        );
        Ok(function)
    }

    fn over(bdf: &str, fds: HeldFds) -> Result<Self, DeviceError> {
        let place = |index| {
            ioctl::region(fds.device.as_fd(), index).map_err(|e| failed("a region query", e))
        };
        let bar0_place = place(VFIO_PCI_BAR0_REGION_INDEX)?;
        let config_place = place(VFIO_PCI_CONFIG_REGION_INDEX)?;
        let mappable = bar0_place.bytes >= u64::from(BAR0_BYTES)
            && bar0_place.flags & VFIO_REGION_INFO_FLAG_MMAP != 0;
        let bar0 = mappable
            .then(|| Bar::map(fds.device.as_fd(), bar0_place.offset))
            .transpose()
            .map_err(|e| DeviceError::io(format!("map BAR 0 of {bdf}"), e))?;
        Ok(Self {
            bar0,
            irqs: Vec::new(),
            buffers: Vec::new(),
            iova: IovaAllocator::default(),
            bar0_place,
            config_place,
            fds,
            bdf: bdf.to_owned(),
        })
    }

    fn disarm(&mut self) -> Result<(), DeviceError> {
        self.irqs.clear();
        ioctl::disarm_irqs(self.fds.device.as_fd()).map_err(|e| failed("interrupt set-up", e))
    }

    fn unmap_all(&mut self) -> Result<u64, DeviceError> {
        ioctl::unmap_dma(self.fds.container.as_fd(), IOVA_BASE, IOVA_END - IOVA_BASE)
            .map_err(|e| failed("DMA unmap", e))
    }

    fn place(&self, region: Region, offset: u64, bytes: usize) -> Result<i64, DeviceError> {
        let place = match region {
            Region::Bar0 => &self.bar0_place,
            Region::Config => &self.config_place,
        };
        let end = offset.checked_add(bytes as u64).filter(|end| *end <= place.bytes);
        end.and_then(|_| i64::try_from(place.offset + offset).ok()).ok_or_else(|| {
            DeviceError::protocol(format!("{region:?} has nothing at {offset:#x} to {bytes} bytes"))
        })
    }
}

/// Takes the descriptors over from the crate that opened them, and lets everything else of it go: the device's file keeps its
/// group open in the kernel. Dropping its `VfioDevice` instead would log an error whenever a copy of the descriptors is held.
fn take_over(device: VfioDevice, container: Arc<VfioContainer>) -> Result<HeldFds, DeviceError> {
    // SAFETY: `container` keeps its descriptor open at least during this call.
    let kept = unsafe { BorrowedFd::borrow_raw(container.as_raw_fd()) }.try_clone_to_owned();
    // SAFETY: `device` is forgotten below without closing its descriptor, which is hereby ours alone.
    let taken = unsafe { OwnedFd::from_raw_fd(device.as_raw_fd()) };
    // A few hundred bytes of region descriptions stay allocated.
    std::mem::forget(device);
    // SAFETY: the forgotten `device` owned one count of `container`, made by `Arc::clone` and never given back.
    unsafe { Arc::decrement_strong_count(Arc::as_ptr(&container)) };
    // The last count: closes its own descriptors of the container and of the group.
    drop(container);
    let kept = kept.map_err(|e| DeviceError::io("copy the container's descriptor", e))?;
    Ok(HeldFds { device: taken, container: kept })
}

/// The function's whole address, if VFIO may open it.
fn ready(sysfs: &Sysfs, bdf: &str) -> Result<String, DeviceError> {
    let function = sysfs.function(bdf)?;
    sysfs.ready(&function)?;
    Ok(function.address)
}

fn opening(path: &Path, error: VfioError) -> DeviceError {
    let path = PathBuf::from(path);
    if let VfioError::OpenGroup(source, _) = &error
        && source.raw_os_error() == Some(nix::libc::EBUSY)
    {
        return DeviceError::InUse { path };
    }
    DeviceError::Connect { path, source: io::Error::other(error) }
}

fn failed(what: &str, error: io::Error) -> DeviceError {
    if error.raw_os_error() == Some(nix::libc::ENODEV) {
        return DeviceError::gone(format!("the kernel no longer knows it: {what}"));
    }
    DeviceError::Refused { what: what.to_owned(), source: error }
}

impl PciTransport for KernelVfio {
    fn function(&mut self) -> Result<FunctionInfo, DeviceError> {
        let (vendor, device) = read_ids(self)?;
        let msix_vectors = ioctl::msix_vectors(self.fds.device.as_fd())
            .map_err(|e| failed("an interrupt query", e))?;
        Ok(FunctionInfo { vendor, device, bar0_bytes: self.bar0_place.bytes, msix_vectors })
    }

    fn read32(&mut self, offset: u32) -> Result<u32, DeviceError> {
        if let Some(bar0) = &self.bar0 {
            return bar0.read(offset);
        }
        let mut word = [0; 4];
        self.read_region(Region::Bar0, offset.into(), &mut word)?;
        Ok(u32::from_le_bytes(word))
    }

    fn write32(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        match &self.bar0 {
            Some(bar0) => bar0.write(offset, value),
            None => self.write_region(Region::Bar0, offset.into(), &value.to_le_bytes()),
        }
    }

    fn maps_bar0(&self) -> bool {
        self.bar0.is_some()
    }

    fn read_region(
        &mut self,
        region: Region,
        offset: u64,
        into: &mut [u8],
    ) -> Result<(), DeviceError> {
        let place = self.place(region, offset, into.len())?;
        let bytes =
            pread(&self.fds.device, into, place).map_err(|e| failed("a region read", e.into()))?;
        complete("read", bytes, into.len())
    }

    fn write_region(
        &mut self,
        region: Region,
        offset: u64,
        data: &[u8],
    ) -> Result<(), DeviceError> {
        let place = self.place(region, offset, data.len())?;
        let bytes = pwrite(&self.fds.device, data, place)
            .map_err(|e| failed("a region write", e.into()))?;
        complete("written", bytes, data.len())
    }

    fn dma_alloc(&mut self, bytes: usize) -> Result<DmaBuffer, DeviceError> {
        let memory =
            SharedMemory::create(bytes).map_err(|e| DeviceError::io("allocate DMA memory", e))?;
        for _ in 0..MAP_ATTEMPTS {
            let iova = self
                .iova
                .alloc(memory.len())
                .ok_or_else(|| DeviceError::protocol("out of bus addresses"))?;
            let container = self.fds.container.as_fd();
            // SAFETY: the mapping of `memory` stays until it is unmapped from the bus: `self.buffers` keeps it until
            // `dma_free` or `drop`, which unmap first; it is reached by volatile copies only.
            let mapped = unsafe { ioctl::map_dma(container, iova, memory.as_ptr(), memory.len()) };
            match mapped {
                Ok(()) => {
                    let buffer = DmaBuffer::new(Arc::new(memory), iova);
                    self.buffers.push(buffer.clone());
                    return Ok(buffer);
                }
                Err(error) if ioctl::is_taken(&error) => {}
                Err(error) => return Err(failed("DMA map", error)),
            }
        }
        Err(DeviceError::protocol("all bus addresses tried are taken"))
    }

    fn dma_free(&mut self, buffer: DmaBuffer) -> Result<(), DeviceError> {
        let bytes = buffer.memory().len() as u64;
        let unmapped = ioctl::unmap_dma(self.fds.container.as_fd(), buffer.iova(), bytes)
            .map_err(|e| failed("DMA unmap", e))?;
        if unmapped != bytes {
            return Err(DeviceError::protocol(format!("{unmapped} of {bytes} bytes unmapped")));
        }
        self.buffers.retain(|kept| kept.iova() != buffer.iova());
        Ok(())
    }

    fn arm_irqs(&mut self, vectors: u32) -> Result<Vec<EventFd>, DeviceError> {
        let error = |e| DeviceError::io("create event descriptors", e);
        self.disarm()?;
        let fds = (0..vectors)
            .map(|_| EventFd::new(EFD_NONBLOCK))
            .collect::<Result<Vec<_>, _>>()
            .map_err(error)?;
        let raw: Vec<_> = fds.iter().map(|fd| Some(fd.as_raw_fd())).collect();
        ioctl::connect_irqs(self.fds.device.as_fd(), 0, &raw)
            .map_err(|e| failed("interrupt set-up", e))?;
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
        let fd = (!masked).then(|| irq.as_raw_fd());
        ioctl::connect_irqs(self.fds.device.as_fd(), vector, &[fd])
            .map_err(|e| failed("interrupt set-up", e))
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
        ioctl::reset(self.fds.device.as_fd()).map_err(|e| failed("reset", e))
    }

    fn held_fds(&self) -> Option<HeldFds> {
        let copy = || {
            let (device, container) = (&self.fds.device, &self.fds.container);
            Ok::<_, io::Error>(HeldFds {
                device: device.try_clone()?,
                container: container.try_clone()?,
            })
        };
        copy()
            .inspect_err(|error| tracing::warn!(bdf = self.bdf, %error, "cannot copy descriptors"))
            .ok()
    }

    fn describe(&self) -> String {
        format!("pci:{}", self.bdf)
    }
}

fn complete(what: &str, bytes: usize, asked: usize) -> Result<(), DeviceError> {
    if bytes == asked {
        return Ok(());
    }
    Err(DeviceError::protocol(format!("{bytes} bytes {what}, {asked} asked for")))
}

impl Drop for KernelVfio {
    fn drop(&mut self) {
        // The registers first: the kernel does not let a function go while they are mapped.
        self.bar0 = None;
        // Somebody may hold the function, so that closing it here is not its end: it must not reach memory of this process.
        let quiet = self
            .disarm()
            .and_then(|()| set_bus_master(self, false))
            .and_then(|()| self.unmap_all());
        if let Err(error) = quiet {
            tracing::debug!(bdf = self.bdf, %error, "the function does not let go");
        }
    }
}

#[cfg(test)]
mod tests {
    use penstock_pci::fake::{CARD, FakeMachine};
    use penstock_pci::{NotReady, PciError};

    use super::*;

    #[test]
    fn a_machine_that_is_not_set_up_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let machine = FakeMachine::new(dir.path());
        let why = |bdf| ready(&machine.sysfs(), bdf);
        let err = why("3b.00").unwrap_err();
        assert!(matches!(err, DeviceError::Pci(PciError::BadAddress { .. })), "{err}");
        let err = why(CARD).unwrap_err();
        assert!(matches!(err, DeviceError::Pci(PciError::NoSuchFunction { .. })), "{err}");
        machine.add(CARD, 0x1e55_5053, 0x02_0000, None);
        let err = why(CARD).unwrap_err();
        assert!(matches!(err, DeviceError::NotReady(NotReady::NoIommu { .. })), "{err}");
        machine.put_in_group(CARD, 7);
        let err = why(CARD).unwrap_err();
        assert!(matches!(err, DeviceError::NotReady(NotReady::NotBound { .. })), "{err}");
        machine.set_driver(CARD, Some("vfio-pci"));
        assert_eq!(why("3b:00.0").unwrap(), CARD);
    }

    #[test]
    fn descriptors_of_something_else_are_not_adopted() {
        let null = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        let err = KernelVfio::adopt(CARD, HeldFds { device: null(), container: null() });
        assert!(matches!(err, Err(DeviceError::Refused { .. })), "{err:?}");
    }
}
