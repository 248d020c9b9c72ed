//! Tables of a card: writes, reads, dumps and fences, as batches of commands.

use penstock_abi::layout::Capability;
use penstock_abi::regs;
use penstock_abi::ring::{Command, Completion, FLAG_CHAINED, Opcode, Status};
use penstock_abi::table::{FieldOverflow, Flow, FlowStats, TableEntry, TableId, Words};
use penstock_tables::{Entry, Op};

use crate::card::Card;
use crate::dump::{Answer, Probe, TableDump};
use crate::error::DeviceError;

/// Walks through the flow table after which flows that come again are nobody's doing but the card's.
const FORGET_WALKS: usize = 64;

impl Card {
    /// Writes an entry.
    ///
    /// # Errors
    /// As [`Card::apply`].
    pub fn write(&mut self, index: u32, entry: impl Into<Entry>) -> Result<(), DeviceError> {
        self.apply(&[Op::write(index, entry)])
    }

    /// Executes a batch in order, up to the first operation that the card refuses: those behind it are not executed.
    ///
    /// # Errors
    /// [`DeviceError::Overflow`] before anything is sent, the first [`DeviceError::BadStatus`], or as [`Card::execute`].
    pub fn apply(&mut self, ops: &[Op]) -> Result<(), DeviceError> {
        for entry in ops
            .iter()
            .filter_map(|op| if let Op::Write { entry, .. } = op { Some(entry) } else { None })
        {
            entry.check()?;
        }
        for ops in ops.split_inclusive(|op| matches!(op, Op::Forget { .. })) {
            let (last, before) =
                ops.split_last().map_or((None, ops), |(last, rest)| (Some(last), rest));
            match last {
                Some(&Op::Forget { key_nh }) => {
                    self.apply_commands(before)?;
                    self.forget_flows(key_nh)?;
                }
                _ => self.apply_commands(ops)?,
            }
        }
        Ok(())
    }

    fn apply_commands(&mut self, ops: &[Op]) -> Result<(), DeviceError> {
        let commands = ops.iter().filter_map(|op| command_of(op).transpose());
        let mut commands = commands.collect::<Result<Vec<Command>, _>>()?;
        for command in commands.iter_mut().skip(1) {
            command.flags |= FLAG_CHAINED;
        }
        let done = self.execute(&commands)?;
        done.iter()
            .zip(&commands)
            .try_for_each(|(completion, command)| expect_ok(command, completion))
    }

    /// Deletes the flows in whose keys a next hop is. The card moves keys about while packets make flows, so a walk may miss one:
    /// it is done when a walk meets none.
    fn forget_flows(&mut self, key_nh: u16) -> Result<(), DeviceError> {
        for _ in 0..FORGET_WALKS {
            let flows = self.dump(TableId::Flow)?;
            let of_it = |words: &Words| Flow::unpack(words).nh == key_nh;
            let found: Vec<Command> = flows
                .iter()
                .filter(|(_, words)| of_it(words))
                .map(|(index, _)| command(Opcode::Write, TableId::Flow, *index, Words::default()))
                .collect();
            if found.is_empty() {
                return Ok(());
            }
            let done = self.execute(&found)?;
            done.iter().zip(&found).try_for_each(|(done, command)| expect_ok(command, done))?;
        }
        Err(DeviceError::protocol(format!(
            "flows of next hop {key_nh} are made as fast as they are deleted"
        )))
    }

    /// Deletes the pair of flow entries of which one stands at `index`, and says what stood there: as the card moves entries, that
    /// may be another one than before. None if nothing did.
    ///
    /// # Errors
    /// As [`Card::apply`].
    pub fn delete_flow(&mut self, index: u32) -> Result<Option<(Flow, FlowStats)>, DeviceError> {
        let none = Words::default();
        // One behind the other, so that what is read is what goes, but for what the card does between two commands.
        let mut commands = [
            command(Opcode::Read, TableId::FlowStats, index, none),
            command(Opcode::Read, TableId::Flow, index, none),
            command(Opcode::Write, TableId::Flow, index, none),
        ];
        commands[1..].iter_mut().for_each(|command| command.flags |= FLAG_CHAINED);
        let done = self.execute(&commands)?;
        done.iter().zip(&commands).try_for_each(|(done, command)| expect_ok(command, done))?;
        let [stats, flow, _] = &done[..] else {
            return Err(DeviceError::protocol("completions are missing"));
        };
        let flow = Flow::unpack(&flow.data);
        Ok(flow.valid.then(|| (flow, FlowStats::unpack(&stats.data))))
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// [`DeviceError::BadStatus`], or as [`Card::execute`].
    pub fn read<E: TableEntry>(&mut self, table: TableId, index: u32) -> Result<E, DeviceError> {
        let words = self.read_many(table, &[index])?;
        Ok(E::unpack(&words[0]))
    }

    /// Reads entries at `indices`, in their order.
    ///
    /// # Errors
    /// As [`Card::read`].
    pub fn read_many(
        &mut self,
        table: TableId,
        indices: &[u32],
    ) -> Result<Vec<Words>, DeviceError> {
        let commands: Vec<Command> = indices
            .iter()
            .map(|&index| command(Opcode::Read, table, index, Words::default()))
            .collect();
        let done = self.execute(&commands)?;
        done.iter()
            .zip(&commands)
            .map(|(completion, command)| expect_ok(command, completion).map(|()| completion.data))
            .collect()
    }

    /// As [`Card::read_many`], but an entry that stands with the wrong parity is `None`, and no error.
    ///
    /// # Errors
    /// As [`Card::read`].
    pub fn read_sound(
        &mut self,
        table: TableId,
        indices: &[u32],
    ) -> Result<Vec<Option<Words>>, DeviceError> {
        let read = |&index: &u32| command(Opcode::Read, table, index, Words::default());
        let commands: Vec<Command> = indices.iter().map(read).collect();
        let done = self.execute(&commands)?;
        done.iter().zip(&commands).map(|(completion, command)| sound(command, completion)).collect()
    }

    /// Reads a whole table: every valid entry with its index, in order of index; of a table without valid bits (counters)
    /// every entry. The table may change meanwhile (flows do): each entry is then seen as it was at some moment of the dump.
    /// Entries with the wrong parity are left out; [`TableDump::odd`] names them.
    ///
    /// # Errors
    /// As [`Card::read`].
    pub fn dump(&mut self, table: TableId) -> Result<Vec<(u32, Words)>, DeviceError> {
        let mut dump = self.dump_from_start(table);
        while !self.dump_on(&mut dump)? {}
        Ok(dump.finish())
    }

    /// Where an entry was last met with the wrong parity, and how many were met so far, modulo 2^32. `None` if none was, or of a
    /// card that does not say it.
    ///
    /// # Errors
    /// As [`Card::read_reg`].
    pub fn parity_errors(&mut self) -> Result<Option<ParityErrors>, DeviceError> {
        if !self.ident().has(Capability::Parity) {
            return Ok(None);
        }
        loop {
            let count = self.read_reg(regs::PARITY_ERRORS)?;
            let last = self.read_reg(regs::PARITY_LAST)?;
            if self.read_reg(regs::PARITY_ERRORS)? == count {
                let table = TableId::from_u8((last >> 24) as u8);
                return Ok(table.filter(|_| count > 0).map(|table| ParityErrors {
                    count,
                    table,
                    index: last & 0x00ff_ffff,
                }));
            }
        }
    }

    /// A dump of a table, of which nothing was read yet, see [`Card::dump_on`].
    #[must_use]
    pub fn dump_from_start(&self, table: TableId) -> TableDump {
        TableDump::new(table, self.ident().shape)
    }

    /// Goes on with a dump by one batch of at most 256 commands, so that an owner can do other things in between. Says whether it
    /// is done.
    ///
    /// # Errors
    /// As [`Card::read`].
    pub fn dump_on(&mut self, dump: &mut TableDump) -> Result<bool, DeviceError> {
        let table = dump.table;
        let commands: Vec<Command> = dump
            .probes()
            .iter()
            .map(|probe| match *probe {
                Probe::Read(index) => command(Opcode::Read, table, index, Words::default()),
                Probe::Search(index) => command(Opcode::GetNext, table, index, Words::default()),
            })
            .collect();
        if commands.is_empty() {
            return Ok(true);
        }
        let done = self.execute(&commands)?;
        let mut answers = Vec::with_capacity(done.len());
        for (completion, command) in done.iter().zip(&commands) {
            answers.push(if completion.status == Status::NotFound as u8 {
                Answer::NotFound
            } else {
                match sound(command, completion)? {
                    Some(words) => Answer::Entry(completion.index, words),
                    None => Answer::Odd(completion.index),
                }
            });
        }
        if !dump.absorb(&answers) {
            return Err(DeviceError::protocol(format!(
                "the card's answers to a search in {table:?} contradict it"
            )));
        }
        Ok(dump.probes().is_empty())
    }

    /// Waits until every packet decided under earlier tables has left the match-action core.
    ///
    /// # Errors
    /// As [`Card::execute`].
    pub fn fence(&mut self) -> Result<(), DeviceError> {
        self.apply(&[Op::Fence])
    }
}

/// The command of an operation; one that takes many has none of its own.
fn command_of(op: &Op) -> Result<Option<Command>, FieldOverflow> {
    match op {
        Op::Write { index, entry } => {
            entry.check()?;
            Ok(Some(command(Opcode::Write, entry.table(), *index, entry.pack())))
        }
        Op::Fence => Ok(Some(Command { opcode: Opcode::Fence as u8, ..Command::default() })),
        Op::Forget { .. } => Ok(None),
    }
}

pub(crate) fn command(opcode: Opcode, table: TableId, index: u32, data: Words) -> Command {
    Command { opcode: opcode as u8, table: table as u8, index, data, ..Command::default() }
}

/// Entries that a card has met with the wrong parity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParityErrors {
    /// How many, modulo 2^32; one that stays counts each time.
    pub count: u32,
    /// Where the last one was: its table,
    pub table: TableId,
    /// and its index.
    pub index: u32,
}

/// The entry that a command has read; none if it stands with the wrong parity.
fn sound(command: &Command, completion: &Completion) -> Result<Option<Words>, DeviceError> {
    if completion.status == Status::Parity as u8 {
        return Ok(None);
    }
    expect_ok(command, completion).map(|()| Some(completion.data))
}

/// The refusal of a command, if it was refused.
pub(crate) fn expect_ok(command: &Command, completion: &Completion) -> Result<(), DeviceError> {
    let what = match Opcode::from_u8(command.opcode) {
        Some(Opcode::Write) => "to write",
        Some(Opcode::Read) => "to read",
        Some(Opcode::GetNext) => "to search",
        Some(Opcode::Fence) => "a fence",
        Some(Opcode::Digest) => "a digest",
        Some(Opcode::Nop) | None => "a command",
    };
    let status = Status::from_u8(completion.status).ok_or_else(|| {
        DeviceError::protocol(format!("completion has status {}", completion.status))
    })?;
    let table = TableId::from_u8(command.table).unwrap_or(TableId::Vif);
    match status {
        Status::Ok => Ok(()),
        status => Err(DeviceError::BadStatus { what, table, index: command.index, status }),
    }
}
