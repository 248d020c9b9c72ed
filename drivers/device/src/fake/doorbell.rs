//! A transport that does something before each doorbell: waits, so that a card is slow, or until it may go on.

use std::time::Duration;

use penstock_abi::regs;
use vmm_sys_util::eventfd::EventFd;

use crate::dma::DmaBuffer;
use crate::error::DeviceError;
use crate::held::HeldFds;
use crate::transport::{FunctionInfo, PciTransport, Region};

/// See [`before_doorbell`].
struct BeforeDoorbell<F> {
    transport: Box<dyn PciTransport>,
    before: F,
}

/// `transport`, but `before` is called before each doorbell of the command ring.
#[must_use]
pub fn before_doorbell(
    transport: Box<dyn PciTransport>,
    before: impl Fn() + Send + 'static,
) -> Box<dyn PciTransport> {
    Box::new(BeforeDoorbell { transport, before })
}

impl<F: Fn() + Send> PciTransport for BeforeDoorbell<F> {
    fn write32(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        if offset == regs::CMD_PRODUCER && value != 0 {
            (self.before)();
        }
        self.transport.write32(offset, value)
    }

    fn function(&mut self) -> Result<FunctionInfo, DeviceError> {
        self.transport.function()
    }

    fn read32(&mut self, offset: u32) -> Result<u32, DeviceError> {
        self.transport.read32(offset)
    }

    fn maps_bar0(&self) -> bool {
        self.transport.maps_bar0()
    }

    fn read_region(
        &mut self,
        region: Region,
        offset: u64,
        into: &mut [u8],
    ) -> Result<(), DeviceError> {
        self.transport.read_region(region, offset, into)
    }

    fn write_region(
        &mut self,
        region: Region,
        offset: u64,
        data: &[u8],
    ) -> Result<(), DeviceError> {
        self.transport.write_region(region, offset, data)
    }

    fn dma_alloc(&mut self, bytes: usize) -> Result<DmaBuffer, DeviceError> {
        self.transport.dma_alloc(bytes)
    }

    fn dma_free(&mut self, buffer: DmaBuffer) -> Result<(), DeviceError> {
        self.transport.dma_free(buffer)
    }

    fn arm_irqs(&mut self, vectors: u32) -> Result<Vec<EventFd>, DeviceError> {
        self.transport.arm_irqs(vectors)
    }

    fn mask_irq(&mut self, vector: u32, masked: bool) -> Result<(), DeviceError> {
        self.transport.mask_irq(vector, masked)
    }

    fn wait_irq(&mut self, vector: u32, timeout: Duration) -> Result<(), DeviceError> {
        self.transport.wait_irq(vector, timeout)
    }

    fn reset(&mut self) -> Result<(), DeviceError> {
        self.transport.reset()
    }

    fn held_fds(&self) -> Option<HeldFds> {
        self.transport.held_fds()
    }

    fn describe(&self) -> String {
        self.transport.describe()
    }
}
