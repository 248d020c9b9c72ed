//! The one interface between the driver and a PCI function.

use std::time::Duration;

use vmm_sys_util::eventfd::EventFd;

use crate::{DeviceError, DmaBuffer, KernelVfio, VfioUser};

/// One PCI function of which this process is the only owner. BAR 0 is 32-bit registers; offsets are in bytes.
///
/// Each call returns within seconds. A function that is gone is reported as [`DeviceError::DeviceGone`] where the
/// transport can tell, and otherwise reads as all ones; [`crate::Card`] tells the two meanings of all ones apart.
pub trait PciTransport: Send {
    /// Reads a register of BAR 0.
    ///
    /// # Errors
    /// [`DeviceError::DeviceGone`], or what the transport met.
    fn read32(&mut self, offset: u32) -> Result<u32, DeviceError>;

    /// Writes a register of BAR 0.
    ///
    /// # Errors
    /// As [`PciTransport::read32`].
    fn write32(&mut self, offset: u32, value: u32) -> Result<(), DeviceError>;

    /// Memory that the card reaches by bus address, at least `bytes` long, page aligned, all zeros.
    ///
    /// # Errors
    /// No memory, or the mapping was refused.
    fn dma_alloc(&mut self, bytes: usize) -> Result<DmaBuffer, DeviceError>;

    /// Connects MSI-X vectors 0..`vectors` to event descriptors, replacing those of an earlier call.
    ///
    /// # Errors
    /// The function has fewer vectors, or refused.
    fn arm_irqs(&mut self, vectors: u32) -> Result<Vec<EventFd>, DeviceError>;

    /// Waits until interrupt `vector` was raised since the last wait, or `timeout` passed; which of them is not said,
    /// as a caller must look at memory in any case. A simulated card within this process works meanwhile.
    ///
    /// # Errors
    /// [`DeviceError::DeviceGone`] as soon as it is known.
    fn wait_irq(&mut self, vector: u32, timeout: Duration) -> Result<(), DeviceError>;

    /// Function-level reset. Tables stay, the ring and the interrupts do not.
    ///
    /// # Errors
    /// The function cannot be reset or refused.
    fn reset(&mut self) -> Result<(), DeviceError>;

    /// Where the function is, for people.
    fn describe(&self) -> String;
}

/// Opens a function named as users name it: `vfio-user:PATH` or `pci:DDDD:BB:DD.F`.
///
/// # Errors
/// [`DeviceError::BadSpec`], [`DeviceError::Connect`], [`DeviceError::InUse`].
pub fn open(spec: &str) -> Result<Box<dyn PciTransport>, DeviceError> {
    match spec.split_once(':') {
        Some(("vfio-user", path)) if !path.is_empty() => {
            Ok(Box::new(VfioUser::connect(path.as_ref())?))
        }
        Some(("pci", bdf)) if !bdf.is_empty() => Ok(Box::new(KernelVfio::open(bdf)?)),
        _ => Err(DeviceError::BadSpec { spec: spec.to_owned() }),
    }
}
