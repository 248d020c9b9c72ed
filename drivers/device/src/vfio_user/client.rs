//! Client side.
use std::path::Path;
use std::time::Duration;

use vmm_sys_util::eventfd::EventFd;

use crate::{DeviceError, DmaBuffer, PciTransport};

/// A PCI function behind a vfio-user socket.
#[derive(Debug)]
pub struct VfioUser {}

impl VfioUser {
    /// Connects.
    ///
    /// # Errors
    /// [`DeviceError::Connect`], [`DeviceError::InUse`].
    pub fn connect(path: &Path) -> Result<Self, DeviceError> {
        Err(DeviceError::Connect {
            path: path.to_owned(),
            source: std::io::ErrorKind::Unsupported.into(),
        })
    }
}

impl PciTransport for VfioUser {
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
