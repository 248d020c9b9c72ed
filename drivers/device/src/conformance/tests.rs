//! The suite over the card in memory: it passes where all is well, and tells each thing that is not.

use penstock_abi::regs;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::*;
use crate::dma::DmaBuffer;
use crate::fake::FakeCard;
use crate::transport::{FunctionInfo, PCI_COMMAND, Region};

/// The names of the checks that failed, and why.
fn failures(suite: &mut Suite<'_>) -> Vec<(String, String)> {
    let mut failed = Vec::new();
    suite.run(&mut |name, outcome| {
        if let Err(error) = outcome {
            failed.push((name.to_owned(), error.to_string()));
        }
    });
    failed
}

#[test]
fn a_card_in_memory_conforms() {
    let fake = FakeCard::new();
    let mut suite = Suite::new(|| fake.open());
    assert_eq!(failures(&mut suite), []);
    assert!(suite.run_removal(&mut |_, outcome| assert!(outcome.is_ok(), "{outcome:?}"), || {
        fake.kill();
    }));
}

#[test]
fn a_card_without_owners_is_told() {
    let fake = FakeCard::new();
    let mut suite = Suite::new(|| Ok(fake.transport()));
    let failed = failures(&mut suite);
    assert!(failed.iter().any(|(name, _)| name == "two owners"), "{failed:?}");
}

#[test]
fn an_end_that_is_no_end_is_told() {
    let fake = FakeCard::new();
    let mut suite = Suite::new(|| fake.open());
    let mut told = String::new();
    // An error, but not that the card is gone.
    let passed = suite.run_removal(&mut |_, outcome| told = format!("{outcome:?}"), || {
        fake.set_register(regs::CMD_BASE_HI, 0x3f);
    });
    assert!(!passed && told.contains("was reported as"), "{told}");
}

/// One thing that a transport does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    FreedStaysMapped,
    MaskIgnored,
    BusMasterIgnored,
    ResetForgotten,
    ResetClearsTheEpoch,
    InterruptsLost,
    RegionWritesLost,
    MappedWritesLost,
    BusAddressesCut,
}

/// A transport with a fault.
struct Faulty {
    inner: Box<dyn PciTransport>,
    fault: Fault,
}

impl Faulty {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }
}

impl PciTransport for Faulty {
    fn function(&mut self) -> Result<FunctionInfo, DeviceError> {
        self.inner.function()
    }

    fn read32(&mut self, offset: u32) -> Result<u32, DeviceError> {
        self.inner.read32(offset)
    }

    fn write32(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        let lost = match offset {
            regs::SCRATCH => self.has(Fault::MappedWritesLost),
            regs::CMD_BASE_HI | regs::CPL_BASE_HI => {
                self.has(Fault::BusAddressesCut) && value == 0x3f
            }
            _ => false,
        };
        if lost { Ok(()) } else { self.inner.write32(offset, value) }
    }

    fn read_region(
        &mut self,
        region: Region,
        offset: u64,
        into: &mut [u8],
    ) -> Result<(), DeviceError> {
        self.inner.read_region(region, offset, into)
    }

    fn write_region(
        &mut self,
        region: Region,
        offset: u64,
        data: &[u8],
    ) -> Result<(), DeviceError> {
        let lost = match (region, offset) {
            (Region::Bar0, _) => self.has(Fault::RegionWritesLost),
            (Region::Config, PCI_COMMAND) => {
                self.has(Fault::BusMasterIgnored) && data[0] & 0b100 == 0
            }
            (Region::Config, _) => false,
        };
        if lost { Ok(()) } else { self.inner.write_region(region, offset, data) }
    }

    fn dma_alloc(&mut self, bytes: usize) -> Result<DmaBuffer, DeviceError> {
        self.inner.dma_alloc(bytes)
    }

    fn dma_free(&mut self, buffer: DmaBuffer) -> Result<(), DeviceError> {
        if self.has(Fault::FreedStaysMapped) { Ok(()) } else { self.inner.dma_free(buffer) }
    }

    fn arm_irqs(&mut self, vectors: u32) -> Result<Vec<EventFd>, DeviceError> {
        let irqs = self.inner.arm_irqs(vectors)?;
        if self.has(Fault::InterruptsLost) {
            return Ok((0..vectors).map(|_| EventFd::new(EFD_NONBLOCK).unwrap()).collect());
        }
        Ok(irqs)
    }

    fn mask_irq(&mut self, vector: u32, masked: bool) -> Result<(), DeviceError> {
        if self.has(Fault::MaskIgnored) { Ok(()) } else { self.inner.mask_irq(vector, masked) }
    }

    fn wait_irq(&mut self, vector: u32, timeout: Duration) -> Result<(), DeviceError> {
        self.inner.wait_irq(vector, timeout)
    }

    fn reset(&mut self) -> Result<(), DeviceError> {
        if self.has(Fault::ResetForgotten) {
            return Ok(());
        }
        self.inner.reset()?;
        if self.has(Fault::ResetClearsTheEpoch) { self.write32(regs::EPOCH, 0) } else { Ok(()) }
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

#[test]
fn each_fault_is_told_by_its_check() {
    let told = [
        (Fault::FreedStaysMapped, vec!["address unmapped again", "interrupt delivery"]),
        (Fault::MaskIgnored, vec!["interrupt masking"]),
        (Fault::BusMasterIgnored, vec!["bus mastering"]),
        (Fault::ResetForgotten, vec!["reset"]),
        (Fault::ResetClearsTheEpoch, vec!["reset"]),
        (Fault::InterruptsLost, vec!["interrupt delivery", "interrupt masking"]),
        (Fault::RegionWritesLost, vec!["registers by region", "registers by mapping"]),
        (Fault::MappedWritesLost, vec!["registers by mapping"]),
        (Fault::BusAddressesCut, vec!["unmapped address"]),
    ];
    // At once: they wait for what does not come, most of the time.
    std::thread::scope(|scope| {
        for (fault, expected) in told {
            scope.spawn(move || {
                let fake = FakeCard::new();
                let mut suite = Suite::new(|| Ok(Box::new(Faulty { inner: fake.open()?, fault })));
                let failed = failures(&mut suite);
                let names: Vec<&str> = failed.iter().map(|(name, _)| name.as_str()).collect();
                assert_eq!(names, expected, "{fault:?}: {failed:?}");
            });
        }
    });
}
