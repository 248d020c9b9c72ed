//! MSI-X: each vector that a card without packets can be made to raise, and masking.

use std::time::{Duration, Instant};

use penstock_abi::regs::{IRQ_COMPLETION, IRQ_EVENT, IRQ_FAULT};
use penstock_abi::ring::{Command, FLAG_IRQ, Opcode};
use vmm_sys_util::eventfd::EventFd;

use super::raw::{Ended, RawRing};
use super::{Failed, Outcome, Suite, require};
use crate::card::Card;
use crate::error::DeviceError;

/// An interrupt that has not come by then was not delivered.
const DELIVERY: Duration = Duration::from_secs(2);
/// How long the suite listens for an interrupt that must not come.
const SILENCE: Duration = Duration::from_millis(50);

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
const NOP_IRQ: Command = Command { flags: FLAG_IRQ, ..NOP };

fn vector(card: &Card, vector: u32) -> Result<EventFd, DeviceError> {
    let irq = card.irqs()[vector as usize]
        .try_clone()
        .map_err(|e| DeviceError::io("copy an event descriptor", e))?;
    // Empties the counter; `WouldBlock` means that it was empty.
    let _ = irq.read();
    Ok(irq)
}

/// Waits for an interrupt and takes it; says how long it took.
fn taken(
    card: &mut Card,
    irq: &EventFd,
    within: Duration,
) -> Result<Option<Duration>, DeviceError> {
    let started = Instant::now();
    loop {
        if irq.read().is_ok() {
            return Ok(Some(started.elapsed()));
        }
        if started.elapsed() > within {
            return Ok(None);
        }
        card.transport().wait_irq(IRQ_EVENT, Duration::from_millis(1))?;
    }
}

fn completes(card: &mut Card, ring: &mut RawRing, command: &Command) -> Result<(), Failed> {
    let ended = ring.execute(card, command)?;
    require(ended.is_completed(), format!("a command ended as {ended:?}"))
}

pub(super) fn delivery(suite: &mut Suite<'_>) -> Outcome {
    let card = suite.card()?;
    let mut ring = RawRing::alloc(card)?;
    ring.start(card)?;
    let (completion, fault) = (vector(card, IRQ_COMPLETION)?, vector(card, IRQ_FAULT)?);
    completes(card, &mut ring, &NOP)?;
    let unasked = taken(card, &completion, SILENCE)?;
    require(unasked.is_none(), "a command that asked for no interrupt raised one")?;
    let mut slowest = Duration::ZERO;
    for i in 0..5 {
        completes(card, &mut ring, &NOP_IRQ)?;
        let came = taken(card, &completion, DELIVERY)?;
        let took = came.ok_or_else(|| Failed::Found(format!("completion {i}: no interrupt")))?;
        slowest = slowest.max(took);
    }
    require(fault.read().is_err(), "the fault vector was raised without a fault")?;
    let gone = ring.commands.0.clone();
    card.transport().dma_free(gone)?;
    let ended = ring.execute(card, &NOP)?;
    require(ended == Ended::Fault, format!("a ring without memory ended as {ended:?}"))?;
    require(taken(card, &fault, DELIVERY)?.is_some(), "a fault raised no interrupt")?;
    card.transport().dma_free(ring.completions.0)?;
    card.fence()?;
    Ok("completion and fault; the event vector needs the firmware to change its state".to_owned())
}

pub(super) fn masking(suite: &mut Suite<'_>) -> Outcome {
    let card = suite.card()?;
    let mut ring = RawRing::alloc(card)?;
    ring.start(card)?;
    let completion = vector(card, IRQ_COMPLETION)?;
    completes(card, &mut ring, &NOP_IRQ)?;
    require(taken(card, &completion, DELIVERY)?.is_some(), "an armed vector is silent")?;
    card.transport().mask_irq(IRQ_COMPLETION, true)?;
    let masked = silent(card, &mut ring, &completion);
    card.transport().mask_irq(IRQ_COMPLETION, false)?;
    masked?;
    // One that came meanwhile may or may not be delivered now; these must be.
    let late = taken(card, &completion, SILENCE)?.is_some();
    for _ in 0..2 {
        completes(card, &mut ring, &NOP_IRQ)?;
        require(taken(card, &completion, DELIVERY)?.is_some(), "armed again, it stays silent")?;
    }
    ring.free(card)?;
    card.fence()?;
    Ok(if late { "a masked one was delivered when armed" } else { "masked ones are lost" }
        .to_owned())
}

fn silent(card: &mut Card, ring: &mut RawRing, completion: &EventFd) -> Result<(), Failed> {
    for _ in 0..3 {
        completes(card, ring, &NOP_IRQ)?;
    }
    let came = taken(card, completion, SILENCE)?;
    require(came.is_none(), "a masked vector delivered an interrupt")
}
