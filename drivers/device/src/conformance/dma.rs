//! What the card reaches in host memory, and what it must not.

use std::time::{Duration, Instant};

use penstock_abi::regs;
use penstock_abi::ring::{Command, Opcode, Status};
use penstock_abi::table::{TableEntry, TableId};

use super::raw::{BYTES, Ended, RawRing};
use super::ring::entry;
use super::{Failed, Outcome, Suite, require};
use crate::card::Card;
use crate::dma::PAGE_BYTES;
use crate::error::DeviceError;
use crate::transport::set_bus_master;

/// A fault is reported within this time.
const FAULT: Duration = Duration::from_secs(5);
const NOP: Command = Command {
    opcode: Opcode::Nop as u8,
    table: 0,
    flags: 0,
    reserved0: 0,
    index: 0,
    cookie: 0,
    reserved1: 0,
    data: [0; 12],
};
/// What stands around the rings and must stay.
const GUARD: u8 = 0xa5;

pub(super) fn addresses(suite: &mut Suite<'_>) -> Outcome {
    let card = suite.card()?;
    let buffer = card.transport().dma_alloc(5 * PAGE_BYTES)?;
    let (memory, iova) = (buffer.memory().clone(), buffer.iova());
    let address = memory.as_ptr() as u64;
    require(iova != address, "the bus address is the memory's address: nothing is translated")?;
    memory.write(0, &vec![GUARD; memory.len()]);
    // Each half of the ring lies across the end of a page.
    let (commands, completions) = (PAGE_BYTES - BYTES / 2, 3 * PAGE_BYTES - BYTES / 2);
    let mut ring = RawRing::at((buffer.clone(), commands), (buffer.clone(), completions));
    ring.start(card)?;
    let rounds = 3 * super::raw::RECORDS;
    for i in 0..rounds {
        for opcode in [Opcode::Write, Opcode::Read] {
            let command = Command {
                opcode: opcode as u8,
                table: TableId::NextHop as u8,
                index: i,
                data: if opcode == Opcode::Write { entry(i).pack() } else { [0; 12] },
                ..Command::default()
            };
            let ended = ring.execute(card, &command)?;
            let Ended::Completed(completion) = ended else {
                return Err(Failed::Found(format!("{opcode:?} {i} ended as {ended:?}")));
            };
            let back = opcode == Opcode::Write || completion.data == entry(i).pack();
            require(
                completion.status == Status::Ok as u8 && back,
                format!("{opcode:?} {i} gave {completion:?}"),
            )?;
        }
    }
    for at in 0..memory.len() {
        let inside = |ring: usize| (ring..ring + BYTES).contains(&at);
        if !inside(commands) && !inside(completions) {
            require(memory.read_u8(at) == GUARD, format!("the byte at {at:#x} was changed"))?;
        }
    }
    card.write_reg(regs::RING_ENABLE, 0)?;
    card.transport().dma_free(buffer)?;
    Ok(format!("bus {iova:#x} for memory at {address:#x}"))
}

pub(super) fn unmapped(suite: &mut Suite<'_>) -> Outcome {
    let card = suite.card()?;
    let mut slowest = Duration::ZERO;
    for base in [regs::CMD_BASE_HI, regs::CPL_BASE_HI] {
        card.fence()?;
        card.write_reg(base, 0x3f)?;
        let started = Instant::now();
        let err = card.fence().err();
        slowest = slowest.max(started.elapsed());
        require(
            matches!(err, Some(DeviceError::RingFault { .. })),
            format!("a ring where nothing is mapped gave {err:?}"),
        )?;
    }
    require(slowest < FAULT, format!("the fault took {slowest:?}"))?;
    card.fence()?;
    Ok(format!("reported within {} ms; the ring works afterwards", slowest.as_millis()))
}

fn expect(ended: &Ended, what: &str, fine: impl Fn(&Ended) -> bool) -> Result<(), Failed> {
    require(fine(ended), format!("a command {what} ended as {ended:?}"))
}

pub(super) fn unmapped_again(suite: &mut Suite<'_>) -> Outcome {
    let card = suite.card()?;
    for half in ["commands", "completions"] {
        let mut ring = RawRing::alloc(card)?;
        ring.start(card)?;
        expect(&ring.execute(card, &NOP)?, "in mapped memory", Ended::is_completed)?;
        let (gone, kept) = if half == "commands" {
            (ring.commands.0.clone(), ring.completions.0.clone())
        } else {
            (ring.completions.0.clone(), ring.commands.0.clone())
        };
        // The memory stays, only the card may no longer reach it: what it finds there would work.
        card.transport().dma_free(gone)?;
        let ended = ring.execute(card, &NOP)?;
        expect(&ended, &format!("whose {half} are unmapped"), |e| *e == Ended::Fault)?;
        card.transport().dma_free(kept)?;
    }
    card.fence()?;
    Ok(String::new())
}

pub(super) fn bus_mastering(suite: &mut Suite<'_>) -> Outcome {
    let card = suite.card()?;
    let mut ring = RawRing::alloc(card)?;
    ring.start(card)?;
    expect(&ring.execute(card, &NOP)?, "of a bus master", Ended::is_completed)?;
    set_bus_master(card.transport(), false)?;
    let ended = stopped(card, &mut ring);
    // Whatever came of it, the next check needs it on.
    set_bus_master(card.transport(), true)?;
    let ended = ended?;
    ring.start(card)?;
    expect(&ring.execute(card, &NOP)?, "after bus mastering is back", Ended::is_completed)?;
    ring.free(card)?;
    card.fence()?;
    Ok(if ended == Ended::Fault { "reported as a bus error" } else { "nothing moves" }.to_owned())
}

fn stopped(card: &mut Card, ring: &mut RawRing) -> Result<Ended, Failed> {
    let ended = ring.execute(card, &NOP)?;
    expect(&ended, "without bus mastering", |e| !e.is_completed())?;
    Ok(ended)
}
