//! The two streams of frames, fabric and host side, in both directions.

use std::collections::VecDeque;

use penstock_abi::limits::VIF_FABRIC;
use penstock_rtl::{Inputs, Outputs};

use crate::frame::{Assembler, Ingress};

/// A frame that left the card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Egress {
    /// The vif it left by; 0 = fabric.
    pub vif: u8,
    /// Its bytes.
    pub frame: Vec<u8>,
    /// Cycle of its last beat.
    pub cycle: u64,
}

/// Frames that wait for the card, and those that it has sent.
#[derive(Debug, Default)]
pub(super) struct Streams {
    fabric_in: Ingress,
    host_in: Ingress,
    fabric_out: Assembler,
    host_out: Assembler,
    /// Frames that left the card, in order.
    pub(super) egress: VecDeque<Egress>,
}

impl Streams {
    /// Queues a frame that arrives by `vif`; it must not be empty.
    pub(super) fn push(&mut self, vif: u8, frame: Vec<u8>) {
        if vif == VIF_FABRIC {
            self.fabric_in.push(0, frame);
        } else {
            self.host_in.push(vif, frame);
        }
    }

    /// Frames that wait on the stream of `vif`.
    pub(super) fn frames(&self, vif: u8) -> usize {
        if vif == VIF_FABRIC { self.fabric_in.frames() } else { self.host_in.frames() }
    }

    /// Frames that wait: fabric, host side.
    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.fabric_in.frames(), self.host_in.frames())
    }

    /// No frame waits.
    pub(super) fn is_empty(&self) -> bool {
        self.fabric_in.is_empty() && self.host_in.is_empty()
    }

    /// The handshakes of `cycle`, which is over, and what is offered in the next one.
    pub(super) fn step(
        &mut self,
        inputs: &mut Inputs,
        outputs: &Outputs,
        cycle: u64,
        stall: &mut impl FnMut() -> bool,
    ) {
        if inputs.fab_rx.valid & outputs.fab_rx_ready != 0 {
            self.fabric_in.advance();
            inputs.fab_rx.valid = 0;
        }
        if inputs.host_rx.valid & outputs.host_rx_ready != 0 {
            self.host_in.advance();
            inputs.host_rx.valid = 0;
        }
        // An offered beat stays until it is taken; a new one may wait.
        if inputs.fab_rx.valid == 0
            && let Some(beat) = self.fabric_in.beat()
            && !stall()
        {
            inputs.fab_rx = beat;
        }
        if inputs.host_rx.valid == 0
            && let Some(beat) = self.host_in.beat()
            && !stall()
        {
            inputs.host_rx = beat;
        }
        if inputs.fab_tx_ready & outputs.fab_tx.valid != 0
            && let Some((_, frame)) = self.fabric_out.push(&outputs.fab_tx)
        {
            self.egress.push_back(Egress { vif: VIF_FABRIC, frame, cycle });
        }
        if inputs.host_tx_ready & outputs.host_tx.valid != 0
            && let Some((vif, frame)) = self.host_out.push(&outputs.host_tx)
        {
            self.egress.push_back(Egress { vif, frame, cycle });
        }
        inputs.fab_tx_ready = u8::from(!stall());
        inputs.host_tx_ready = u8::from(!stall());
    }
}
