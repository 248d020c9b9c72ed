//! Host memory as the card's AXI4 master sees it: answers bursts of 64-byte beats out of a [`DmaMap`].
//!
//! Several bursts of each kind may be under way; they are answered in order, each no sooner than the bus's latency after it was
//! asked for ([`BusLatency`]). Memory changes when a write's data arrives, and is read when a beat is shown. An access that faults
//! gets SLVERR on the beats that fault. A burst that crosses a 4 KiB boundary, which AXI4 forbids and a bridge may take for
//! anything, gets SLVERR throughout and is a violation. `stall` holds back handshakes to make the card wait, as a busy root
//! complex would.

use std::collections::VecDeque;

use penstock_abi::limits::BEAT_BYTES;
use penstock_rtl::{Inputs, Outputs};

use crate::card::BusLatency;
use crate::dma::DmaMap;

const OKAY: u8 = 0;
const SLVERR: u8 = 2;

/// No burst crosses a multiple of this (AXI4 specification, A3.4.1).
const BOUNDARY_BYTES: u64 = 4096;
/// Bursts of a kind that are taken before the first of them is answered.
const BURSTS: usize = 32;

#[derive(Clone, Copy, Debug)]
struct Burst {
    address: u64,
    beats_left: u32,
    /// Against the protocol: nothing of it is carried out.
    refused: bool,
    /// Cycle before which it is not answered.
    due: u64,
    /// Of a write: something of it could not be done.
    failed: bool,
}

/// A beat of a write whose burst is not known yet.
#[derive(Clone, Copy, Debug)]
struct Beat {
    data: [u32; BEAT_BYTES / 4],
    strobes: u64,
}

/// Slave side of the master's channels.
#[derive(Debug, Default)]
pub(crate) struct AxiMemory {
    now: u64,
    reads: VecDeque<Burst>,
    writes: VecDeque<Burst>,
    beats: VecDeque<Beat>,
    /// How long the bus takes.
    pub(crate) latency: BusLatency,
    /// Whether the function may master the bus.
    pub(crate) enabled: bool,
    /// Accesses that faulted so far.
    pub(crate) faults: u64,
    /// What the card did against the protocol, if nobody has taken it yet.
    pub(crate) violation: Option<String>,
}

impl AxiMemory {
    /// A bus that the function may master.
    pub(crate) fn new(latency: BusLatency) -> Self {
        Self { latency, enabled: true, ..Self::default() }
    }

    /// Nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.reads.is_empty() && self.writes.is_empty() && self.beats.is_empty()
    }

    /// Looks at what the card showed in the cycle that just ended, and sets the inputs of the next one.
    pub(crate) fn step(
        &mut self,
        inputs: &mut Inputs,
        outputs: &Outputs,
        dma: &DmaMap,
        mut stall: impl FnMut() -> bool,
    ) {
        self.now += 1;
        self.step_read(inputs, outputs, dma, &mut stall);
        self.step_write(inputs, outputs, dma, &mut stall);
    }

    fn begin(&mut self, what: &str, address: u64, len: u8, latency: u32) -> Burst {
        let beats = u32::from(len) + 1;
        let bytes = u64::from(beats) * BEAT_BYTES as u64;
        let refused = address % BOUNDARY_BYTES + bytes > BOUNDARY_BYTES;
        if refused {
            let text = format!("AXI {what} burst of {beats} beats at {address:#x} crosses 4 KiB");
            self.violation.get_or_insert(text);
        }
        let due = self.now + u64::from(latency);
        Burst { address, beats_left: beats, refused, due, failed: false }
    }

    fn step_read(
        &mut self,
        inputs: &mut Inputs,
        outputs: &Outputs,
        dma: &DmaMap,
        stall: &mut impl FnMut() -> bool,
    ) {
        if inputs.axi_arready & outputs.axi_arvalid != 0 {
            let latency = self.latency.read_cycles;
            let burst = self.begin("read", outputs.axi_araddr, outputs.axi_arlen, latency);
            self.reads.push_back(burst);
        }
        inputs.axi_arready = u8::from(self.reads.len() < BURSTS && !stall());
        if inputs.axi_rvalid != 0 {
            if outputs.axi_rready == 0 {
                return; // held stable
            }
            inputs.axi_rvalid = 0;
            if let Some(burst) = self.reads.front_mut() {
                burst.address = burst.address.wrapping_add(BEAT_BYTES as u64);
                burst.beats_left -= 1;
                if burst.beats_left == 0 {
                    self.reads.pop_front();
                }
            }
        }
        if let Some(burst) = self.reads.front()
            && self.now >= burst.due
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
        if inputs.axi_awready & outputs.axi_awvalid != 0 {
            let latency = self.latency.answer_cycles;
            let burst = self.begin("write", outputs.axi_awaddr, outputs.axi_awlen, latency);
            self.writes.push_back(burst);
        }
        if inputs.axi_wready & outputs.axi_wvalid != 0 {
            self.beats.push_back(Beat { data: outputs.axi_wdata, strobes: outputs.axi_wstrb });
        }
        self.carry_out(dma);
        inputs.axi_awready = u8::from(self.writes.len() < BURSTS && !stall());
        inputs.axi_wready = u8::from(self.beats.len() < BURSTS && !stall());
        if inputs.axi_bvalid != 0 {
            if outputs.axi_bready == 0 {
                return; // held stable
            }
            inputs.axi_bvalid = 0;
            self.writes.pop_front();
        }
        if let Some(burst) = self.writes.front()
            && burst.beats_left == 0
            && self.now >= burst.due
            && !stall()
        {
            inputs.axi_bvalid = 1;
            inputs.axi_bresp = if burst.failed { SLVERR } else { OKAY };
        }
    }

    /// Writes what has come to where it belongs.
    fn carry_out(&mut self, dma: &DmaMap) {
        let mut open = self.writes.iter_mut().filter(|burst| burst.beats_left > 0);
        let mut burst = open.next();
        while let Some(into) = &mut burst
            && let Some(beat) = self.beats.pop_front()
        {
            let good = self.enabled && !into.refused && write_beat(dma, into.address, &beat);
            self.faults += u64::from(!good);
            into.failed |= !good;
            into.address = into.address.wrapping_add(BEAT_BYTES as u64);
            into.beats_left -= 1;
            if into.beats_left == 0 {
                burst = open.next();
            }
        }
    }
}

fn write_beat(dma: &DmaMap, address: u64, beat: &Beat) -> bool {
    let mut data = [0; BEAT_BYTES];
    for (four, word) in data.chunks_exact_mut(4).zip(beat.data) {
        four.copy_from_slice(&word.to_le_bytes());
    }
    if beat.strobes == u64::MAX {
        return dma.write(address, &data).is_ok();
    }
    let mut good = true;
    for (i, byte) in data.iter().enumerate() {
        if beat.strobes >> i & 1 == 1 {
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
            Self { memory: AxiMemory::new(BusLatency::default()), dma, inputs, outputs }
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
    fn a_bus_takes_its_time_for_each_and_serves_many_at_once() {
        let mut bus = Bus::new();
        bus.memory.latency = BusLatency { read_cycles: 100, answer_cycles: 30 };
        let mut reads = Vec::new();
        bus.outputs.axi_rready = 1;
        bus.outputs.axi_bready = 1;
        (bus.outputs.axi_arlen, bus.outputs.axi_wstrb) = (1, u64::MAX);
        let (mut asked, mut written, mut answers) = (0, 0, Vec::new());
        for cycle in 0..200u64 {
            bus.outputs.axi_araddr = 0x1_0000 + asked * 128;
            bus.outputs.axi_arvalid = u8::from(asked < 8);
            bus.outputs.axi_awaddr = 0x1_1000 + written * 64;
            bus.outputs.axi_awvalid = u8::from(written < 8);
            bus.outputs.axi_wvalid = bus.outputs.axi_awvalid;
            asked += u64::from(bus.inputs.axi_arready & bus.outputs.axi_arvalid);
            written += u64::from(bus.inputs.axi_awready & bus.outputs.axi_awvalid);
            bus.step();
            reads.extend((bus.inputs.axi_rvalid != 0).then_some(cycle));
            answers.extend((bus.inputs.axi_bvalid != 0).then_some(cycle));
        }
        assert_eq!(
            reads,
            (101..117).collect::<Vec<u64>>(),
            "16 beats in 8 bursts, one after the other"
        );
        assert_eq!(answers, (31..39).collect::<Vec<u64>>());
        assert!(bus.memory.is_idle());
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
