//! Interrupt vectors: who is told, and how often there was something to tell.

use penstock_abi::regs::IRQ_VECTORS;
use vmm_sys_util::eventfd::EventFd;

/// The vectors of one card.
#[derive(Default)]
pub(super) struct Irqs {
    connected: [Option<EventFd>; IRQ_VECTORS as usize],
    raised: [u64; IRQ_VECTORS as usize],
}

impl Irqs {
    /// Connects a vector, or disconnects it.
    pub(super) fn set(&mut self, vector: usize, irq: Option<EventFd>) {
        if let Some(slot) = self.connected.get_mut(vector) {
            *slot = irq;
        }
    }

    /// Disconnects all.
    pub(super) fn disconnect(&mut self) {
        self.connected = Default::default();
    }

    /// The card raises the vectors of this mask.
    pub(super) fn raise(&mut self, mask: u8) {
        if mask == 0 {
            return;
        }
        for vector in 0..IRQ_VECTORS as usize {
            if mask >> vector & 1 == 1 {
                self.raised[vector] += 1;
                self.trigger(vector);
            }
        }
    }

    /// Tells whoever is connected, without the card.
    pub(super) fn trigger(&self, vector: usize) {
        if let Some(irq) = self.connected.get(vector).and_then(Option::as_ref) {
            // A counter at its limit was raised long ago and not read.
            let _ = irq.write(1);
        }
    }

    /// How often the card has raised a vector.
    pub(super) fn raised(&self, vector: usize) -> u64 {
        self.raised.get(vector).copied().unwrap_or(0)
    }
}
