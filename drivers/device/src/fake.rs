//! A card in memory, without RTL and without packets, for tests of the host's software.
//!
//! It has the registers, the command ring and every table of `penstock_abi::table::TABLES`, executes commands as soon as
//! the doorbell is written, and does what the card does with statuses, phases and bus errors. [`FakeCard`] is a handle:
//! clones share the card, so a test keeps one and looks behind the driver's back.
//!
//! ```
//! use penstock_abi::table::{Ilm, TableId};
//! use penstock_device::{Card, fake::FakeCard};
//! let fake = FakeCard::new();
//! let mut card = Card::attach(fake.transport()).unwrap();
//! card.write(25, Ilm { valid: true, nh: 7, ..Ilm::default() }).unwrap();
//! assert_eq!(fake.table(TableId::Ilm).len(), 1);
//! assert_eq!(fake.writes(), 1);
//! ```

mod doorbell;
mod events;
mod flows;
mod search;
mod transport;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use penstock_abi::hash::FlowSecret;
use penstock_abi::layout::Capability;
use penstock_abi::ring::{
    Command, Completion, FLAG_CHAINED, FLAG_IRQ, Opcode, RECORD_BYTES, Status,
};
use penstock_abi::table::{TABLES, TableId, Words};
use penstock_abi::{fw, layout, limits, regs};
use penstock_tables::{CONFIG_TABLES, Entry, Shape, Tables};
use vmm_sys_util::eventfd::EventFd;
use zerocopy::{FromBytes, IntoBytes};

use crate::dma::{DmaBuffer, IovaAllocator, SharedMemory};
use crate::error::DeviceError;
use crate::transport::{FunctionInfo, PciTransport};

pub use doorbell::before_doorbell;
use transport::FakeTransport;

/// Bus master in the command register.
const COMMAND_MASTER: u16 = 1 << 2;

/// `ring_busy` in the status register.
const RING_BUSY: u32 = 1 << 3;

/// Handle of a card in memory.
#[derive(Clone, Default)]
pub struct FakeCard {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    function: FunctionInfo,
    command: u16,
    regs: BTreeMap<u32, u32>,
    tables: Tables,
    writes: u64,
    buffers: Vec<DmaBuffer>,
    iova: IovaAllocator,
    irqs: Vec<EventFd>,
    masked: BTreeSet<u32>,
    dead: bool,
    stalled: bool,
    die_after: Option<u64>,
    refuse: Option<(TableId, Status)>,
    attached: bool,
    fences: u64,
    /// The last command did not end with Ok.
    broken: bool,
    /// Entries that stand with the wrong parity.
    odd: BTreeSet<(u8, u32)>,
    /// As it was written, and as it has counted since the last clear.
    secret: FlowSecret,
    secret_in_force: FlowSecret,
    /// The firmware's trace: time, event, argument, as its registers show them.
    trace: Vec<[u32; 4]>,
    /// The words of its update slot.
    slot: Vec<u32>,
}

impl FakeCard {
    /// A card after power-on: empty tables, forwarding off. It is as large as the RTL's.
    #[must_use]
    pub fn new() -> Self {
        Self::with_shape(Shape::default())
    }

    /// The same, with tables of these sizes, which its registers say.
    #[must_use]
    pub fn with_shape(shape: Shape) -> Self {
        let fake = Self::default();
        {
            let mut state = fake.lock();
            state.tables = Tables::new(shape);
            state.regs.extend(shape.registers());
            state.regs.insert(regs::LAYOUT_VERSION, layout::VERSION);
            state.regs.insert(regs::LAYOUT_HASH_LO, layout::hash() as u32);
            state.regs.insert(regs::LAYOUT_HASH_HI, (layout::hash() >> 32) as u32);
            state.regs.insert(regs::CAPABILITIES, layout::CAPABILITIES);
            state.regs.insert(regs::MAGIC, regs::MAGIC_VALUE);
            state.regs.insert(regs::CLOCK_KHZ, limits::CORE_CLOCK_KHZ);
            state.regs.insert(regs::RESET_CAUSE, regs::RESET_POWER_ON);
            state.regs.insert(regs::FW_STATUS, fw::STATUS_READY);
            state.regs.insert(regs::FW_VERSION, fw::VERSION);
            state.regs.insert(regs::EVT_KINDS, regs::EVT_KINDS_FIRST);
            state.function = FunctionInfo {
                vendor: regs::PCI_VENDOR_ID,
                device: regs::PCI_DEVICE_ID,
                bar0_bytes: regs::BAR0_BYTES.into(),
                msix_vectors: regs::IRQ_VECTORS,
            };
        }
        fake
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A transport to this card; like a real one it is for one owner at a time.
    #[must_use]
    pub fn transport(&self) -> Box<dyn PciTransport> {
        let mut state = self.lock();
        state.drop_host();
        state.attached = true;
        Box::new(FakeTransport { card: self.clone() })
    }

    /// Clears all tables behind its owner's back, as another image in its place would.
    pub fn clear(&self) {
        self.lock().write(regs::CLEAR, regs::CLEAR_KEY);
    }

    /// As [`FakeCard::transport`], but refused while another transport lives.
    ///
    /// # Errors
    /// [`DeviceError::InUse`].
    pub fn open(&self) -> Result<Box<dyn PciTransport>, DeviceError> {
        if self.lock().attached {
            return Err(DeviceError::InUse { path: "a card in memory".into() });
        }
        Ok(self.transport())
    }

    /// Valid entries of a table (all but zeros, if it has no valid bit), by index.
    #[must_use]
    pub fn table(&self, table: TableId) -> Vec<(u32, Words)> {
        let valid = |words: &Words| !table.desc().has_valid || words[0] & 1 == 1;
        self.lock().tables.words(table).filter(|(_, words)| valid(words)).collect()
    }

    /// All that it holds.
    #[must_use]
    pub fn tables(&self) -> Tables {
        self.lock().tables.clone()
    }

    /// Puts an entry behind the driver's back, into any table: flows and counters come about so. Not counted as a write.
    pub fn set_entry(&self, index: u32, entry: impl Into<Entry>) {
        self.lock().tables.set(index, entry.into());
    }

    /// A bit of an entry flips behind the driver's back, of a table that is kept with its parity.
    pub fn damage(&self, table: TableId, index: u32) {
        let mut state = self.lock();
        if has_parity(table) {
            state.odd.insert((table as u8, index));
        }
    }

    /// A packet needs an entry: it is dropped if the entry stands with the wrong parity, which is said here and in the registers.
    #[must_use]
    pub fn meet(&self, table: TableId, index: u32) -> bool {
        self.lock().meet(table, index)
    }

    /// Writes that the card has executed since it was made.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.lock().writes
    }

    /// Fences executed since the card was made.
    #[must_use]
    pub fn fences(&self) -> u64 {
        self.lock().fences
    }

    /// A register as the host would read it.
    #[must_use]
    pub fn register(&self, offset: u32) -> u32 {
        self.lock().read(offset)
    }

    /// Sets a register, read-only ones included.
    pub fn set_register(&self, offset: u32, value: u32) {
        self.lock().regs.insert(offset, value);
    }

    /// The firmware adds an entry to its trace.
    pub fn trace(&self, time_cycles: u64, event: fw::TraceEvent, detail: u16, arg: u32) {
        let mut state = self.lock();
        let what = u32::from(detail) << 16 | event as u32;
        state.trace.push([time_cycles as u32, (time_cycles >> 32) as u32, what, arg]);
        let count = state.trace.len() as u32;
        state.regs.insert(regs::FW_TRACE_COUNT, count);
    }

    /// The words in the firmware's update slot.
    #[must_use]
    pub fn firmware_slot(&self) -> Vec<u32> {
        self.lock().slot.clone()
    }

    /// What the function is as PCI sees it.
    #[must_use]
    pub fn function(&self) -> FunctionInfo {
        self.lock().function
    }

    /// Makes it another function, for the errors of identification.
    pub fn set_function(&self, function: FunctionInfo) {
        self.lock().function = function;
    }

    /// The card disappears: registers read as all ones, commands are not executed. Tables stay, as on a card whose link is down.
    pub fn kill(&self) {
        self.lock().dead = true;
    }

    /// The card comes back with its tables; a new [`FakeCard::transport`] reaches it.
    pub fn revive(&self) {
        let mut state = self.lock();
        state.dead = false;
        state.die_after = None;
        state.drop_host();
    }

    /// The card disappears once it has executed `writes` more writes: a crash in the middle of a batch.
    pub fn kill_after(&self, writes: u64) {
        let mut state = self.lock();
        state.die_after = Some(state.writes + writes);
    }

    /// The card accepts commands but never completes them.
    pub fn stall(&self, stalled: bool) {
        self.lock().stalled = stalled;
    }

    /// Whether something of the command ring is under way; a card in memory is never slow by itself.
    pub fn set_ring_busy(&self, busy: bool) {
        let mut state = self.lock();
        let status = state.regs.get(&regs::STATUS).copied().unwrap_or(0) & !RING_BUSY;
        state.regs.insert(regs::STATUS, status | if busy { RING_BUSY } else { 0 });
    }

    /// Every write to `table` is refused with `status` until called with `None`.
    pub fn refuse_writes(&self, refuse: Option<(TableId, Status)>) {
        self.lock().refuse = refuse;
    }
}

impl State {
    /// Function-level reset.
    fn reset(&mut self) {
        let count = self.read(regs::FLR_COUNT);
        for register in regs::REGISTERS.iter().filter(|r| !r.survives_flr) {
            self.regs.insert(register.offset, 0);
        }
        self.irqs.clear();
        self.command = 0;
        self.regs.insert(regs::EVT_KINDS, regs::EVT_KINDS_FIRST);
        self.regs.insert(regs::FLR_COUNT, count + 1);
        self.regs.insert(regs::RESET_CAUSE, regs::RESET_FLR);
    }

    fn drop_host(&mut self) {
        self.buffers.clear();
        self.irqs.clear();
        self.masked.clear();
        self.attached = false;
        self.command = 0;
        for offset in [regs::RING_ENABLE, regs::CMD_CONSUMER, regs::CMD_PRODUCER, regs::EVT_ENABLE]
        {
            self.regs.insert(offset, 0);
        }
    }

    fn read(&self, offset: u32) -> u32 {
        if self.dead { u32::MAX } else { self.regs.get(&offset).copied().unwrap_or(0) }
    }

    fn write(&mut self, offset: u32, value: u32) {
        let known = regs::REGISTERS.iter().find(|r| r.offset == offset);
        if self.dead || known.is_none_or(|r| r.access == regs::Access::Ro) {
            return;
        }
        match offset {
            regs::CLEAR => {
                if value == regs::CLEAR_KEY {
                    self.tables = Tables::new(self.tables.shape());
                    self.odd.clear();
                    self.regs.insert(regs::EPOCH, 0);
                    self.secret_in_force = self.secret;
                }
                return;
            }
            regs::PARITY_INJECT => {
                self.regs.insert(offset, u32::from(value == regs::PARITY_INJECT_KEY));
                return;
            }
            regs::FW_RESTART => {
                if value == regs::FW_ROLLBACK_KEY {
                    self.regs.insert(regs::FW_BOOT, fw::Boot::RolledBack as u32);
                }
                return;
            }
            regs::FW_TRACE_AT => {
                let entry = self.trace.get(value as usize).copied().unwrap_or_default();
                self.regs.extend((regs::FW_TRACE_TIME_LO..).step_by(4).zip(entry));
            }
            regs::HASH_KEY0..=regs::HASH_KEY5 => {
                self.secret.0[((offset - regs::HASH_KEY0) / 4) as usize] = value;
                return;
            }
            regs::RING_ENABLE if value & 1 == 1 && self.read(offset) & 1 == 0 => {
                self.regs.insert(regs::CMD_CONSUMER, 0);
                self.regs.insert(regs::CMD_PRODUCER, 0);
                self.regs.insert(regs::STATUS, 0);
                self.broken = false;
            }
            regs::EVT_ENABLE if value & 1 == 1 && self.read(offset) & 1 == 0 => {
                for count in [regs::EVT_PRODUCER, regs::EVT_CONSUMER, regs::EVT_DROPPED] {
                    self.regs.insert(count, 0);
                }
            }
            regs::MBOX_REQUEST => {
                let argument = self.read(regs::MBOX_ARG);
                let reply = self.answer(value, argument);
                self.regs.insert(regs::MBOX_REPLY, reply);
                self.regs.insert(regs::MBOX_READY, 1);
            }
            _ => {}
        }
        self.regs.insert(offset, value);
        if offset == regs::CMD_PRODUCER && self.read(regs::RING_ENABLE) & 1 == 1 && !self.stalled {
            self.run_ring();
        }
    }

    /// The firmware's reply. It stores what it is sent, and believes it to be what was meant.
    fn answer(&mut self, request: u32, argument: u32) -> u32 {
        match request {
            fw::MBOX_PING => !argument,
            fw::MBOX_STAT | fw::MBOX_STAT_HIGH | fw::MBOX_IMAGE => 0,
            fw::MBOX_UPDATE_BEGIN => {
                self.slot.clear();
                fw::UPDATE_OK
            }
            fw::MBOX_UPDATE_WORD => {
                self.slot.push(argument);
                self.slot.len() as u32
            }
            fw::MBOX_UPDATE_END => fw::UPDATE_OK,
            fw::MBOX_UPDATE_START if self.slot.is_empty() => fw::UPDATE_NONE,
            fw::MBOX_UPDATE_START => {
                self.regs.insert(regs::FW_BOOT, fw::Boot::Update as u32);
                fw::UPDATE_OK
            }
            _ => fw::MBOX_UNKNOWN,
        }
    }

    /// Somebody meets an entry: whether it stands with the wrong parity.
    fn meet(&mut self, table: TableId, index: u32) -> bool {
        let odd = self.odd.contains(&(table as u8, index));
        if odd {
            let errors = self.regs.get(&regs::PARITY_ERRORS).copied().unwrap_or(0);
            self.regs.insert(regs::PARITY_ERRORS, errors.wrapping_add(1));
            self.regs.insert(regs::PARITY_LAST, u32::from(table as u8) << 24 | index);
        }
        odd
    }

    /// Copies between a record and DMA memory at bus address `iova`, or reports the bus error.
    fn dma(&self, iova: u64, access: impl FnOnce(&SharedMemory, usize)) -> Result<(), ()> {
        let master = self.command & COMMAND_MASTER != 0;
        let buffer = self.buffers.iter().filter(|_| master).find(|b| {
            iova >= b.iova() && iova + RECORD_BYTES as u64 <= b.iova() + b.memory().len() as u64
        });
        let buffer = buffer.ok_or(())?;
        access(buffer.memory(), (iova - buffer.iova()) as usize);
        Ok(())
    }

    fn run_ring(&mut self) {
        let log2 = self.read(regs::RING_LOG2);
        let base = |lo, hi| u64::from(self.read(lo)) | u64::from(self.read(hi)) << 32;
        let commands = base(regs::CMD_BASE_LO, regs::CMD_BASE_HI);
        let completions = base(regs::CPL_BASE_LO, regs::CPL_BASE_HI);
        let waiting = self.read(regs::CMD_PRODUCER).wrapping_sub(self.read(regs::CMD_CONSUMER));
        if waiting > 1 << log2 && !self.dead {
            self.ring_fault();
            return;
        }
        while self.read(regs::CMD_CONSUMER) != self.read(regs::CMD_PRODUCER) && !self.dead {
            let count = self.read(regs::CMD_CONSUMER);
            let at = u64::from(count & ((1 << log2) - 1)) * RECORD_BYTES as u64;
            let mut record = [0; RECORD_BYTES];
            let fetched =
                self.dma(commands + at, |memory, offset| memory.read(offset, &mut record));
            let command = Command::read_from_bytes(&record).unwrap_or_default();
            let (status, index, data) = if command.flags & FLAG_CHAINED != 0 && self.broken {
                (Status::Skipped, command.index, Words::default())
            } else {
                self.execute(&command)
            };
            self.broken = status != Status::Ok;
            let completion = Completion {
                data,
                index,
                cookie: command.cookie,
                sequence: count.wrapping_add(1),
                status: status as u8,
                reserved: [0; 2],
                phase: u8::from((count >> log2) & 1 == 0),
            };
            let stored = fetched.and_then(|()| {
                self.dma(completions + at, |memory, offset| {
                    memory.write(offset, completion.as_bytes());
                })
            });
            if stored.is_err() {
                self.ring_fault();
                return;
            }
            self.regs.insert(regs::CMD_CONSUMER, count.wrapping_add(1));
            if command.flags & FLAG_IRQ != 0 {
                self.raise(regs::IRQ_COMPLETION);
            }
        }
    }

    fn ring_fault(&mut self) {
        let errors = self.read(regs::RING_ERRORS);
        self.regs.insert(regs::RING_ERRORS, errors.saturating_add(1));
        self.regs.insert(regs::RING_ENABLE, 0);
        self.regs.insert(regs::STATUS, 0b100);
        self.raise(regs::IRQ_FAULT);
    }

    fn raise(&self, vector: u32) {
        if let Some(irq) = self.irqs.get(vector as usize)
            && !self.masked.contains(&vector)
        {
            // An eventfd's counter that is full has been raised already.
            let _ = irq.write(1);
        }
    }

    fn execute(&mut self, command: &Command) -> (Status, u32, Words) {
        let none = Words::default();
        let index = command.index;
        let opcode = match Opcode::from_u8(command.opcode) {
            None => return (Status::BadOpcode, index, none),
            Some(Opcode::Digest)
                if self.read(regs::CAPABILITIES) & Capability::Digest.mask() == 0 =>
            {
                return (Status::BadOpcode, index, none);
            }
            Some(Opcode::Nop) => return (Status::Ok, index, none),
            Some(Opcode::Fence) => {
                self.fences += 1;
                return (Status::Ok, index, none);
            }
            Some(opcode) => opcode,
        };
        let Some(desc) = TABLES.get(usize::from(command.table)) else {
            return (Status::BadTable, index, none);
        };
        let entries = self.tables.shape().capacity(desc.id);
        match opcode {
            Opcode::GetNext | Opcode::Digest if !desc.has_valid => {
                (Status::NotPermitted, index, none)
            }
            Opcode::GetNext => {
                let found = self.valid_from(desc.id, index).next();
                found.map_or((Status::NotFound, entries, none), |(i, words)| {
                    let odd = self.meet(desc.id, i);
                    (if odd { Status::Parity } else { Status::Ok }, i, words)
                })
            }
            Opcode::Digest => self.execute_digest(desc.id, index, &command.data),
            _ if index >= entries => (Status::BadIndex, index, none),
            Opcode::Write => (self.execute_write(desc.id, index, &command.data), index, none),
            _ if self.meet(desc.id, index) => (Status::Parity, index, none),
            _ => {
                let entry = self.tables.entry(desc.id, index);
                (Status::Ok, index, entry.map_or(none, |entry| entry.pack()))
            }
        }
    }

    fn execute_write(&mut self, table: TableId, index: u32, data: &Words) -> Status {
        let deletes = data.iter().all(|&w| w == 0);
        let is_read_only = matches!(table, TableId::FlowStats | TableId::FlowShareStats);
        let is_learned = matches!(table, TableId::Flow | TableId::Affinity);
        if is_read_only || (is_learned && !deletes) {
            return Status::NotPermitted;
        }
        if let Some((refused, status)) = self.refuse
            && refused == table
        {
            return status;
        }
        self.delete_partner(table, index);
        self.tables.load(table, index, data);
        self.odd.remove(&(table as u8, index));
        if table != TableId::Flow
            && self.regs.insert(regs::PARITY_INJECT, 0) == Some(1)
            && has_parity(table)
        {
            self.odd.insert((table as u8, index));
        }
        self.writes += 1;
        if self.die_after.is_some_and(|limit| self.writes >= limit) {
            self.dead = true;
        }
        Status::Ok
    }
}

/// Whether a table is kept with the parity of its entries: those that the host fills, but for the lengths, which are in registers.
fn has_parity(table: TableId) -> bool {
    CONFIG_TABLES.contains(&table) && table != TableId::PrefixLength
}

#[cfg(test)]
mod tests;
