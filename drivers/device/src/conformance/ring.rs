//! The command ring and the tables behind it.

use std::time::{Duration, Instant};

use penstock_abi::regs;
use penstock_abi::ring::{Command, FLAG_CHAINED, Opcode, Status};
use penstock_abi::table::{EcmpSlot, NextHop, TableEntry, TableId, Vif};
use penstock_tables::Op;

use super::raw::{RECORDS, RawRing};
use super::{Failed, Outcome, Suite, require};
use crate::card::Card;
use crate::error::DeviceError;

/// Entries that [`fill`] leaves in the next-hop table.
pub(super) const ENTRIES: u32 = 3000;
/// Batches: size and how often. Together several laps of the ring, with ends at every position.
const BATCHES: [(u32, u32); 4] = [(1, 20), (7, 20), (256, 4), (1000, 3)];
/// A time-out that a check waits for.
const TIMEOUT: Duration = Duration::from_millis(300);
/// The time-out of all other commands.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The entry that [`fill`] writes at an index.
pub(super) fn entry(i: u32) -> NextHop {
    NextHop {
        valid: true,
        dip: i.wrapping_mul(0x9e37_79b9),
        smac: u64::from(i) << 9,
        ..NextHop::default()
    }
}

/// Clears the card and writes [`ENTRIES`] next hops.
pub(super) fn fill(card: &mut Card) -> Result<Duration, DeviceError> {
    card.clear_all()?;
    let ops: Vec<Op> = (0..ENTRIES).map(|i| Op::write(i, entry(i))).collect();
    let started = Instant::now();
    card.apply(&ops)?;
    Ok(started.elapsed())
}

/// Whether the card holds exactly what [`fill`] wrote.
pub(super) fn is_filled(card: &mut Card) -> Result<bool, DeviceError> {
    let dump = card.dump(TableId::NextHop)?;
    Ok(dump.len() == ENTRIES as usize && dump.iter().all(|(i, w)| *w == entry(*i).pack()))
}

/// More commands than the ring holds would be old ones again: the card stops and executes none of them.
pub(super) fn impossible_doorbell(suite: &mut Suite<'_>) -> Outcome {
    let card = suite.card()?;
    card.clear_all()?;
    let stale = Command {
        opcode: Opcode::Write as u8,
        table: TableId::NextHop as u8,
        index: 7,
        data: entry(7).pack(),
        ..Command::default()
    };
    let mut ring = RawRing::alloc(card)?;
    for (executed, count) in [(0, RECORDS + 1), (3, 3 + RECORDS + 1), (3, 2), (0, u32::MAX)] {
        ring.start(card)?;
        for _ in 0..executed {
            ring.execute(card, &Command { opcode: Opcode::Nop as u8, ..Command::default() })?;
        }
        ring.fill(&stale);
        let what = format!("{count} commands announced after {executed} in a ring of {RECORDS}");
        require(ring.announce(card, count)?, format!("{what} are no fault"))?;
        require(card.read_reg(regs::RING_ERRORS)? > 0, format!("{what} are not counted"))?;
        let consumed = card.read_reg(regs::CMD_CONSUMER)?;
        require(consumed == executed, format!("{what}: {consumed} were executed"))?;
    }
    ring.free(card)?;
    require(card.dump(TableId::NextHop)?.is_empty(), "an old command was executed")?;
    Ok("a fault each time; the ring works afterwards".to_owned())
}

pub(super) fn tables(suite: &mut Suite<'_>) -> Outcome {
    let card = suite.card()?;
    let written = fill(card)?;
    require(is_filled(card)?, "what was written is not what is read back")?;
    let sparse = [3, 4096, 65_535];
    for i in sparse {
        card.write(i, EcmpSlot { valid: true, ..EcmpSlot::default() })?;
    }
    let found: Vec<u32> = card.dump(TableId::Ecmp)?.into_iter().map(|(i, _)| i).collect();
    require(found == sparse, format!("sparse entries {found:?} are not those written"))?;
    card.clear_all()?;
    require(card.dump(TableId::NextHop)?.is_empty(), "entries survive an explicit clear")?;
    Ok(format!("{ENTRIES} writes in {} ms", written.as_millis()))
}

pub(super) fn wraps(suite: &mut Suite<'_>) -> Outcome {
    let card = suite.card()?;
    // From count 0.
    card.forget_ring();
    let mut total: u32 = 0;
    for (size, times) in BATCHES {
        for _ in 0..times {
            let commands: Vec<Command> = (0..size).map(|i| command(total + i)).collect();
            let done = card.execute(&commands)?;
            require(done.len() == commands.len(), "completions are missing")?;
            for (sent, got) in commands.iter().zip(&done) {
                let fine = got.status == Status::Ok as u8
                    && (got.cookie, got.index) == (sent.cookie, sent.index);
                let read = sent.opcode == Opcode::Read as u8;
                let expected = entry(sent.cookie.wrapping_sub(1)).pack();
                require(
                    fine && (!read || got.data == expected),
                    format!("command {} of a batch of {size} ended as {got:?}", sent.cookie),
                )?;
            }
            total += size;
        }
    }
    let counts = (card.read_reg(regs::CMD_PRODUCER)?, card.read_reg(regs::CMD_CONSUMER)?);
    require(
        counts == (total, total),
        format!("the card counts {counts:?} after {total} commands"),
    )?;
    require(card.read_reg(regs::RING_ERRORS)? == 0, "the card counted ring errors")?;
    Ok(format!("{total} commands in batches of 1, 7, 256 and 1000"))
}

/// Command number `count`: a write if it is even, and a read of what the one before wrote if it is odd.
fn command(count: u32) -> Command {
    let write = count.is_multiple_of(2);
    let opcode = if write { Opcode::Write } else { Opcode::Read };
    let data = if write { entry(count).pack() } else { Default::default() };
    Command {
        opcode: opcode as u8,
        table: TableId::NextHop as u8,
        index: count / 2 % ENTRIES,
        cookie: count,
        data,
        ..Command::default()
    }
}

pub(super) fn refusals(suite: &mut Suite<'_>) -> Outcome {
    let card = suite.card()?;
    let err = card.write(256, Vif::default()).err();
    let refused = matches!(err, Some(DeviceError::BadStatus { status: Status::BadIndex, .. }));
    require(refused, format!("a write beyond the table gave {err:?}"))?;
    let unknown = Command { opcode: 99, cookie: 77, ..Command::default() };
    let done = card.execute(&[unknown])?;
    let refused = done[0].status == Status::BadOpcode as u8 && done[0].cookie == 77;
    require(refused, format!("an unknown command gave {:?}", done[0]))?;
    chains(card)?;
    Ok(String::new())
}

/// A refused command takes those with it that are chained to it, and no others.
fn chains(card: &mut Card) -> Result<(), Failed> {
    card.clear_all()?;
    let write = |index, flags| Command {
        opcode: Opcode::Write as u8,
        table: TableId::NextHop as u8,
        flags,
        index,
        data: entry(index).pack(),
        ..Command::default()
    };
    let (alone, chained) = (0, FLAG_CHAINED);
    let beyond = TableId::NextHop.desc().depth;
    let commands = [
        write(1, alone),
        write(2, chained),
        write(beyond, chained),
        write(3, chained),
        Command { opcode: Opcode::Fence as u8, flags: chained, ..Command::default() },
        write(beyond, chained),
        write(4, alone),
        write(5, chained),
    ];
    let ended: Vec<u8> = card.execute(&commands)?.iter().map(|done| done.status).collect();
    let (ok, bad, skipped) = (Status::Ok as u8, Status::BadIndex as u8, Status::Skipped as u8);
    let expected = [ok, ok, bad, skipped, skipped, skipped, ok, ok];
    require(ended == expected, format!("chained commands ended as {ended:?}"))?;
    let written: Vec<u32> = card.dump(TableId::NextHop)?.into_iter().map(|(i, _)| i).collect();
    require(written == [1, 2, 4, 5], format!("chained commands wrote {written:?}"))?;
    // A ring that begins anew has nothing before its first command.
    card.execute(&[write(beyond, alone)])?;
    card.forget_ring();
    let done = card.execute(&[write(6, chained)])?;
    require(done[0].status == ok, format!("the first command of a ring gave {:?}", done[0]))
}

pub(super) fn times_out(suite: &mut Suite<'_>) -> Outcome {
    let card = suite.card()?;
    card.fence()?;
    // Behind the driver's back: commands are taken no more.
    card.write_reg(regs::RING_ENABLE, 0)?;
    card.set_timeout(TIMEOUT);
    let started = Instant::now();
    let err = card.fence().err();
    let took = started.elapsed();
    card.set_timeout(PATIENCE);
    require(
        matches!(err, Some(DeviceError::Timeout { .. })),
        format!("a command that nobody takes gave {err:?}"),
    )?;
    require(took >= TIMEOUT && took < 10 * TIMEOUT, format!("the time-out took {took:?}"))?;
    card.fence()?;
    Ok(format!("after {} ms; the next command works", took.as_millis()))
}
