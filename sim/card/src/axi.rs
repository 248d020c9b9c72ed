//! Host memory as the card's AXI4 master sees it: answers bursts of 64-byte beats out of a [`DmaMap`].
//!
//! One read burst and one write burst at a time. An access that faults gets SLVERR on the beats that fault. A burst that crosses a
//! 4 KiB boundary, which AXI4 forbids and a bridge may take for anything, gets SLVERR throughout and is a violation.
//! `stall` holds back handshakes to make the card wait, as a busy root complex would.

use penstock_abi::limits::BEAT_BYTES;
use penstock_rtl::{Inputs, Outputs};

use crate::dma::DmaMap;

const OKAY: u8 = 0;
const SLVERR: u8 = 2;

/// No burst crosses a multiple of this (AXI4 specification, A3.4.1).
const BOUNDARY_BYTES: u64 = 4096;

#[derive(Clone, Copy, Debug)]
struct Burst {
    address: u64,
    beats_left: u32,
    /// Against the protocol: nothing of it is carried out.
    refused: bool,
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
    /// What the card did against the protocol, if nobody has taken it yet.
    pub(crate) violation: Option<String>,
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

    fn begin(&mut self, what: &str, address: u64, len: u8) -> Burst {
        let beats = u32::from(len) + 1;
        let bytes = u64::from(beats) * BEAT_BYTES as u64;
        let refused = address % BOUNDARY_BYTES + bytes > BOUNDARY_BYTES;
        if refused {
            let text = format!("AXI {what} burst of {beats} beats at {address:#x} crosses 4 KiB");
            self.violation.get_or_insert(text);
        }
        Burst { address, beats_left: beats, refused }
    }

    fn step_read(
        &mut self,
        inputs: &mut Inputs,
        outputs: &Outputs,
        dma: &DmaMap,
        stall: &mut impl FnMut() -> bool,
    ) {
        if inputs.axi_arready & outputs.axi_arvalid != 0 {
            self.read = Some(self.begin("read", outputs.axi_araddr, outputs.axi_arlen));
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
                    refused: b.refused,
                })
            });
        }
        inputs.axi_arready = u8::from(self.read.is_none() && !stall());
        if let Some(burst) = self.read
            && !stall()
        {
            let mut data = [0; BEAT_BYTES];
            let good = self.enabled && !burst.refused && dma.read(burst.address, &mut data).is_ok();
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
            self.write = Some(self.begin("write", outputs.axi_awaddr, outputs.axi_awlen));
            self.write_failed = false;
        }
        if inputs.axi_wready & outputs.axi_wvalid != 0
            && let Some(burst) = &mut self.write
        {
            let good = self.enabled && !burst.refused && write_beat(dma, burst.address, outputs);
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use penstock_device::SharedMemory;

    use super::*;

    /// Memory of three pages at 0x10000 and the card's side of the bus, one cycle a call.
    struct Bus {
        memory: AxiMemory,
        dma: DmaMap,
        inputs: Inputs,
        outputs: Outputs,
    }

    impl Bus {
        fn new() -> Self {
            let mut dma = DmaMap::default();
            dma.map_memory(0x1_0000, Arc::new(SharedMemory::create(3 * 4096).unwrap())).unwrap();
            let (inputs, outputs) = (Inputs::default(), Outputs::default());
            Self { memory: AxiMemory::new(), dma, inputs, outputs }
        }

        fn step(&mut self) {
            self.memory.step(&mut self.inputs, &self.outputs, &self.dma, || false);
        }

        /// Responses of a read burst's beats.
        fn read(&mut self, address: u64, beats: u8) -> Vec<u8> {
            self.outputs.axi_araddr = address;
            self.outputs.axi_arlen = beats - 1;
            self.outputs.axi_arvalid = 1;
            self.outputs.axi_rready = 1;
            let mut answers = Vec::new();
            for _ in 0..64 {
                let taken = self.inputs.axi_arready != 0;
                self.step();
                self.outputs.axi_arvalid &= u8::from(!taken);
                if self.inputs.axi_rvalid != 0 {
                    answers.push(self.inputs.axi_rresp);
                    if self.inputs.axi_rlast != 0 {
                        self.step();
                        return answers;
                    }
                }
            }
            panic!("no answer to a read of {beats} beats at {address:#x}");
        }

        /// Response of a write burst.
        fn write(&mut self, address: u64, beats: u8) -> u8 {
            self.outputs.axi_awaddr = address;
            self.outputs.axi_awlen = beats - 1;
            self.outputs.axi_wstrb = u64::MAX;
            self.outputs.axi_wdata = [0x5a5a_5a5a; 16];
            self.outputs.axi_awvalid = 1;
            self.outputs.axi_bready = 1;
            let mut left = beats;
            for _ in 0..64 {
                let (address_taken, beat_taken) = (
                    self.inputs.axi_awready != 0,
                    self.inputs.axi_wready & self.outputs.axi_wvalid,
                );
                self.step();
                self.outputs.axi_awvalid &= u8::from(!address_taken);
                left -= beat_taken;
                self.outputs.axi_wvalid = u8::from(left > 0 && self.outputs.axi_awvalid == 0);
                if self.inputs.axi_bvalid != 0 {
                    let response = self.inputs.axi_bresp;
                    self.step();
                    return response;
                }
            }
            panic!("no answer to a write of {beats} beats at {address:#x}");
        }
    }

    #[test]
    fn a_burst_up_to_a_boundary_is_carried_out() {
        let mut bus = Bus::new();
        assert_eq!(bus.read(0x1_0e00, 8), [OKAY; 8]);
        assert_eq!(bus.write(0x1_0fc0, 1), OKAY);
        assert_eq!((bus.memory.faults, bus.memory.violation), (0, None));
    }

    #[test]
    fn a_burst_across_a_boundary_is_refused_and_told() {
        let mut bus = Bus::new();
        assert_eq!(bus.read(0x1_0f00, 8), [SLVERR; 8]);
        let told = bus.memory.violation.take().unwrap();
        assert_eq!(told, "AXI read burst of 8 beats at 0x10f00 crosses 4 KiB");
        assert_eq!(bus.write(0x1_0fc0, 2), SLVERR);
        assert!(bus.memory.violation.take().unwrap().starts_with("AXI write burst of 2 beats"));
        let mut page = [0; 4096];
        bus.dma.read(0x1_0000, &mut page).unwrap();
        assert_eq!(page, [0; 4096], "nothing of it is written");
        assert_eq!(bus.read(0x1_0f00, 4), [OKAY; 4], "the next one is served");
    }
}
