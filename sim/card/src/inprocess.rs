//! A PCI transport to a card in the same process: registers, rings and interrupts without a socket.
//!
//! The card is shared by a mutex, so that a test can inject frames between two calls of the driver. Waiting for an interrupt
//! runs the card; nothing else does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use penstock_abi::hash::FlowSecret;
use penstock_device::{
    Card, DeviceError, DmaBuffer, EventFd, FunctionInfo, IovaAllocator, PciTransport, Region,
    SharedMemory,
};
use vmm_sys_util::eventfd::EFD_NONBLOCK;

use crate::card::{CardError, CardSim};
use crate::config::{ConfigSpace, Identity};

/// Cycles that the card runs between two looks at the clock.
const SLICE_CYCLES: u64 = 256;

/// A secret like any other.
pub const FLOW_SECRET: FlowSecret =
    FlowSecret([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344, 0xa409_3822, 0x299f_31d0]);

/// Transport to a [`CardSim`] that lives in this process.
pub struct InProcess {
    card: Arc<Mutex<CardSim>>,
    config: ConfigSpace,
    iova: IovaAllocator,
    irqs: Vec<EventFd>,
}

impl InProcess {
    /// A transport to `card`, which must have no other host.
    #[must_use]
    pub fn new(card: Arc<Mutex<CardSim>>) -> Self {
        Self {
            card,
            config: ConfigSpace::new(&Identity::default()),
            iova: IovaAllocator::default(),
            irqs: Vec::new(),
        }
    }

    /// Boxed, as [`penstock_device::Card::attach`] takes it.
    #[must_use]
    pub fn boxed(card: &Arc<Mutex<CardSim>>) -> Box<dyn PciTransport> {
        Box::new(Self::new(Arc::clone(card)))
    }

    /// Attaches to a card that was just made and gives its flow table's hash this secret, for runs that are to repeat.
    ///
    /// # Errors
    /// Those of [`Card::attach`].
    pub fn attach(card: &Arc<Mutex<CardSim>>, secret: FlowSecret) -> Result<Card, DeviceError> {
        let mut host = Card::attach(Self::boxed(card))?;
        host.set_flow_secret(secret)?;
        host.clear_all()?;
        Ok(host)
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

fn register(offset: u64, bytes: usize) -> Result<u32, DeviceError> {
    u32::try_from(offset)
        .ok()
        .filter(|_| bytes == 4)
        .ok_or_else(|| DeviceError::Protocol { what: "not a register".to_owned() })
}

impl PciTransport for InProcess {
    fn function(&mut self) -> Result<FunctionInfo, DeviceError> {
        let Identity { vendor, device, bar0_bytes, msix_vectors } = Identity::default();
        Ok(FunctionInfo { vendor, device, bar0_bytes: bar0_bytes.into(), msix_vectors })
    }

    fn read_region(
        &mut self,
        region: Region,
        offset: u64,
        into: &mut [u8],
    ) -> Result<(), DeviceError> {
        match region {
            Region::Config => self.config.read(offset, into),
            Region::Bar0 => {
                let value = self.read32(register(offset, into.len())?)?;
                into.copy_from_slice(&value.to_le_bytes());
            }
        }
        Ok(())
    }

    fn write_region(
        &mut self,
        region: Region,
        offset: u64,
        data: &[u8],
    ) -> Result<(), DeviceError> {
        match region {
            Region::Config => {
                if self.config.write(offset, data).reset {
                    self.reset()?;
                }
                let master = self.config.bus_master();
                self.lock().set_bus_master(master);
                Ok(())
            }
            Region::Bar0 => {
                let word = data.try_into().unwrap_or_default();
                self.write32(register(offset, data.len())?, u32::from_le_bytes(word))
            }
        }
    }

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

    fn dma_free(&mut self, buffer: DmaBuffer) -> Result<(), DeviceError> {
        self.lock().dma().unmap(buffer.iova(), buffer.memory().len() as u64);
        Ok(())
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
        drop(card);
        self.irqs = fds.iter().map(EventFd::try_clone).collect::<Result<_, _>>().map_err(io)?;
        Ok(fds)
    }

    fn mask_irq(&mut self, vector: u32, masked: bool) -> Result<(), DeviceError> {
        let io = |source| DeviceError::Io { what: "copy an event descriptor".to_owned(), source };
        let irq = self.irqs.get(vector as usize).filter(|_| !masked);
        let irq = irq.map(EventFd::try_clone).transpose().map_err(io)?;
        self.lock().set_irq(vector as usize, irq);
        Ok(())
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
        self.config = ConfigSpace::new(&Identity::default());
        let mut card = self.lock();
        card.set_bus_master(false);
        card.function_reset();
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
