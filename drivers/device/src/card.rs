//! A card: identified, with a running command ring, its tables readable and writable.
//!
//! Commands of one [`Card::execute`] go to the card in ring-sized batches, one doorbell a batch, and are executed in order.
//! After a time-out, a ring fault or a broken completion the ring is set up anew by the next command.

use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use penstock_abi::age::Ages;
use penstock_abi::evict::Evictions;
use penstock_abi::hash::FlowSecret;
use penstock_abi::layout::Capability;
use penstock_abi::regs::{self, CardStatus, Control};
use penstock_abi::ring::{Command, Completion, FLAG_CHAINED, FLAG_IRQ};
use vmm_sys_util::eventfd::EventFd;

use crate::error::DeviceError;
use crate::event::{Taken, Wanted};
use crate::held::HeldFds;
use crate::ident::Ident;
use crate::ident::identify;
use crate::ring::{EventRing, Rings};
use crate::transport::PciTransport;
use crate::transport::set_bus_master;

/// Records of the rings, as a power of two.
const RING_LOG2: u32 = 8;
/// Records of the event ring, as a power of two: what comes in some milliseconds at the most that a card writes.
const EVENT_LOG2: u32 = 13;
/// Events that are taken at once, at most.
const EVENTS_AT_ONCE: usize = 1024;
/// Without progress for this long, a command has failed. A search through the largest empty table takes a simulated card
/// about 0.1 s on an idle machine.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait between two looks at the completion ring, should an interrupt be lost.
const WAIT_SLICE: Duration = Duration::from_millis(5);
/// Looks at the completion ring before waiting for the interrupt.
const SPINS: u32 = 64;
/// Clearing all tables takes one cycle an entry of the largest.
const CLEAR_TIMEOUT: Duration = Duration::from_secs(30);

/// A card that this process owns.
pub struct Card {
    transport: Box<dyn PciTransport>,
    ident: Ident,
    rings: Rings,
    events: Option<EventRing>,
    wanted: Wanted,
    /// What `EVT_DROPPED` said last.
    dropped: u32,
    running: bool,
    irqs: Vec<EventFd>,
    timeout: Duration,
}

impl std::fmt::Debug for Card {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Card")
            .field("at", &self.transport.describe())
            .field("ident", &self.ident)
            .finish_non_exhaustive()
    }
}

impl Card {
    /// Identifies the function behind `transport`, waits for a power-on clear to end, sets up the ring and the interrupts.
    ///
    /// # Errors
    /// In this order: [`DeviceError::WrongVendor`], [`DeviceError::BarTooSmall`], [`DeviceError::MissingMsix`],
    /// [`DeviceError::NotACard`], [`DeviceError::VersionMismatch`], [`DeviceError::LayoutMismatch`],
    /// [`DeviceError::FirmwareMismatch`]; or the transport's.
    pub fn attach(mut transport: Box<dyn PciTransport>) -> Result<Self, DeviceError> {
        let ident = identify(transport.as_mut())?;
        // An adopted card may still run the rings of its last owner, whose memory is gone.
        transport.write32(regs::RING_ENABLE, 0)?;
        transport.write32(regs::EVT_ENABLE, 0)?;
        set_bus_master(transport.as_mut(), true)?;
        let irqs = transport.arm_irqs(regs::IRQ_VECTORS)?;
        let commands = transport.dma_alloc(Rings::bytes(RING_LOG2))?;
        let completions = transport.dma_alloc(Rings::bytes(RING_LOG2))?;
        let rings = Rings::new(commands, completions, RING_LOG2);
        let mut card = Self {
            transport,
            ident,
            rings,
            events: None,
            wanted: Wanted::default(),
            dropped: 0,
            running: false,
            irqs,
            timeout: COMMAND_TIMEOUT,
        };
        card.wait_cleared("clearing its tables after power-on")?;
        card.start_ring()?;
        Ok(card)
    }

    /// What the card said of itself when it was attached.
    #[must_use]
    pub fn ident(&self) -> &Ident {
        &self.ident
    }

    /// Where the card is, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        self.transport.describe()
    }

    /// Event descriptors of the card's interrupts, by vector (`regs::IRQ_*`). The completion vector is this crate's own.
    #[must_use]
    pub fn irqs(&self) -> &[EventFd] {
        &self.irqs
    }

    /// A copy of the descriptor of the interrupt by which the card says that it has written events.
    ///
    /// # Errors
    /// The operating system has none left.
    pub fn event_irq(&self) -> Result<OwnedFd, DeviceError> {
        let irq = self.irqs.get(regs::IRQ_EVENT as usize);
        let irq = irq.ok_or_else(|| DeviceError::protocol("there is no event interrupt"))?;
        // SAFETY: the descriptor is open as long as `irq` is borrowed.
        let irq = unsafe { BorrowedFd::borrow_raw(irq.as_raw_fd()) };
        irq.try_clone_to_owned().map_err(|e| DeviceError::io("copy an event descriptor", e))
    }

    /// How long a command may make no progress.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// The transport, for what concerns the function and not the card.
    #[cfg(any(test, feature = "conformance"))]
    pub(crate) fn transport(&mut self) -> &mut dyn PciTransport {
        self.transport.as_mut()
    }

    /// Somebody else uses the ring: the next command sets it up anew.
    #[cfg(any(test, feature = "conformance"))]
    pub(crate) fn forget_ring(&mut self) {
        self.running = false;
    }

    fn start_ring(&mut self) -> Result<(), DeviceError> {
        self.running = false;
        let (cmd, cpl) = (self.rings.command_iova(), self.rings.completion_iova());
        self.write_reg(regs::RING_ENABLE, 0)?;
        // What is on its way of an earlier run would be taken for the new one's.
        let timeout = self.timeout;
        let ended = |card: &mut Self| Ok(!card.status()?.ring_busy());
        self.wait_until("the end of its last commands", timeout, ended)?;
        self.rings.restart();
        self.write_reg(regs::CMD_BASE_LO, cmd as u32)?;
        self.write_reg(regs::CMD_BASE_HI, (cmd >> 32) as u32)?;
        self.write_reg(regs::CPL_BASE_LO, cpl as u32)?;
        self.write_reg(regs::CPL_BASE_HI, (cpl >> 32) as u32)?;
        self.write_reg(regs::RING_LOG2, self.rings.log2())?;
        self.write_reg(regs::CMD_PRODUCER, 0)?;
        self.write_reg(regs::RING_ENABLE, 1)?;
        self.running = true;
        Ok(())
    }

    /// Executes commands in order and returns their completions in the same order, whatever their status. The commands'
    /// `cookie` and [`FLAG_IRQ`] are this crate's own; a completion carries back the cookie it was given.
    ///
    /// # Errors
    /// [`DeviceError::Timeout`], [`DeviceError::RingFault`], [`DeviceError::DeviceGone`], [`DeviceError::Protocol`]; which
    /// of the commands were executed is then unknown.
    pub fn execute(&mut self, commands: &[Command]) -> Result<Vec<Completion>, DeviceError> {
        if !self.running {
            self.start_ring()?;
        }
        let result = self.run(commands);
        self.running = result.is_ok();
        result
    }

    fn run(&mut self, commands: &[Command]) -> Result<Vec<Completion>, DeviceError> {
        let mut done = Vec::with_capacity(commands.len());
        let mut sent = 0;
        let mut progress = Instant::now();
        while done.len() < commands.len() {
            let batch = (commands.len() - sent).min(self.rings.free() as usize);
            // Refill by halves: a doorbell costs as much as dozens of records.
            if batch > 0
                && (batch == commands.len() - sent
                    || self.rings.free() >= 1 << (self.rings.log2() - 1))
            {
                for (i, command) in commands[sent..sent + batch].iter().enumerate() {
                    let last = if i + 1 == batch { FLAG_IRQ } else { 0 };
                    let flags = command.flags & FLAG_CHAINED | last;
                    self.rings.push(&Command { flags, ..*command });
                }
                sent += batch;
                self.rings.publish();
                self.write_reg(regs::CMD_PRODUCER, self.rings.produced())?;
            }
            let before = done.len();
            while let Some(completion) = self.rings.pop()? {
                let cookie = commands[done.len()].cookie;
                done.push(Completion { cookie, ..completion });
            }
            if done.len() > before {
                progress = Instant::now();
            } else if progress.elapsed() > self.timeout {
                return Err(self.explain_stall(done.len(), commands.len()));
            } else {
                self.wait_for_completion()?;
            }
        }
        Ok(done)
    }

    /// Waits a little, first awake, then for the interrupt; a ring that faulted is noticed here.
    fn wait_for_completion(&mut self) -> Result<(), DeviceError> {
        for _ in 0..SPINS {
            std::hint::spin_loop();
        }
        let started = Instant::now();
        self.transport.wait_irq(regs::IRQ_COMPLETION, WAIT_SLICE)?;
        // A full slice without an interrupt is the exception: look whether the card still runs the ring.
        if started.elapsed() >= WAIT_SLICE {
            self.check_fault("executing commands")?;
        }
        Ok(())
    }

    fn check_fault(&mut self, what: &str) -> Result<(), DeviceError> {
        if self.status()?.ring_fault() {
            let errors = self.read_reg(regs::RING_ERRORS)?;
            return Err(DeviceError::RingFault { what: what.to_owned(), errors });
        }
        Ok(())
    }

    fn explain_stall(&mut self, done: usize, of: usize) -> DeviceError {
        let timeout =
            DeviceError::Timeout { what: format!("command {done} of {of}"), after: self.timeout };
        self.check_fault("executing commands").err().unwrap_or(timeout)
    }

    /// Gives the flow table's hash another secret. It counts from the next clear on; the card tells it to nobody.
    ///
    /// # Errors
    /// The transport's.
    pub fn set_flow_secret(&mut self, secret: FlowSecret) -> Result<(), DeviceError> {
        for (register, word) in (regs::HASH_KEY0..).step_by(4).zip(secret.0) {
            self.write_reg(register, word)?;
        }
        Ok(())
    }

    /// Sets how long pairs of flow entries may rest (`docs/datapath.md`, section 9.4). A card that cannot age does nothing with it.
    ///
    /// # Errors
    /// The transport's.
    pub fn set_flow_ages(&mut self, ages: &Ages) -> Result<(), DeviceError> {
        for (register, word) in ages.registers() {
            self.write_reg(register, word)?;
        }
        Ok(())
    }

    /// How long pairs of flow entries may rest.
    ///
    /// # Errors
    /// The transport's.
    pub fn flow_ages(&mut self) -> Result<Ages, DeviceError> {
        let mut words = [0; 24];
        for ((register, _), word) in Ages::default().registers().zip(&mut words) {
            *word = self.read_reg(register)?;
        }
        Ok(Ages::from_words(&words))
    }

    /// Sets which pairs of flow entries give way in a table that fills (`docs/datapath.md`, section 9.5). A card that cannot
    /// evict does nothing with it.
    ///
    /// # Errors
    /// The transport's.
    pub fn set_flow_evictions(&mut self, evictions: &Evictions) -> Result<(), DeviceError> {
        for (register, word) in evictions.registers() {
            self.write_reg(register, word)?;
        }
        Ok(())
    }

    /// Which pairs of flow entries give way in a table that fills.
    ///
    /// # Errors
    /// The transport's.
    pub fn flow_evictions(&mut self) -> Result<Evictions, DeviceError> {
        let mut words = [0; 12];
        for ((register, _), word) in Evictions::default().registers().zip(&mut words) {
            *word = self.read_reg(register)?;
        }
        Ok(Evictions::from_words(&words))
    }

    /// Begins to clear all tables, flows and counters; [`CardStatus::clearing`] is set until that is done.
    ///
    /// # Errors
    /// The transport's.
    pub fn begin_clear(&mut self) -> Result<(), DeviceError> {
        self.write_reg(regs::CLEAR, regs::CLEAR_KEY)
    }

    /// Clears all tables, flows and counters, and waits for it.
    ///
    /// # Errors
    /// [`DeviceError::Timeout`], or the transport's.
    pub fn clear_all(&mut self) -> Result<(), DeviceError> {
        self.begin_clear()?;
        self.wait_cleared("clearing its tables")
    }

    fn wait_cleared(&mut self, what: &str) -> Result<(), DeviceError> {
        self.wait_until(what, CLEAR_TIMEOUT, |card| Ok(!card.status()?.clearing()))
    }

    fn wait_until(
        &mut self,
        what: &str,
        timeout: Duration,
        mut condition: impl FnMut(&mut Self) -> Result<bool, DeviceError>,
    ) -> Result<(), DeviceError> {
        let deadline = Instant::now() + timeout;
        while !condition(self)? {
            if Instant::now() > deadline {
                return Err(DeviceError::Timeout { what: what.to_owned(), after: timeout });
            }
            self.transport.wait_irq(regs::IRQ_COMPLETION, Duration::from_millis(1))?;
        }
        Ok(())
    }

    /// Starts or stops forwarding. While stopped every packet is dropped and counted.
    ///
    /// # Errors
    /// The transport's.
    pub fn set_enabled(&mut self, enabled: bool) -> Result<(), DeviceError> {
        let mut control = Control(self.read_reg(regs::CONTROL)?);
        control.set_enable(enabled);
        self.write_reg(regs::CONTROL, control.0)
    }

    /// Whether the card forwards.
    ///
    /// # Errors
    /// The transport's.
    pub fn is_enabled(&mut self) -> Result<bool, DeviceError> {
        Ok(Control(self.read_reg(regs::CONTROL)?).enable())
    }

    /// The status register.
    ///
    /// # Errors
    /// The transport's.
    pub fn status(&mut self) -> Result<CardStatus, DeviceError> {
        Ok(CardStatus(self.read_reg(regs::STATUS)?))
    }

    /// Card time in core cycles.
    ///
    /// # Errors
    /// The transport's.
    pub fn time_cycles(&mut self) -> Result<u64, DeviceError> {
        let low = self.read_reg(regs::TIME_LO)?;
        Ok(u64::from(low) | u64::from(self.read_reg(regs::TIME_HI)?) << 32)
    }

    /// Hands a request to the firmware and waits for the reply, see `penstock_abi::fw::MBOX_*`.
    ///
    /// # Errors
    /// [`DeviceError::Timeout`] when the firmware does not answer, or the transport's.
    pub fn mailbox(&mut self, request: u32, argument: u32) -> Result<u32, DeviceError> {
        self.write_reg(regs::MBOX_ARG, argument)?;
        self.write_reg(regs::MBOX_REQUEST, request)?;
        let timeout = self.timeout;
        self.wait_until("a request to its firmware", timeout, |card| {
            Ok(card.read_reg(regs::MBOX_READY)? & 1 == 1)
        })?;
        self.read_reg(regs::MBOX_REPLY)
    }

    /// Reads a register.
    ///
    /// # Errors
    /// [`DeviceError::DeviceGone`] when the function reads as all ones, or the transport's.
    pub fn read_reg(&mut self, offset: u32) -> Result<u32, DeviceError> {
        let value = self.transport.read32(offset)?;
        if value == u32::MAX && self.transport.read32(regs::MAGIC)? == u32::MAX {
            return Err(DeviceError::gone(format!(
                "{} reads as all ones",
                self.transport.describe()
            )));
        }
        Ok(value)
    }

    /// Writes a register.
    ///
    /// # Errors
    /// The transport's.
    pub fn write_reg(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        self.transport.write32(offset, value)
    }

    /// Asks the card for these events from now on; `irqs()[regs::IRQ_EVENT]` says when there are some. May be asked again for others.
    /// A card that cannot choose writes what [`Wanted::default`] is.
    ///
    /// # Errors
    /// No memory, or the transport's.
    pub fn enable_events(&mut self, wanted: Wanted) -> Result<(), DeviceError> {
        self.wanted = wanted;
        if self.events.is_some() {
            return self.choose_events();
        }
        let memory = self.transport.dma_alloc(Rings::bytes(EVENT_LOG2))?;
        self.events = Some(EventRing::new(memory, EVENT_LOG2));
        self.start_events()
    }

    fn choose_events(&mut self) -> Result<(), DeviceError> {
        if self.ident.has(Capability::FlowEvents) {
            self.write_reg(regs::EVT_SAMPLE, self.wanted.sample_log2.into())?;
            self.write_reg(regs::EVT_KINDS, self.wanted.kinds.bits())?;
        }
        Ok(())
    }

    fn start_events(&mut self) -> Result<(), DeviceError> {
        let Some(mut ring) = self.events.take() else { return Ok(()) };
        self.write_reg(regs::EVT_ENABLE, 0)?;
        // An answer comes behind what the card wrote before: no record of an earlier run is written over the zeros.
        self.read_reg(regs::EVT_ENABLE)?;
        ring.restart();
        self.write_reg(regs::EVT_BASE_LO, ring.iova() as u32)?;
        self.write_reg(regs::EVT_BASE_HI, (ring.iova() >> 32) as u32)?;
        self.write_reg(regs::EVT_LOG2, ring.log2())?;
        self.write_reg(regs::EVT_CONSUMER, 0)?;
        self.choose_events()?;
        self.write_reg(regs::EVT_ENABLE, 1)?;
        // What was lost before is not of this run.
        self.dropped = self.read_reg(regs::EVT_DROPPED)?;
        self.events = Some(ring);
        Ok(())
    }

    /// Takes events that have arrived since the last call, some at most, and says how many were lost.
    ///
    /// # Errors
    /// [`DeviceError::Protocol`], or the transport's.
    pub fn take_events(&mut self) -> Result<Taken, DeviceError> {
        let Some(ring) = &mut self.events else { return Ok(Taken::default()) };
        let mut events = Vec::new();
        while events.len() < EVENTS_AT_ONCE
            && let Some(event) = ring.pop()?
        {
            events.push(event);
        }
        let consumed = ring.consumed();
        if !events.is_empty() {
            self.write_reg(regs::EVT_CONSUMER, consumed)?;
        }
        let dropped = self.read_reg(regs::EVT_DROPPED)?;
        let lost = dropped.saturating_sub(std::mem::replace(&mut self.dropped, dropped));
        let more = events.len() == EVENTS_AT_ONCE;
        Ok(Taken { events, lost, more })
    }

    /// Function-level reset: tables and forwarding stay; rings and interrupts are set up anew.
    ///
    /// # Errors
    /// The transport's.
    pub fn reset(&mut self) -> Result<(), DeviceError> {
        self.running = false;
        self.transport.reset()?;
        self.ident = identify(self.transport.as_mut())?;
        set_bus_master(self.transport.as_mut(), true)?;
        self.irqs = self.transport.arm_irqs(regs::IRQ_VECTORS)?;
        self.start_ring()?;
        self.start_events()
    }

    /// Copies of the descriptors by which a holder keeps the card from being reset when this process ends, see
    /// [`PciTransport::held_fds`].
    #[must_use]
    pub fn held_fds(&self) -> Option<HeldFds> {
        self.transport.held_fds()
    }

    /// Gives the transport back, for example to wrap it. The ring stops.
    #[must_use]
    pub fn detach(mut self) -> Box<dyn PciTransport> {
        // A card that is gone needs no stopping.
        let _ = self.write_reg(regs::RING_ENABLE, 0);
        self.transport
    }
}
