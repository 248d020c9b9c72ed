//! Kernel VFIO.
use std::path::PathBuf;
use std::time::Duration;

use vmm_sys_util::eventfd::EventFd;

use crate::{DeviceError, DmaBuffer, PciTransport};

/// A PCI function bound to vfio-pci.
#[derive(Debug)]
pub struct KernelVfio {}

impl KernelVfio {
    /// Opens.
    ///
    /// # Errors
    /// [`DeviceError::Connect`], [`DeviceError::InUse`].
    pub fn open(path: &str) -> Result<Self, DeviceError> {
        Err(DeviceError::Connect {
            path: PathBuf::from(path),
            source: std::io::ErrorKind::Unsupported.into(),
        })
    }
}

impl PciTransport for KernelVfio {
    fn read32(&mut self, _: u32) -> Result<u32, DeviceError> {
        Err(DeviceError::gone("never connected"))
    }
    fn write32(&mut self, _: u32, _: u32) -> Result<(), DeviceError> {
        Err(DeviceError::gone("never connected"))
    }
    fn dma_alloc(&mut self, _: usize) -> Result<DmaBuffer, DeviceError> {
        Err(DeviceError::gone("never connected"))
    }
    fn arm_irqs(&mut self, _: u32) -> Result<Vec<EventFd>, DeviceError> {
        Err(DeviceError::gone("never connected"))
    }
    fn wait_irq(&mut self, _: u32, _: Duration) -> Result<(), DeviceError> {
        Err(DeviceError::gone("never connected"))
    }
    fn reset(&mut self) -> Result<(), DeviceError> {
        Err(DeviceError::gone("never connected"))
    }
    fn describe(&self) -> String {
        String::new()
    }
}
