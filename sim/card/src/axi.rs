//! Host memory as the card's AXI4 master sees it: answers bursts of 64-byte beats out of a [`DmaMap`].
//!
//! One read burst and one write burst at a time. An access that faults gets SLVERR on the beats that fault. `stall` holds back
//! handshakes to make the card wait, as a busy root complex would.

use penstock_abi::limits::BEAT_BYTES;
use penstock_rtl::{Inputs, Outputs};

use crate::dma::DmaMap;

const OKAY: u8 = 0;
const SLVERR: u8 = 2;

#[derive(Clone, Copy, Debug)]
struct Burst {
    address: u64,
    beats_left: u32,
}

/// Slave side of the master's channels.
#[derive(Debug, Default)]
pub(crate) struct AxiMemory {
    read: Option<Burst>,
    write: Option<Burst>,
    write_failed: bool,
    /// Whether the function may master the bus.
    pub(crate) enabled: bool,
    /// Accesses that faulted so far.
    pub(crate) faults: u64,
}

impl AxiMemory {
    /// A bus that the function may master.
    pub(crate) fn new() -> Self {
        Self { enabled: true, ..Self::default() }
    }

    /// Nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.read.is_none() && self.write.is_none()
    }

    /// Looks at what the card showed in the cycle that just ended, and sets the inputs of the next one.
    pub(crate) fn step(
        &mut self,
        inputs: &mut Inputs,
        outputs: &Outputs,
        dma: &DmaMap,
        mut stall: impl FnMut() -> bool,
    ) {
        self.step_read(inputs, outputs, dma, &mut stall);
        self.step_write(inputs, outputs, dma, &mut stall);
    }

    fn step_read(
        &mut self,
        inputs: &mut Inputs,
        outputs: &Outputs,
        dma: &DmaMap,
        stall: &mut impl FnMut() -> bool,
    ) {
        if inputs.axi_arready & outputs.axi_arvalid != 0 {
            self.read = Some(Burst {
                address: outputs.axi_araddr,
                beats_left: u32::from(outputs.axi_arlen) + 1,
            });
        }
        if inputs.axi_rvalid != 0 {
            if outputs.axi_rready == 0 {
                return; // held stable
            }
            inputs.axi_rvalid = 0;
            self.read = self.read.and_then(|b| {
                (b.beats_left > 1).then(|| Burst {
                    address: b.address.wrapping_add(BEAT_BYTES as u64),
                    beats_left: b.beats_left - 1,
                })
            });
        }
        inputs.axi_arready = u8::from(self.read.is_none() && !stall());
        if let Some(burst) = self.read
            && !stall()
        {
            let mut data = [0; BEAT_BYTES];
            let good = self.enabled && dma.read(burst.address, &mut data).is_ok();
            self.faults += u64::from(!good);
            for (word, four) in inputs.axi_rdata.iter_mut().zip(data.chunks_exact(4)) {
                *word = u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
            }
            inputs.axi_rresp = if good { OKAY } else { SLVERR };
            inputs.axi_rlast = u8::from(burst.beats_left == 1);
            inputs.axi_rvalid = 1;
        }
    }

    fn step_write(
        &mut self,
        inputs: &mut Inputs,
        outputs: &Outputs,
        dma: &DmaMap,
        stall: &mut impl FnMut() -> bool,
    ) {
        if inputs.axi_bvalid != 0 {
            if outputs.axi_bready == 0 {
                return; // held stable
            }
            inputs.axi_bvalid = 0;
            self.write = None;
        }
        if inputs.axi_awready & outputs.axi_awvalid != 0 {
            self.write = Some(Burst {
                address: outputs.axi_awaddr,
                beats_left: u32::from(outputs.axi_awlen) + 1,
            });
            self.write_failed = false;
        }
        if inputs.axi_wready & outputs.axi_wvalid != 0
            && let Some(burst) = &mut self.write
        {
            let good = self.enabled && write_beat(dma, burst.address, outputs);
            self.faults += u64::from(!good);
            self.write_failed |= !good;
            burst.address = burst.address.wrapping_add(BEAT_BYTES as u64);
            burst.beats_left = burst.beats_left.saturating_sub(1);
        }
        let beats_left = self.write.map(|b| b.beats_left);
        inputs.axi_awready = u8::from(beats_left.is_none() && !stall());
        inputs.axi_wready = u8::from(beats_left.is_some_and(|n| n > 0) && !stall());
        if beats_left == Some(0) && !stall() {
            inputs.axi_bvalid = 1;
            inputs.axi_bresp = if self.write_failed { SLVERR } else { OKAY };
        }
    }
}

fn write_beat(dma: &DmaMap, address: u64, outputs: &Outputs) -> bool {
    let mut data = [0; BEAT_BYTES];
    for (four, word) in data.chunks_exact_mut(4).zip(outputs.axi_wdata) {
        four.copy_from_slice(&word.to_le_bytes());
    }
    if outputs.axi_wstrb == u64::MAX {
        return dma.write(address, &data).is_ok();
    }
    let mut good = true;
    for (i, byte) in data.iter().enumerate() {
        if outputs.axi_wstrb >> i & 1 == 1 {
            good &= dma.write(address.wrapping_add(i as u64), std::slice::from_ref(byte)).is_ok();
        }
    }
    good
}
