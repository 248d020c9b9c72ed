//! Reset, owners that come and go, and a card that goes.

use std::time::{Duration, Instant};

use penstock_abi::regs::{self, Access};
use penstock_abi::ring::{Command, Opcode, RING_LOG2_MIN};
use penstock_abi::table::TableId;

use super::ring::{entry, fill, is_filled};
use super::{Failed, Outcome, Suite, require};
use crate::card::Card;
use crate::dma::IOVA_BASE;
use crate::error::DeviceError;

const EPOCH: u32 = 0x0bad_cafe;
/// A card that vanished is noticed within this time: a virtual machine waits 5 s for an access in flight.
const NOTICED: Duration = Duration::from_secs(15);
/// What a call may take once it is known that the card is gone.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Tables, mark and forwarding that must outlive what the check does.
fn leave_traces(card: &mut Card) -> Result<(), DeviceError> {
    fill(card)?;
    card.write_reg(regs::EPOCH, EPOCH)?;
    card.set_enabled(true)
}

fn check_traces(card: &mut Card, after: &str) -> Result<(), Failed> {
    require(is_filled(card)?, format!("tables did not survive {after}"))?;
    require(card.read_reg(regs::EPOCH)? == EPOCH, format!("the epoch did not survive {after}"))?;
    require(card.is_enabled()?, format!("forwarding stopped with {after}"))
}

pub(super) fn reset(suite: &mut Suite<'_>) -> Outcome {
    let card = suite.card()?;
    leave_traces(card)?;
    card.write_reg(regs::SCRATCH, 5)?;
    card.write_reg(regs::MBOX_ARG, 6)?;
    card.write_reg(regs::EVT_BASE_LO, 0x40)?;
    let before = card.ident().flr_count;
    let clearing = || regs::REGISTERS.iter().filter(|r| !r.survives_flr && r.access != Access::W1);
    let mut set = 0;
    for register in clearing() {
        set += u32::from(card.read_reg(register.offset)? != 0);
    }
    card.forget_ring();
    card.transport().reset()?;
    for register in clearing() {
        let value = card.read_reg(register.offset)?;
        // A ring has a size even when it is not set up, the smallest; and there are events that every host takes.
        let first = match register.offset {
            regs::RING_LOG2 | regs::EVT_LOG2 => RING_LOG2_MIN,
            regs::EVT_KINDS => regs::EVT_KINDS_FIRST,
            _ => 0,
        };
        require(
            value == 0 || value == first,
            format!("{} is {value:#x} after a reset", register.name),
        )?;
    }
    let count = card.read_reg(regs::FLR_COUNT)?;
    require(count > before, format!("{count} resets after {before} and one more"))?;
    let cause = card.read_reg(regs::RESET_CAUSE)?;
    require(cause == regs::RESET_FLR, format!("the cause of a reset reads as {cause}"))?;
    // The driver's own way back, by another reset.
    card.reset()?;
    require(card.ident().epoch == EPOCH, "the driver did not find the epoch after a reset")?;
    check_traces(card, "a reset")?;
    card.set_enabled(false)?;
    Ok(format!("{set} registers cleared; {} resets so far", card.ident().flr_count))
}

pub(super) fn reopening(suite: &mut Suite<'_>) -> Outcome {
    leave_traces(suite.card()?)?;
    let started = Instant::now();
    let rounds = 3;
    for round in 1..=rounds {
        suite.close();
        let card = suite.card()?;
        require(card.ident().epoch == EPOCH, format!("round {round}: another epoch"))?;
        require(card.ident().reset_cause == regs::RESET_FLR, "closing did not reset the card")?;
        require(card.read_reg(regs::SCRATCH)? == 0, "scratch survived another owner")?;
        check_traces(card, &format!("reopening it {round} times"))?;
        card.write_reg(regs::SCRATCH, round)?;
    }
    let each = started.elapsed() / rounds;
    suite.card()?.set_enabled(false)?;
    Ok(format!("tables kept; {} ms to open and read back", each.as_millis()))
}

pub(super) fn two_owners(suite: &mut Suite<'_>) -> Outcome {
    suite.card()?.fence()?;
    let err = (suite.open)().err();
    require(
        matches!(err, Some(DeviceError::InUse { .. })),
        format!("a second owner was not refused: {err:?}"),
    )?;
    // The first one did not notice.
    let card = suite.card()?;
    card.write(9, entry(9))?;
    card.fence()?;
    Ok(err.map(|err| err.to_string()).unwrap_or_default())
}

pub(super) fn adoption(suite: &mut Suite<'_>) -> Outcome {
    let Some(held) = suite.card()?.held_fds() else {
        return Ok("this transport has no descriptors to hold".to_owned());
    };
    let Some(adopt) = &mut suite.adopt else {
        return Ok("not asked for".to_owned());
    };
    // An owner that did not clean up: its ring runs, its memory is mapped, its interrupts are connected.
    let Some(mut hung) = suite.card.take() else {
        return Err(Failed::Found("there is no card".to_owned()));
    };
    leave_traces(&mut hung)?;
    hung.write_reg(regs::SCRATCH, 77)?;
    let resets = hung.read_reg(regs::FLR_COUNT)?;
    let mut card = adopt(held).and_then(Card::attach)?;
    // Its own interrupts, until it was disconnected, may have come late. From now on there are none.
    for irq in hung.irqs() {
        let _ = irq.read();
    }
    unharmed(&mut card, resets)?;
    // The last owner's memory has been unmapped: the first bus address is free again, and taken.
    let buffer = card.transport().dma_alloc(1)?;
    let expected = IOVA_BASE..IOVA_BASE + (1 << 20);
    require(expected.contains(&buffer.iova()), "bus addresses of the last owner are not free")?;
    require(hung.irqs().iter().all(|irq| irq.read().is_err()), "the last owner's interrupts came")?;
    drop(card);
    // Now one that ended in good order while somebody held the function.
    let held = hung.held_fds();
    drop(hung);
    let held = held.ok_or_else(|| Failed::Found("nothing to hold".to_owned()))?;
    let refused = (suite.open)().err();
    require(
        matches!(refused, Some(DeviceError::InUse { .. })),
        format!("a function that is held can be opened: {refused:?}"),
    )?;
    let mut card = adopt(held).and_then(Card::attach)?;
    unharmed(&mut card, resets)?;
    card.set_enabled(false)?;
    suite.card = Some(card);
    Ok("from a hung owner and from one that ended; no reset".to_owned())
}

/// An adopted card works, and was not reset.
fn unharmed(card: &mut Card, resets: u32) -> Result<(), Failed> {
    let now = card.read_reg(regs::FLR_COUNT)?;
    require(now == resets, format!("{} resets on adopting the card", now.wrapping_sub(resets)))?;
    require(card.read_reg(regs::SCRATCH)? == 77, "scratch did not survive adopting the card")?;
    check_traces(card, "adopting it")
}

/// A call by name, and its error.
type Call = (&'static str, fn(&mut Card) -> Option<DeviceError>);

pub(super) fn removal(suite: &mut Suite<'_>, remove: impl FnOnce()) -> Outcome {
    let card = suite.card()?;
    let commands: Vec<Command> = (0..512)
        .map(|i| Command {
            opcode: Opcode::Read as u8,
            table: TableId::NextHop as u8,
            index: i,
            ..Command::default()
        })
        .collect();
    card.execute(&commands)?;
    remove();
    let started = Instant::now();
    let err = loop {
        if let Err(err) = card.execute(&commands) {
            break err;
        }
        require(started.elapsed() < NOTICED, "commands are still executed")?;
    };
    let noticed = started.elapsed();
    require(err.is_gone(), format!("the card's end was reported as: {err}"))?;
    require(noticed < NOTICED, format!("noticed only after {noticed:?}"))?;
    let calls: [Call; 3] = [
        ("a register", |card| card.read_reg(regs::MAGIC).err()),
        ("a command", |card| card.fence().err()),
        ("forwarding", |card| card.set_enabled(true).err()),
    ];
    for (what, call) in calls {
        let started = Instant::now();
        let again = call(card);
        let took = started.elapsed();
        let gone = again.as_ref().is_some_and(DeviceError::is_gone);
        require(gone, format!("{what} of a card that is gone gave {again:?}"))?;
        require(took < AT_ONCE, format!("{what} of a card that is gone took {took:?}"))?;
    }
    Ok(format!("noticed after {} ms: {err}", noticed.as_millis()))
}
