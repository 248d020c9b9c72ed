//! What the card's firmware does, apart from the registers it does it through.
//!
//! [`Firmware`] is a state machine over [`Hw`]: `boot` tests the memories, shows ident and version and declares the
//! firmware ready; `poll` feeds the watchdog, which nothing else does, does what is due (mailbox, trapped frames, heartbeat) and says
//! whether to sleep. Before any of it runs, the boot stub has chosen the
//! image (`penstock_abi::image`). The image
//! (`firmware/image`) implements `Hw` over memory-mapped registers; the tests of this crate implement it over vectors.
//!
//! Nothing here waits, loops without a bound, allocates or takes an interrupt: interrupts only end `wfi`, the work is
//! found by polling, so there is no state shared with a handler and no critical section.
#![cfg_attr(not(test), no_std)]

pub mod arp;
pub mod checksum;
pub mod frame;
mod hw;
mod mailbox;
pub mod reject;
mod selftest;
mod update;

#[cfg(test)]
mod fake;

pub use hw::{Hw, Region, RxMeta};
pub use selftest::PAINT;

use frame::{Frame, WORDS};
use mailbox::Mailbox;
pub use penstock_abi::fw::VERSION;
use penstock_abi::fw::{
    FRAME_BYTES, STATUS_READY, STATUS_SELF_TEST, STATUS_SELF_TEST_FAILED, TIME_SHIFT, TraceEvent,
};
use penstock_abi::limits::{CORE_CLOCK_KHZ, VIF_FABRIC, VIF_FIRST_POD};
use penstock_abi::reason::TrapReason;
use zerocopy::IntoBytes as _;

/// Ticks of [`Hw::time`] between two heartbeats: a tenth of a second at the nominal clock.
pub const HEARTBEAT_TICKS: u64 = (CORE_CLOCK_KHZ as u64 * 100) >> TIME_SHIFT;

/// Heartbeats after which a firmware is well: what it died of before is over. About a minute.
pub const WELL_HEARTBEATS: u32 = 600;

/// The memory self-test failed at this address; the firmware must not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelfTestFailed {
    /// Address of the first word that did not hold what was written.
    pub address: u32,
}

/// What to do after [`Firmware::poll`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// More work may be waiting.
    Poll,
    /// Nothing to do until an interrupt is pending.
    Sleep,
}

/// Counters since boot, which the mailbox shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// ARP requests answered.
    pub arp_replies: u64,
    /// Rejected packets answered (TCP RST or ICMP port unreachable).
    pub reject_replies: u64,
    /// Trapped frames that got no answer.
    pub rx_dropped: u64,
}

/// The running firmware.
#[derive(Debug)]
pub struct Firmware {
    stats: Stats,
    heartbeat: u32,
    next_heartbeat: u64,
    mailbox: Mailbox,
}

impl Firmware {
    /// Tests the memories, then shows version and first heartbeat and declares the firmware ready.
    ///
    /// # Errors
    /// A memory that does not hold what is written to it; status and info already say so.
    pub fn boot<H: Hw>(hw: &mut H) -> Result<Self, SelfTestFailed> {
        hw.set_version(VERSION);
        hw.set_status(STATUS_SELF_TEST);
        for region in [Region::Ram, Region::Receive, Region::Transmit] {
            if let Err(failed) = selftest::march(hw, region) {
                hw.trace(TraceEvent::SelfTestFailed, 0, failed.address);
                hw.set_info(failed.address);
                hw.set_status(STATUS_SELF_TEST_FAILED);
                return Err(failed);
            }
        }
        let mut firmware = Self {
            stats: Stats::default(),
            heartbeat: 0,
            next_heartbeat: hw.time(),
            mailbox: Mailbox::default(),
        };
        firmware.beat(hw);
        hw.trace(TraceEvent::Ready, 0, VERSION);
        hw.set_info(0);
        hw.set_status(STATUS_READY);
        Ok(firmware)
    }

    /// Counters since boot.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Does what is due: one heartbeat, one mailbox request and one trapped frame at most.
    pub fn poll<H: Hw>(&mut self, hw: &mut H) -> Next {
        hw.feed(false);
        self.beat(hw);
        let mut next = Next::Sleep;
        if let Some(request) = hw.mailbox_request() {
            let reply = self.mailbox.answer(&self.stats, request, hw);
            hw.mailbox_reply(reply);
            next = Next::Poll;
        } else if self.mailbox.restart_wanted() {
            // Not before: the reply has left by now.
            hw.restart();
        }
        if hw.rx_frames() != 0 {
            // A frame whose answer cannot be sent yet stays at the head; its interrupt keeps us awake.
            next = Next::Poll;
            if hw.tx_free() {
                self.trapped(hw);
            }
        }
        next
    }

    fn beat<H: Hw>(&mut self, hw: &mut H) {
        let now = hw.time();
        if now >= self.next_heartbeat {
            self.heartbeat = self.heartbeat.wrapping_add(1);
            hw.set_heartbeat(self.heartbeat);
            // Missed beats are not made up for: card time may jump while nothing happens.
            self.next_heartbeat = now + HEARTBEAT_TICKS;
            hw.set_alarm(self.next_heartbeat);
            if self.heartbeat == WELL_HEARTBEATS {
                hw.trace(TraceEvent::Well, 0, self.heartbeat);
                hw.feed(true);
            }
        }
    }

    fn trapped<H: Hw>(&mut self, hw: &mut H) {
        let meta = hw.rx_meta();
        let bytes = usize::from(meta.bytes).min(FRAME_BYTES as usize);
        let mut words = heapless::Vec::<u32, WORDS>::new();
        words.extend((0..bytes.div_ceil(4)).map(|i| hw.rx_word(i).to_le()));
        hw.rx_pop();
        let detail = u16::from(meta.reason) << 8 | u16::from(meta.vif);
        hw.trace(TraceEvent::Frame, detail, meta.bytes.into());
        let (frame, _) = words.as_bytes().split_at(bytes);
        let mut answer = Frame::new();
        let (answered, counter) = match meta.reason {
            // What came by a tunnel has no neighbour here to be answered.
            _ if meta.vif == VIF_FABRIC => (None, &mut self.stats.rx_dropped),
            reason if reason == TrapReason::Arp as u8 && meta.vif >= VIF_FIRST_POD => {
                (arp::reply(frame, &mut answer), &mut self.stats.arp_replies)
            }
            reason if reason == TrapReason::Reject as u8 => {
                (reject::reply(frame, &mut answer), &mut self.stats.reject_replies)
            }
            _ => (None, &mut self.stats.rx_dropped),
        };
        if answered.is_some() {
            *counter += 1;
            send(hw, &answer, meta.vif);
        } else {
            hw.trace(TraceEvent::Dropped, detail, meta.bytes.into());
            self.stats.rx_dropped += 1;
        }
    }
}

/// Sends a frame; the transmit window must be free.
fn send<H: Hw>(hw: &mut H, frame: &Frame, vif: u8) {
    let (words, rest) = frame.as_chunks();
    for (i, word) in words.iter().enumerate() {
        hw.tx_word(i, u32::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        let mut word = [0; 4];
        word[..rest.len()].copy_from_slice(rest);
        hw.tx_word(words.len(), u32::from_le_bytes(word));
    }
    hw.tx_send(frame.len(), vif);
}

#[cfg(test)]
mod tests;
