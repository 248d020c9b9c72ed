//! The card as a value: RTL, host memory, streams, ports and time.
//!
//! A cycle is one [`CardSim::tick`]. Frames wait in two queues, one a stream (fabric, host side), and leave either through the
//! port attached to their vif or, without one, into a list ([`CardSim::take_egress`]). When nothing is in flight, nothing
//! waits and the soft core sleeps, the card is idle and needs no cycles; with [`Clock::Wall`] the time that passed meanwhile is
//! added to the card's clock at once.

mod irqs;
mod options;
mod pauses;
mod ports;
mod registers;
mod streams;
mod time;

use std::os::fd::BorrowedFd;

use penstock_abi::regs::{self, CardStatus};
use penstock_rtl::{Failure, Inputs, Outputs, Rtl, RtlError};
use vmm_sys_util::eventfd::EventFd;

use crate::axi::AxiMemory;
use crate::dma::DmaMap;
use crate::port::{Port, PortStats};
use irqs::Irqs;
use pauses::Pauses;
use ports::Ports;
use streams::Streams;
use time::Time;

pub use options::{BackPressure, BusLatency, CardOptions, Clock};
pub use streams::Egress;

/// Cycles without any activity after which the card counts as idle: more than any register takes to show in `idle_o`.
const SETTLE_CYCLES: u32 = 16;
/// With the wall clock, a busy card's frames reach their ports so much later (1.6 us): a bus and a kernel take at least that, and a kernel beside the
/// simulation would answer while what a frame asks of the flow table is still under way.
const PORT_CYCLES: u64 = 512;
/// A register access takes a handful of cycles; a card that needs more than this hangs.
const REGISTER_CYCLES: u64 = 100_000;
/// Clearing takes a cycle an entry of the largest table.
const POWER_ON_CYCLES: u64 = 2_000_000;

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

/// The simulated card.
pub struct CardSim {
    rtl: Rtl,
    inputs: Inputs,
    outputs: Outputs,
    axi: AxiMemory,
    dma: DmaMap,
    streams: Streams,
    ports: Ports,
    irqs: Irqs,
    quiet_cycles: u32,
    time: Time,
    pauses: Pauses,
}

impl std::fmt::Debug for CardSim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ports: Vec<_> =
            self.ports.stats().map(|(name, vif, _)| format!("{name}:{vif}")).collect();
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
            axi: AxiMemory::new(options.bus),
            dma: DmaMap::default(),
            streams: Streams::default(),
            ports: Ports::new(),
            irqs: Irqs::default(),
            quiet_cycles: 0,
            time: Time::default(),
            pauses: Pauses::new(options.back_pressure),
        };
        card.power_on()?;
        if options.clock == Clock::Wall {
            card.time.follow_wall_clock();
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
        self.time.skip(cycles);
        self.quiet_cycles = 0;
    }

    /// One cycle.
    pub fn tick(&mut self) {
        self.inputs.time_skip = self.time.tick();
        self.rtl.tick(&self.inputs, &mut self.outputs);

        let (inputs, outputs) = (&mut self.inputs, &self.outputs);
        let mut stall = || self.pauses.next();
        self.streams.step(inputs, outputs, self.rtl.cycles(), &mut stall);
        self.axi.step(inputs, outputs, &self.dma, &mut stall);
        if let Some(violation) = self.axi.violation.take() {
            self.rtl.report(violation);
        }

        self.irqs.raise(outputs.irq);
        let busy = outputs.idle == 0
            || outputs.fw_active != 0
            || inputs.fab_rx.valid | inputs.host_rx.valid != 0
            || !self.axi.is_idle();
        self.quiet_cycles = if busy { 0 } else { self.quiet_cycles.saturating_add(1) };
    }

    /// Nothing is in flight, nothing waits, the soft core sleeps.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.quiet_cycles >= SETTLE_CYCLES && self.streams.is_empty() && !self.time.is_behind()
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
        let idle = self.is_idle();
        let under_way = if self.time.is_of_the_wall() && !idle { PORT_CYCLES } else { 0 };
        let by = self.cycles().saturating_sub(under_way);
        self.ports.deliver(&mut self.streams.egress, by);
        idle
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
        if self.time.look() {
            self.tick(); // whatever is read next sees the time as it is now
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
        self.streams.push(vif, frame);
        self.quiet_cycles = 0;
    }

    /// Frames that wait to enter the card: fabric, host side.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        self.streams.waiting()
    }

    /// Takes the frames that left by vifs without a port, in order.
    pub fn take_egress(&mut self) -> Vec<Egress> {
        self.streams.egress.drain(..).collect()
    }

    /// Attaches a port to a vif, in place of the one it had.
    pub fn attach_port(&mut self, vif: u8, name: impl Into<String>, port: Box<dyn Port>) {
        self.ports.attach(vif, name.into(), port);
    }

    /// Takes a port off.
    pub fn detach_port(&mut self, vif: u8) -> Option<Box<dyn Port>> {
        self.ports.detach(vif)
    }

    /// Name, vif and counters of the ports.
    pub fn port_stats(&self) -> impl Iterator<Item = (&str, u8, PortStats)> {
        self.ports.stats()
    }

    /// Descriptors that become readable when a frame arrives at a port that the card would take now.
    pub fn port_fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.ports.fds(&self.streams)
    }

    /// Reads what arrived at the ports, as far as the queues have room. Says whether anything did.
    pub fn receive(&mut self) -> bool {
        self.ports.receive(&mut self.streams)
    }

    /// Reads a register over AXI4-Lite; the card goes on meanwhile.
    ///
    /// # Errors
    /// [`CardError::Register`].
    pub fn read_reg(&mut self, offset: u32) -> Result<u32, CardError> {
        self.follow_wall_clock();
        registers::begin_read(&mut self.inputs, offset);
        for _ in 0..REGISTER_CYCLES {
            self.tick();
            if let Some(value) = registers::poll_read(&mut self.inputs, &self.outputs) {
                self.quiet_cycles = 0;
                return Ok(value);
            }
        }
        registers::give_up_read(&mut self.inputs);
        Err(CardError::Register { offset })
    }

    /// Writes a register over AXI4-Lite; the card goes on meanwhile.
    ///
    /// # Errors
    /// [`CardError::Register`].
    pub fn write_reg(&mut self, offset: u32, value: u32) -> Result<(), CardError> {
        registers::begin_write(&mut self.inputs, offset, value);
        for _ in 0..REGISTER_CYCLES {
            self.tick();
            if registers::poll_write(&mut self.inputs, &self.outputs) {
                self.quiet_cycles = 0;
                return Ok(());
            }
        }
        registers::give_up_write(&mut self.inputs);
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

    /// Makes the host's bus slower or faster, for what is asked for from now on.
    pub fn set_bus_latency(&mut self, latency: BusLatency) {
        self.axi.latency = latency;
    }

    /// Whether the card may master the bus; otherwise its accesses fault.
    pub fn set_bus_master(&mut self, enabled: bool) {
        self.axi.enabled = enabled;
    }

    /// Connects an interrupt vector, or disconnects it.
    pub fn set_irq(&mut self, vector: usize, irq: Option<EventFd>) {
        self.irqs.set(vector, irq);
    }

    /// Raises an interrupt as if the card had.
    pub fn trigger_irq(&mut self, vector: usize) {
        self.irqs.trigger(vector);
    }

    /// How often the card has raised an interrupt vector.
    #[must_use]
    pub fn irqs_raised(&self, vector: usize) -> u64 {
        self.irqs.raised(vector)
    }

    /// The host is gone: its memory, its interrupts and its rings; tables and forwarding stay.
    pub fn host_left(&mut self) {
        self.function_reset();
        self.dma.clear();
        self.irqs.disconnect();
    }

    /// Writes what the waveform file still lacks.
    pub fn flush_trace(&mut self) {
        self.rtl.flush_trace();
    }

    /// Card time in cycles of its nominal clock, skipped ones included.
    #[must_use]
    pub fn time_cycles(&self) -> u64 {
        self.time.shown()
    }
}
