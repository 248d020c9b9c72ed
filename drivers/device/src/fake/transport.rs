//! The transport to a card in memory.

use std::sync::Arc;
use std::time::Duration;

use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::FakeCard;
use crate::dma::{DmaBuffer, SharedMemory};
use crate::error::DeviceError;
use crate::transport::PCI_COMMAND;
use crate::transport::{FunctionInfo, PciTransport, Region};

pub(super) struct FakeTransport {
    pub(super) card: FakeCard,
}

fn register(offset: u64) -> Result<u32, DeviceError> {
    u32::try_from(offset).map_err(|_| DeviceError::protocol("no such register"))
}

impl PciTransport for FakeTransport {
    fn function(&mut self) -> Result<FunctionInfo, DeviceError> {
        let state = self.card.lock();
        if state.dead {
            return Err(DeviceError::gone("the card in memory was killed"));
        }
        Ok(state.function)
    }

    fn read_region(
        &mut self,
        region: Region,
        offset: u64,
        into: &mut [u8],
    ) -> Result<(), DeviceError> {
        let state = self.card.lock();
        for (at, word) in (offset..).step_by(4).zip(into.chunks_mut(4)) {
            let value = match (region, at) {
                _ if state.dead => u32::MAX,
                (Region::Bar0, _) => state.read(register(at)?),
                (Region::Config, 0) => {
                    u32::from(state.function.vendor) | u32::from(state.function.device) << 16
                }
                (Region::Config, PCI_COMMAND) => state.command.into(),
                (Region::Config, _) => 0,
            };
            word.copy_from_slice(&value.to_le_bytes()[..word.len()]);
        }
        Ok(())
    }

    fn write_region(
        &mut self,
        region: Region,
        offset: u64,
        data: &[u8],
    ) -> Result<(), DeviceError> {
        let mut state = self.card.lock();
        let value = data.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
        match (region, offset) {
            (Region::Bar0, _) => state.write(register(offset)?, value),
            (Region::Config, PCI_COMMAND) => state.command = value as u16,
            (Region::Config, _) => {}
        }
        Ok(())
    }

    fn read32(&mut self, offset: u32) -> Result<u32, DeviceError> {
        Ok(self.card.lock().read(offset))
    }

    fn write32(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        self.card.lock().write(offset, value);
        Ok(())
    }

    fn dma_alloc(&mut self, bytes: usize) -> Result<DmaBuffer, DeviceError> {
        let memory =
            SharedMemory::create(bytes).map_err(|e| DeviceError::io("allocate DMA memory", e))?;
        let mut state = self.card.lock();
        let iova =
            state.iova.alloc(bytes).ok_or_else(|| DeviceError::protocol("out of bus addresses"))?;
        let buffer = DmaBuffer::new(Arc::new(memory), iova);
        state.buffers.push(buffer.clone());
        Ok(buffer)
    }

    fn dma_free(&mut self, buffer: DmaBuffer) -> Result<(), DeviceError> {
        self.card.lock().buffers.retain(|kept| kept.iova() != buffer.iova());
        Ok(())
    }

    fn mask_irq(&mut self, vector: u32, masked: bool) -> Result<(), DeviceError> {
        let mut state = self.card.lock();
        if masked {
            state.masked.insert(vector);
        } else {
            state.masked.remove(&vector);
        }
        Ok(())
    }

    fn arm_irqs(&mut self, vectors: u32) -> Result<Vec<EventFd>, DeviceError> {
        let error = |e| DeviceError::io("create event descriptors", e);
        let fds = (0..vectors)
            .map(|_| EventFd::new(EFD_NONBLOCK))
            .collect::<Result<Vec<_>, _>>()
            .map_err(error)?;
        let clones =
            fds.iter().map(EventFd::try_clone).collect::<Result<Vec<_>, _>>().map_err(error)?;
        let mut state = self.card.lock();
        state.irqs = fds;
        state.masked.clear();
        Ok(clones)
    }

    fn wait_irq(&mut self, _vector: u32, timeout: Duration) -> Result<(), DeviceError> {
        // All work is done in the doorbell; what is not there by now will not come.
        if self.card.lock().dead {
            return Err(DeviceError::gone("the card in memory was killed"));
        }
        std::thread::sleep(timeout);
        Ok(())
    }

    fn reset(&mut self) -> Result<(), DeviceError> {
        let mut state = self.card.lock();
        if state.dead {
            return Err(DeviceError::gone("the card in memory was killed"));
        }
        state.reset();
        Ok(())
    }

    fn describe(&self) -> String {
        "a card in memory".to_owned()
    }
}

impl Drop for FakeTransport {
    fn drop(&mut self) {
        let mut state = self.card.lock();
        state.drop_host();
        if !state.dead {
            state.reset();
        }
    }
}
