//! The card as a value: RTL, host memory, streams, ports and time.
//!
//! A cycle is one [`CardSim::tick`]. Frames wait in two queues, one a stream (fabric, host side), and leave either through the
//! port attached to their vif or, without one, into a list ([`CardSim::take_egress`]). When nothing is in flight, nothing
//! waits and the soft core sleeps, the card is idle and needs no cycles; with [`Clock::Wall`] the time that passed meanwhile is
//! added to the card's clock at once.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::Instant;

use penstock_abi::limits::{CORE_CLOCK_KHZ, VIF_FABRIC};
use penstock_abi::regs::{self, CardStatus, IRQ_VECTORS};
use penstock_rtl::{Failure, Inputs, Outputs, Rtl, RtlError};
use vmm_sys_util::eventfd::EventFd;

use crate::axi::AxiMemory;
use crate::dma::DmaMap;
use crate::frame::{Assembler, Ingress};
use crate::port::{Port, PortStats};

/// Cycles without any activity after which the card counts as idle: more than any register takes to show in `idle_o`.
const SETTLE_CYCLES: u32 = 16;
/// A register access takes a handful of cycles; a card that needs more than this hangs.
const REGISTER_CYCLES: u64 = 100_000;
/// Clearing takes a cycle an entry of the largest table.
const POWER_ON_CYCLES: u64 = 2_000_000;
/// Frames that may wait for a stream before its ports are no longer read.
const QUEUE_FRAMES: usize = 64;
/// Largest frame read from a port: longer than the card takes, so that it is the card that counts it.
const PORT_FRAME_BYTES: usize = 1 << 16;

/// Why the card did not do something. Always a defect of the RTL or of its build.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// The model could not be made.
    #[error(transparent)]
    Rtl(#[from] RtlError),
    /// A register access was not answered.
    #[error("register {offset:#05x} was not answered in {REGISTER_CYCLES} cycles")]
    Register {
        /// Its offset.
        offset: u32,
    },
    /// Tables were not cleared after power-on.
    #[error("tables were not cleared within {POWER_ON_CYCLES} cycles after power-on")]
    PowerOn,
    /// Assertions of the RTL failed.
    #[error("{0}")]
    Assertion(Failure),
    /// The card did not become idle.
    #[error("the card is still busy after {cycles} cycles")]
    Busy {
        /// How long it was given.
        cycles: u64,
    },
}

/// Where the card's time comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// Cycles that are simulated or skipped on request: repeatable.
    #[default]
    Simulated,
    /// The wall clock, at the card's nominal frequency.
    Wall,
}

/// Random back-pressure: ready signals and valid signals of the harness pause, repeatably.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackPressure {
    /// Seed.
    pub seed: u64,
    /// How often a handshake pauses in a cycle, of 256.
    pub of_256: u8,
}

/// How a card is set up.
#[derive(Clone, Debug, Default)]
pub struct CardOptions {
    /// Image of the soft core.
    pub firmware: Option<PathBuf>,
    /// Waveform file (feature `trace`).
    pub trace: Option<PathBuf>,
    /// Does not evaluate the RTL's assertions.
    pub unchecked: bool,
    /// Time.
    pub clock: Clock,
    /// Back-pressure.
    pub back_pressure: Option<BackPressure>,
}

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

struct Attached {
    name: String,
    port: Box<dyn Port>,
    stats: PortStats,
}

/// The simulated card.
pub struct CardSim {
    rtl: Rtl,
    inputs: Inputs,
    outputs: Outputs,
    axi: AxiMemory,
    dma: DmaMap,
    fabric_in: Ingress,
    host_in: Ingress,
    fabric_out: Assembler,
    host_out: Assembler,
    egress: VecDeque<Egress>,
    ports: BTreeMap<u8, Attached>,
    irqs: [Option<EventFd>; IRQ_VECTORS as usize],
    raised: [u64; IRQ_VECTORS as usize],
    quiet_cycles: u32,
    time: Time,
    back_pressure: Option<(u64, u8)>,
    buffer: Vec<u8>,
}

struct Time {
    wall: Option<Instant>,
    /// Cycles that the card's time shows.
    shown: u64,
    /// Cycles still to be added.
    skip: u64,
}

impl std::fmt::Debug for CardSim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ports: Vec<_> = self.ports.iter().map(|(vif, a)| format!("{}:{vif}", a.name)).collect();
        f.debug_struct("CardSim")
            .field("cycles", &self.rtl.cycles())
            .field("ports", &ports)
            .finish_non_exhaustive()
    }
}

impl CardSim {
    /// A card after power-on, its tables cleared.
    ///
    /// # Errors
    /// [`CardError`].
    pub fn new(options: &CardOptions) -> Result<Self, CardError> {
        let rtl = Rtl::new(&penstock_rtl::Options {
            firmware: options.firmware.clone(),
            trace: options.trace.clone(),
            unchecked: options.unchecked,
        })?;
        let mut card = Self {
            rtl,
            inputs: Inputs { fab_tx_ready: 1, host_tx_ready: 1, ..Inputs::default() },
            outputs: Outputs::default(),
            axi: AxiMemory::new(),
            dma: DmaMap::default(),
            fabric_in: Ingress::default(),
            host_in: Ingress::default(),
            fabric_out: Assembler::default(),
            host_out: Assembler::default(),
            egress: VecDeque::new(),
            ports: BTreeMap::new(),
            irqs: Default::default(),
            raised: [0; IRQ_VECTORS as usize],
            quiet_cycles: 0,
            time: Time { wall: None, shown: 0, skip: 0 },
            back_pressure: options.back_pressure.map(|b| (b.seed | 1, b.of_256)),
            buffer: vec![0; PORT_FRAME_BYTES],
        };
        card.power_on()?;
        if options.clock == Clock::Wall {
            card.time.wall = Some(Instant::now());
        }
        Ok(card)
    }

    fn power_on(&mut self) -> Result<(), CardError> {
        self.inputs.rst = 1;
        for _ in 0..32 {
            self.tick();
        }
        self.inputs.rst = 0;
        let end = self.cycles() + POWER_ON_CYCLES;
        while CardStatus(self.read_reg(regs::STATUS)?).clearing() {
            for _ in 0..256 {
                self.tick();
            }
            if self.cycles() > end {
                return Err(CardError::PowerOn);
            }
        }
        Ok(())
    }

    /// Cycles simulated so far.
    #[must_use]
    pub fn cycles(&self) -> u64 {
        self.rtl.cycles()
    }

    /// Lets `cycles` of card time pass without simulating them: in one cycle, however long they are. A card's time ends
    /// after 1,800 years.
    pub fn skip_time(&mut self, cycles: u64) {
        self.time.skip = self.time.skip.saturating_add(cycles).min(u64::MAX / 2);
        self.quiet_cycles = 0;
    }

    /// One cycle.
    pub fn tick(&mut self) {
        self.inputs.time_skip = std::mem::take(&mut self.time.skip);
        self.time.shown = self.time.shown.saturating_add(1 + self.inputs.time_skip);
        self.rtl.tick(&self.inputs, &mut self.outputs);

        let (inputs, outputs) = (&mut self.inputs, &self.outputs);
        let rng = &mut self.back_pressure;
        let mut stall = || rng.as_mut().is_some_and(pause);
        let cycle = self.rtl.cycles();

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
        self.axi.step(inputs, outputs, &self.dma, &mut stall);
        if let Some(violation) = self.axi.violation.take() {
            self.rtl.report(violation);
        }

        if outputs.irq != 0 {
            for vector in 0..IRQ_VECTORS as usize {
                if outputs.irq >> vector & 1 == 1 {
                    self.raised[vector] += 1;
                    raise(self.irqs[vector].as_ref());
                }
            }
        }
        let busy = outputs.idle == 0
            || outputs.fw_active != 0
            || inputs.fab_rx.valid | inputs.host_rx.valid != 0
            || !self.axi.is_idle();
        self.quiet_cycles = if busy { 0 } else { self.quiet_cycles.saturating_add(1) };
    }

    /// Nothing is in flight, nothing waits, the soft core sleeps.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.quiet_cycles >= SETTLE_CYCLES
            && self.fabric_in.is_empty()
            && self.host_in.is_empty()
            && self.time.skip == 0
    }

    /// Runs until the card is idle, but at most `budget` cycles; says whether it is idle. With the wall clock, the card's time
    /// is brought up to date first. At least a few cycles are run, so that a timer that expired meanwhile is seen.
    pub fn run(&mut self, budget: u64) -> bool {
        self.follow_wall_clock();
        self.quiet_cycles = 0;
        let end = self.cycles() + budget.max(u64::from(SETTLE_CYCLES));
        while self.cycles() < end {
            self.tick();
            if self.is_idle() {
                break;
            }
        }
        self.deliver();
        self.is_idle()
    }

    /// Runs until the card is idle.
    ///
    /// # Errors
    /// [`CardError::Busy`] after `limit` cycles; [`CardError::Assertion`].
    pub fn drain(&mut self, limit: u64) -> Result<(), CardError> {
        let idle = self.run(limit);
        self.check()?;
        if idle { Ok(()) } else { Err(CardError::Busy { cycles: limit }) }
    }

    fn follow_wall_clock(&mut self) {
        if let Some(start) = self.time.wall {
            let target = start.elapsed().as_nanos() * u128::from(CORE_CLOCK_KHZ) / 1_000_000;
            let target = u64::try_from(target).unwrap_or(u64::MAX);
            self.time.skip = target.saturating_sub(self.time.shown);
            if self.time.skip > 0 {
                self.tick(); // whatever is read next sees the time as it is now
            }
        }
    }

    /// Reports assertions of the RTL, and of the memory that it masters, that failed since the last call.
    ///
    /// # Errors
    /// [`CardError::Assertion`].
    pub fn check(&mut self) -> Result<(), CardError> {
        self.rtl.take_failure().map_or(Ok(()), |failure| Err(CardError::Assertion(failure)))
    }

    /// Queues a frame that arrives by `vif` (0 = from the wire).
    pub fn inject(&mut self, vif: u8, frame: Vec<u8>) {
        if frame.is_empty() {
            return;
        }
        if vif == VIF_FABRIC {
            self.fabric_in.push(0, frame);
        } else {
            self.host_in.push(vif, frame);
        }
        self.quiet_cycles = 0;
    }

    /// Frames that wait to enter the card: fabric, host side.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        (self.fabric_in.frames(), self.host_in.frames())
    }

    /// Takes the frames that left by vifs without a port, in order.
    pub fn take_egress(&mut self) -> Vec<Egress> {
        self.egress.drain(..).collect()
    }

    /// Attaches a port to a vif, in place of the one it had.
    pub fn attach_port(&mut self, vif: u8, name: impl Into<String>, port: Box<dyn Port>) {
        self.ports.insert(vif, Attached { name: name.into(), port, stats: PortStats::default() });
    }

    /// Takes a port off.
    pub fn detach_port(&mut self, vif: u8) -> Option<Box<dyn Port>> {
        self.ports.remove(&vif).map(|attached| attached.port)
    }

    /// Name, vif and counters of the ports.
    pub fn port_stats(&self) -> impl Iterator<Item = (&str, u8, PortStats)> {
        self.ports.iter().map(|(vif, a)| (a.name.as_str(), *vif, a.stats))
    }

    /// Descriptors that become readable when a frame arrives at a port that the card would take now.
    pub fn port_fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let room = |vif: u8| self.queue(vif).frames() < QUEUE_FRAMES;
        self.ports.iter().filter(move |(vif, _)| room(**vif)).filter_map(|(_, a)| a.port.fd())
    }

    fn queue(&self, vif: u8) -> &Ingress {
        if vif == VIF_FABRIC { &self.fabric_in } else { &self.host_in }
    }

    /// Reads what arrived at the ports, as far as the queues have room. Says whether anything did.
    pub fn receive(&mut self) -> bool {
        let mut any = false;
        let share = (QUEUE_FRAMES / self.ports.len().max(1)).max(4);
        for (&vif, attached) in &mut self.ports {
            let queue = if vif == VIF_FABRIC { &mut self.fabric_in } else { &mut self.host_in };
            for _ in 0..share {
                if queue.frames() >= QUEUE_FRAMES {
                    break;
                }
                match attached.port.receive(&mut self.buffer) {
                    Ok(None) => break,
                    Ok(Some(0)) => attached.stats.rx_errors += 1,
                    Ok(Some(bytes)) => {
                        attached.stats.rx_frames += 1;
                        attached.stats.rx_bytes += bytes as u64;
                        queue.push(vif, self.buffer[..bytes].to_vec());
                        any = true;
                    }
                    Err(error) => {
                        attached.stats.rx_errors += 1;
                        tracing::debug!(port = attached.name, %error, "cannot receive");
                        break;
                    }
                }
            }
        }
        any
    }

    /// Hands the frames that left the card to their ports.
    fn deliver(&mut self) {
        if self.ports.is_empty() {
            return;
        }
        let mut kept = VecDeque::new();
        for egress in self.egress.drain(..) {
            let Some(attached) = self.ports.get_mut(&egress.vif) else {
                kept.push_back(egress);
                continue;
            };
            match attached.port.send(&egress.frame) {
                Ok(()) => {
                    attached.stats.tx_frames += 1;
                    attached.stats.tx_bytes += egress.frame.len() as u64;
                }
                Err(error) => {
                    attached.stats.tx_dropped += 1;
                    tracing::debug!(port = attached.name, bytes = egress.frame.len(), %error, "frame dropped by the port");
                }
            }
        }
        self.egress = kept;
    }

    /// Reads a register over AXI4-Lite; the card goes on meanwhile.
    ///
    /// # Errors
    /// [`CardError::Register`].
    pub fn read_reg(&mut self, offset: u32) -> Result<u32, CardError> {
        self.follow_wall_clock();
        self.inputs.axil_araddr = (offset & 0xfffc) as u16;
        self.inputs.axil_arvalid = 1;
        self.inputs.axil_rready = 1;
        for _ in 0..REGISTER_CYCLES {
            self.tick();
            if self.outputs.axil_arready != 0 {
                self.inputs.axil_arvalid = 0;
            }
            if self.outputs.axil_rvalid != 0 {
                self.inputs.axil_rready = 0;
                self.quiet_cycles = 0;
                return Ok(self.outputs.axil_rdata);
            }
        }
        self.inputs.axil_arvalid = 0;
        Err(CardError::Register { offset })
    }

    /// Writes a register over AXI4-Lite; the card goes on meanwhile.
    ///
    /// # Errors
    /// [`CardError::Register`].
    pub fn write_reg(&mut self, offset: u32, value: u32) -> Result<(), CardError> {
        self.inputs.axil_awaddr = (offset & 0xfffc) as u16;
        self.inputs.axil_wdata = value;
        self.inputs.axil_awvalid = 1;
        self.inputs.axil_wvalid = 1;
        self.inputs.axil_bready = 1;
        for _ in 0..REGISTER_CYCLES {
            self.tick();
            if self.outputs.axil_awready != 0 {
                self.inputs.axil_awvalid = 0;
            }
            if self.outputs.axil_wready != 0 {
                self.inputs.axil_wvalid = 0;
            }
            if self.outputs.axil_bvalid != 0 {
                self.inputs.axil_bready = 0;
                self.quiet_cycles = 0;
                return Ok(());
            }
        }
        self.inputs.axil_awvalid = 0;
        self.inputs.axil_wvalid = 0;
        Err(CardError::Register { offset })
    }

    /// Function-level reset.
    pub fn function_reset(&mut self) {
        self.inputs.flr = 1;
        self.tick();
        self.inputs.flr = 0;
        for _ in 0..SETTLE_CYCLES {
            self.tick();
        }
        self.quiet_cycles = 0;
    }

    /// Host memory as the card sees it.
    pub fn dma(&mut self) -> &mut DmaMap {
        &mut self.dma
    }

    /// Whether the card may master the bus; otherwise its accesses fault.
    pub fn set_bus_master(&mut self, enabled: bool) {
        self.axi.enabled = enabled;
    }

    /// Bus errors that the card's accesses met.
    #[must_use]
    pub fn bus_faults(&self) -> u64 {
        self.axi.faults
    }

    /// Connects an interrupt vector, or disconnects it.
    pub fn set_irq(&mut self, vector: usize, irq: Option<EventFd>) {
        if let Some(slot) = self.irqs.get_mut(vector) {
            *slot = irq;
        }
    }

    /// Raises an interrupt as if the card had.
    pub fn trigger_irq(&mut self, vector: usize) {
        raise(self.irqs.get(vector).and_then(Option::as_ref));
    }

    /// How often the card has raised an interrupt vector.
    #[must_use]
    pub fn irqs_raised(&self, vector: usize) -> u64 {
        self.raised.get(vector).copied().unwrap_or(0)
    }

    /// The host is gone: its memory, its interrupts and its rings; tables and forwarding stay.
    pub fn host_left(&mut self) {
        self.function_reset();
        self.dma.clear();
        self.irqs = Default::default();
    }

    /// Writes what the waveform file still lacks.
    pub fn flush_trace(&mut self) {
        self.rtl.flush_trace();
    }

    /// Card time in cycles of its nominal clock, skipped ones included.
    #[must_use]
    pub fn time_cycles(&self) -> u64 {
        self.time.shown
    }
}

fn raise(irq: Option<&EventFd>) {
    if let Some(irq) = irq {
        // A counter at its limit was raised long ago and not read.
        let _ = irq.write(1);
    }
}

/// xorshift64: cheap, seeded, good enough to pause handshakes.
fn pause(state: &mut (u64, u8)) -> bool {
    let (x, of_256) = state;
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    ((*x >> 32) & 0xff) < u64::from(*of_256)
}
