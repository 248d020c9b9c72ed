//! Host side of the command and completion rings: positions, laps and memory, no registers.
//!
//! Counts run freely modulo 2^32; a record's position is its count modulo the ring's size, its lap bit (`phase`) is 1 on
//! even laps counted from 0. Worked example with 16 records: completion number 15 stands at position 15 with phase 1,
//! number 16 at position 0 with phase 0, number 32 at position 0 with phase 1 again.

use std::sync::atomic::{Ordering, fence};

use penstock_abi::ring::{Command, Completion, Event, RECORD_BYTES};
use zerocopy::{FromBytes, IntoBytes};

use crate::dma::DmaBuffer;
use crate::error::DeviceError;
use crate::event::CardEvent;

/// Both rings. The command ring is written and the completion ring read by the host.
#[derive(Debug)]
pub(crate) struct Rings {
    commands: DmaBuffer,
    completions: DmaBuffer,
    log2: u32,
    produced: u32,
    consumed: u32,
}

impl Rings {
    /// Rings of `2^log2` records in zeroed memory.
    pub(crate) fn new(commands: DmaBuffer, completions: DmaBuffer, log2: u32) -> Self {
        Self { commands, completions, log2, produced: 0, consumed: 0 }
    }

    /// Bytes that each ring takes.
    pub(crate) fn bytes(log2: u32) -> usize {
        RECORD_BYTES << log2
    }

    /// Back to the state that the card has after `RING_ENABLE` went from 0 to 1.
    pub(crate) fn restart(&mut self) {
        self.produced = 0;
        self.consumed = 0;
        let zeros = vec![0; Self::bytes(self.log2)];
        self.completions.memory().write(0, &zeros);
    }

    pub(crate) fn command_iova(&self) -> u64 {
        self.commands.iova()
    }

    pub(crate) fn completion_iova(&self) -> u64 {
        self.completions.iova()
    }

    pub(crate) fn log2(&self) -> u32 {
        self.log2
    }

    /// Commands written so far: the value for the doorbell.
    pub(crate) fn produced(&self) -> u32 {
        self.produced
    }

    /// Records that may be pushed now.
    pub(crate) fn free(&self) -> u32 {
        (1 << self.log2) - self.produced.wrapping_sub(self.consumed)
    }

    fn position(&self, count: u32) -> usize {
        (count & ((1 << self.log2) - 1)) as usize * RECORD_BYTES
    }

    /// Writes a command; its cookie becomes its count, so that a completion can be matched to it.
    pub(crate) fn push(&mut self, command: &Command) {
        debug_assert!(self.free() > 0);
        let command = Command { cookie: self.produced, ..*command };
        self.commands.memory().write(self.position(self.produced), command.as_bytes());
        self.produced = self.produced.wrapping_add(1);
    }

    /// Makes what was pushed visible before a doorbell that follows.
    pub(crate) fn publish(&self) {
        fence(Ordering::Release);
    }

    /// The next completion, if the card has written it.
    pub(crate) fn pop(&mut self) -> Result<Option<Completion>, DeviceError> {
        if self.consumed == self.produced {
            return Ok(None);
        }
        let at = self.position(self.consumed);
        let lap = u8::from((self.consumed >> self.log2) & 1 == 0);
        let phase_at = at + core::mem::offset_of!(Completion, phase);
        // A fresh ring is all zeros, and a lap's phase differs from the one before: equality means new.
        if self.completions.memory().read_u8(phase_at) != lap {
            return Ok(None);
        }
        fence(Ordering::Acquire);
        let mut record = [0; RECORD_BYTES];
        self.completions.memory().read(at, &mut record);
        let completion = Completion::read_from_bytes(&record)
            .map_err(|_| DeviceError::protocol("completion record has the wrong size"))?;
        let count = self.consumed;
        if completion.cookie != count || completion.sequence != count.wrapping_add(1) {
            return Err(DeviceError::protocol(format!(
                "completion {count} carries cookie {} and sequence {}",
                completion.cookie, completion.sequence
            )));
        }
        self.consumed = count.wrapping_add(1);
        Ok(Some(completion))
    }
}

/// The event ring, read by the host.
#[derive(Debug)]
pub(crate) struct EventRing {
    events: DmaBuffer,
    log2: u32,
    consumed: u32,
}

impl EventRing {
    /// A ring of `2^log2` records in zeroed memory.
    pub(crate) fn new(events: DmaBuffer, log2: u32) -> Self {
        Self { events, log2, consumed: 0 }
    }

    /// Back to the state that the card has after `EVT_ENABLE` went from 0 to 1.
    pub(crate) fn restart(&mut self) {
        self.consumed = 0;
        self.events.memory().write(0, &vec![0; Rings::bytes(self.log2)]);
    }

    pub(crate) fn iova(&self) -> u64 {
        self.events.iova()
    }

    pub(crate) fn log2(&self) -> u32 {
        self.log2
    }

    /// Events taken so far: the value for `EVT_CONSUMER`.
    pub(crate) fn consumed(&self) -> u32 {
        self.consumed
    }

    /// The next event, if the card has written one.
    pub(crate) fn pop(&mut self) -> Result<Option<CardEvent>, DeviceError> {
        let at = (self.consumed & ((1 << self.log2) - 1)) as usize * RECORD_BYTES;
        let lap = u8::from((self.consumed >> self.log2) & 1 == 0);
        if self.events.memory().read_u8(at + core::mem::offset_of!(Event, phase)) != lap {
            return Ok(None);
        }
        fence(Ordering::Acquire);
        let mut record = [0; RECORD_BYTES];
        self.events.memory().read(at, &mut record);
        let event = CardEvent::read(&record)
            .ok_or_else(|| DeviceError::protocol("event record has the wrong size"))?;
        self.consumed = self.consumed.wrapping_add(1);
        if event.sequence() != self.consumed {
            let what = format!("event {} carries sequence {}", self.consumed, event.sequence());
            return Err(DeviceError::protocol(what));
        }
        Ok(Some(event))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::dma::SharedMemory;

    fn buffer(log2: u32) -> DmaBuffer {
        DmaBuffer::new(Arc::new(SharedMemory::create(Rings::bytes(log2)).unwrap()), 0)
    }

    fn complete(rings: &Rings, count: u32, phase: u8) {
        let c = Completion { phase, cookie: count, sequence: count + 1, ..Completion::default() };
        rings.completions.memory().write(rings.position(count), c.as_bytes());
    }

    #[test]
    fn phase_turns_every_lap() {
        let mut rings = Rings::new(buffer(4), buffer(4), 4);
        for count in 0..80 {
            rings.push(&Command::default());
            assert!(rings.pop().unwrap().is_none(), "completion {count} was not written yet");
            complete(&rings, count, u8::from((count / 16) % 2 == 0));
            assert_eq!(rings.pop().unwrap().unwrap().sequence, count + 1);
        }
    }

    #[test]
    fn a_record_is_seen_whole() {
        const COUNT: u32 = 200_000;
        let mut rings = Rings::new(buffer(4), buffer(4), 4);
        let card = DmaBuffer::new(Arc::clone(rings.completions.memory()), 0);
        let (mut written, mut read) = (0, 0);
        let consumed = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            let consumed = &consumed;
            scope.spawn(move || {
                while written < COUNT && consumed.load(Ordering::Acquire) != u32::MAX {
                    if written.wrapping_sub(consumed.load(Ordering::Acquire)) < 16 {
                        let phase = u8::from((written / 16) % 2 == 0);
                        let c = Completion {
                            phase,
                            cookie: written,
                            sequence: written + 1,
                            data: [written; 12],
                            ..Completion::default()
                        };
                        card.memory().write((written % 16) as usize * RECORD_BYTES, c.as_bytes());
                        written += 1;
                    } else {
                        std::thread::yield_now(); // others need the processor on a busy machine
                    }
                }
            });
            rings.push(&Command::default());
            while read < COUNT {
                let popped = rings.pop();
                if popped.is_err() {
                    consumed.store(u32::MAX, Ordering::Release); // the writer ends too
                }
                if let Some(c) = popped.expect("no record is torn") {
                    assert_eq!(c.cookie, read);
                    read += 1;
                    rings.push(&Command::default());
                    consumed.store(read, Ordering::Release);
                } else {
                    std::thread::yield_now();
                }
            }
        });
    }

    /// Writes a record a piece at a time, lower addresses first, and calls `look` after each but the last.
    fn in_pieces(to: &DmaBuffer, at: usize, record: &[u8], piece: usize, mut look: impl FnMut()) {
        for (n, bytes) in record.chunks(piece).enumerate() {
            to.memory().write(at + n * piece, bytes);
            if (n + 1) * piece < record.len() {
                look();
            }
        }
    }

    #[test]
    fn a_torn_completion_is_not_believed() {
        for piece in [1, 4, 8, 16, 32] {
            let mut rings = Rings::new(buffer(4), buffer(4), 4);
            let card = DmaBuffer::new(Arc::clone(rings.completions.memory()), 0);
            for count in 0..40 {
                rings.push(&Command::default());
                let (at, phase) = (rings.position(count), u8::from((count / 16) % 2 == 0));
                let (cookie, sequence) = (count, count + 1);
                let whole =
                    Completion { phase, cookie, sequence, data: [count; 12], ..Default::default() };
                in_pieces(&card, at, whole.as_bytes(), piece, || {
                    assert!(rings.pop().unwrap().is_none(), "{count} in pieces of {piece}");
                });
                assert_eq!(rings.pop().unwrap().unwrap(), whole);
            }
        }
    }

    #[test]
    fn a_torn_event_is_not_believed() {
        for piece in [1, 4, 8, 16, 32] {
            let mut ring = EventRing::new(buffer(4), 4);
            let card = DmaBuffer::new(Arc::clone(ring.events.memory()), 0);
            for count in 0..40u32 {
                let phase = u8::from((count / 16) % 2 == 0);
                let whole = Event { phase, sequence: count + 1, arg0: count, ..Default::default() };
                let at = (count % 16) as usize * RECORD_BYTES;
                in_pieces(&card, at, whole.as_bytes(), piece, || {
                    assert!(ring.pop().unwrap().is_none(), "{count} in pieces of {piece}");
                });
                assert_eq!(ring.pop().unwrap().unwrap(), CardEvent::Other(whole));
            }
        }
    }

    #[test]
    fn foreign_completion_is_refused() {
        let mut rings = Rings::new(buffer(4), buffer(4), 4);
        rings.push(&Command::default());
        complete(&rings, 0, 1);
        let wrong = Completion { phase: 1, cookie: 9, sequence: 1, ..Completion::default() };
        rings.completions.memory().write(0, wrong.as_bytes());
        assert!(matches!(rings.pop(), Err(DeviceError::Protocol { .. })));
    }

    #[test]
    fn full_ring_has_no_room() {
        let mut rings = Rings::new(buffer(4), buffer(4), 4);
        for _ in 0..16 {
            rings.push(&Command::default());
        }
        assert_eq!(rings.free(), 0);
    }
}
