//! A PCI transport to a card in the same process: registers, rings and interrupts without a socket.
//!
//! The card is shared by a mutex, so that a test can inject frames between two calls of the driver. Waiting for an interrupt
//! runs the card; nothing else does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use penstock_device::{DeviceError, DmaBuffer, EventFd, IovaAllocator, PciTransport, SharedMemory};
use vmm_sys_util::eventfd::EFD_NONBLOCK;

use crate::card::{CardError, CardSim};

/// Cycles that the card runs between two looks at the clock.
const SLICE_CYCLES: u64 = 256;

/// Transport to a [`CardSim`] that lives in this process.
pub struct InProcess {
    card: Arc<Mutex<CardSim>>,
    iova: IovaAllocator,
}

impl InProcess {
    /// A transport to `card`, which must have no other host.
    #[must_use]
    pub fn new(card: Arc<Mutex<CardSim>>) -> Self {
        Self { card, iova: IovaAllocator::default() }
    }

    /// Boxed, as [`penstock_device::Card::attach`] takes it.
    #[must_use]
    pub fn boxed(card: &Arc<Mutex<CardSim>>) -> Box<dyn PciTransport> {
        Box::new(Self::new(Arc::clone(card)))
    }

    fn lock(&self) -> MutexGuard<'_, CardSim> {
        self.card.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(error: CardError) -> DeviceError {
    match error {
        CardError::Register { .. } => {
            DeviceError::Timeout { what: error.to_string(), after: Duration::ZERO }
        }
        error => DeviceError::Protocol { what: error.to_string() },
    }
}

impl PciTransport for InProcess {
    fn read32(&mut self, offset: u32) -> Result<u32, DeviceError> {
        self.lock().read_reg(offset).map_err(failed)
    }

    fn write32(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        self.lock().write_reg(offset, value).map_err(failed)
    }

    fn dma_alloc(&mut self, bytes: usize) -> Result<DmaBuffer, DeviceError> {
        let io = |source| DeviceError::Io { what: "allocate DMA memory".to_owned(), source };
        let memory = Arc::new(SharedMemory::create(bytes).map_err(io)?);
        let protocol = |what: String| DeviceError::Protocol { what };
        let iova = self
            .iova
            .alloc(memory.len())
            .ok_or_else(|| protocol("out of bus addresses".to_owned()))?;
        self.lock()
            .dma()
            .map_memory(iova, Arc::clone(&memory))
            .map_err(|e| protocol(e.to_string()))?;
        Ok(DmaBuffer::new(memory, iova))
    }

    fn arm_irqs(&mut self, vectors: u32) -> Result<Vec<EventFd>, DeviceError> {
        let io = |source| DeviceError::Io { what: "create event descriptors".to_owned(), source };
        let mut card = self.card.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fds = Vec::new();
        for vector in 0..vectors as usize {
            let fd = EventFd::new(EFD_NONBLOCK).map_err(io)?;
            card.set_irq(vector, Some(fd.try_clone().map_err(io)?));
            fds.push(fd);
        }
        Ok(fds)
    }

    fn wait_irq(&mut self, vector: u32, timeout: Duration) -> Result<(), DeviceError> {
        let deadline = Instant::now() + timeout;
        let before = self.lock().irqs_raised(vector as usize);
        loop {
            let mut card = self.lock();
            let idle = card.run(SLICE_CYCLES);
            card.check().map_err(failed)?;
            let raised = card.irqs_raised(vector as usize) > before;
            drop(card);
            if raised || Instant::now() >= deadline {
                return Ok(());
            }
            if idle {
                // The card has nothing to do: what the caller waits for can only come from another thread, or never.
                std::thread::sleep(
                    deadline
                        .saturating_duration_since(Instant::now())
                        .min(Duration::from_millis(1)),
                );
            }
        }
    }

    fn reset(&mut self) -> Result<(), DeviceError> {
        self.lock().function_reset();
        Ok(())
    }

    fn describe(&self) -> String {
        "a simulated card in this process".to_owned()
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.lock().host_left();
    }
}
