//! A command ring of the suite's own, register by register: for what [`Card`] does not let happen.

use std::time::{Duration, Instant};

use penstock_abi::regs::{self, IRQ_EVENT};
use penstock_abi::ring::{Command, Completion, RECORD_BYTES};
use zerocopy::{FromBytes, IntoBytes};

use crate::card::Card;
use crate::dma::DmaBuffer;
use crate::error::DeviceError;

/// Records of the ring, as a power of two.
pub(super) const LOG2: u32 = 4;
/// Records of the ring.
pub(super) const RECORDS: u32 = 1 << LOG2;
/// Bytes of each of the two rings.
pub(super) const BYTES: usize = RECORD_BYTES << LOG2;
/// What a command may take before it counts as never completed.
const PATIENCE: Duration = Duration::from_secs(2);

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ended {
    /// Its completion was written.
    Completed(Completion),
    /// The card stopped the ring.
    Fault,
    /// Neither, for two seconds.
    Nothing,
}

impl Ended {
    pub(super) fn is_completed(&self) -> bool {
        matches!(self, Self::Completed(_))
    }
}

/// The ring. Each half lies at an offset of a buffer that the suite made.
pub(super) struct RawRing {
    pub(super) commands: (DmaBuffer, usize),
    pub(super) completions: (DmaBuffer, usize),
    count: u32,
}

impl RawRing {
    /// A ring in fresh memory, a buffer for each half.
    pub(super) fn alloc(card: &mut Card) -> Result<Self, DeviceError> {
        let commands = card.transport().dma_alloc(BYTES)?;
        let completions = card.transport().dma_alloc(BYTES)?;
        Ok(Self::at((commands, 0), (completions, 0)))
    }

    /// A ring at the offsets given.
    pub(super) fn at(commands: (DmaBuffer, usize), completions: (DmaBuffer, usize)) -> Self {
        Self { commands, completions, count: 0 }
    }

    /// Gives the ring's memory back.
    pub(super) fn free(self, card: &mut Card) -> Result<(), DeviceError> {
        card.write_reg(regs::RING_ENABLE, 0)?;
        card.transport().dma_free(self.commands.0)?;
        card.transport().dma_free(self.completions.0)
    }

    /// Points the card at the ring and starts it. The card's own ring is set up anew by its next command.
    pub(super) fn start(&mut self, card: &mut Card) -> Result<(), DeviceError> {
        card.forget_ring();
        self.count = 0;
        self.completions.0.memory().write(self.completions.1, &[0; BYTES]);
        card.write_reg(regs::RING_ENABLE, 0)?;
        let bases = [
            (regs::CMD_BASE_LO, regs::CMD_BASE_HI, &self.commands),
            (regs::CPL_BASE_LO, regs::CPL_BASE_HI, &self.completions),
        ];
        for (low, high, (buffer, offset)) in bases {
            let iova = buffer.iova() + *offset as u64;
            card.write_reg(low, iova as u32)?;
            card.write_reg(high, (iova >> 32) as u32)?;
        }
        card.write_reg(regs::RING_LOG2, LOG2)?;
        card.write_reg(regs::CMD_PRODUCER, 0)?;
        card.write_reg(regs::RING_ENABLE, 1)
    }

    /// Puts a command into every place of the ring and announces nothing.
    pub(super) fn fill(&mut self, command: &Command) {
        for place in 0..RECORDS as usize {
            let at = self.commands.1 + place * RECORD_BYTES;
            self.commands.0.memory().write(at, command.as_bytes());
        }
        std::sync::atomic::fence(std::sync::atomic::Ordering::Release);
    }

    /// Announces commands up to `count` and waits for the card to stop; says whether it did.
    pub(super) fn announce(&mut self, card: &mut Card, count: u32) -> Result<bool, DeviceError> {
        card.write_reg(regs::CMD_PRODUCER, count)?;
        let deadline = Instant::now() + PATIENCE;
        while !card.status()?.ring_fault() {
            if Instant::now() > deadline {
                return Ok(false);
            }
            card.transport().wait_irq(IRQ_EVENT, Duration::from_millis(1))?;
        }
        Ok(true)
    }

    /// Executes one command, to its end whatever it is.
    pub(super) fn execute(
        &mut self,
        card: &mut Card,
        command: &Command,
    ) -> Result<Ended, DeviceError> {
        let at = (self.count % RECORDS) as usize * RECORD_BYTES;
        let phase = u8::from((self.count >> LOG2) & 1 == 0);
        let command = Command { cookie: self.count, ..*command };
        self.commands.0.memory().write(self.commands.1 + at, command.as_bytes());
        self.count += 1;
        std::sync::atomic::fence(std::sync::atomic::Ordering::Release);
        card.write_reg(regs::CMD_PRODUCER, self.count)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut record = [0; RECORD_BYTES];
            self.completions.0.memory().read(self.completions.1 + at, &mut record);
            let completion = Completion::read_from_bytes(&record).unwrap_or_default();
            if completion.phase == phase && completion.sequence == self.count {
                return Ok(Ended::Completed(completion));
            }
            if card.status()?.ring_fault() {
                return Ok(Ended::Fault);
            }
            if Instant::now() > deadline {
                return Ok(Ended::Nothing);
            }
            // Lets a card within this process work; takes no interrupt away that a check counts.
            card.transport().wait_irq(IRQ_EVENT, Duration::from_millis(1))?;
        }
    }
}
