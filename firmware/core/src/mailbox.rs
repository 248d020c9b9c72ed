//! Answers to the host's mailbox requests (`penstock_abi::fw::MBOX_*`).

use crate::update::Update;
use crate::{Hw, Stats};
use penstock_abi::fw::{self, Boot, TraceEvent};
use penstock_abi::image::{BYTES, CRC};

/// What the mailbox remembers between two requests.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    update: Update,
    /// High word of the statistic that was read last, of the same moment.
    high: u32,
}

impl Mailbox {
    /// The reply to a request of code and argument.
    ///
    /// # Panics
    /// If the host asks for it with [`fw::MBOX_PANIC`] and its key.
    pub(crate) fn answer<H: Hw>(
        &mut self,
        stats: &Stats,
        (code, arg): (u32, u32),
        hw: &mut H,
    ) -> u32 {
        if code != fw::MBOX_UPDATE_WORD {
            hw.trace(TraceEvent::Mailbox, code as u16, arg);
        }
        match code {
            fw::MBOX_PING => !arg,
            fw::MBOX_STAT => {
                let value = match arg {
                    fw::STAT_ARP_REPLIES => stats.arp_replies,
                    fw::STAT_RX_DROPPED => stats.rx_dropped,
                    fw::STAT_STACK_BYTES => hw.stack_bytes().into(),
                    fw::STAT_REJECT_REPLIES => stats.reject_replies,
                    _ => fw::MBOX_UNKNOWN.into(),
                };
                self.high = (value >> 32) as u32;
                value as u32
            }
            fw::MBOX_STAT_HIGH => self.high,
            fw::MBOX_PANIC if arg == fw::MBOX_PANIC_KEY => panic!("asked to by the host"),
            fw::MBOX_UPDATE_BEGIN..=fw::MBOX_UPDATE_START => {
                let reply = self.update.answer((code, arg), hw);
                if code != fw::MBOX_UPDATE_WORD {
                    hw.trace(TraceEvent::Update, code as u16, reply);
                }
                reply
            }
            fw::MBOX_IMAGE => image(arg, hw),
            _ => fw::MBOX_UNKNOWN,
        }
    }

    /// The host wants the image in the update slot started.
    pub(crate) fn restart_wanted(&self) -> bool {
        self.update.start_wanted()
    }
}

fn image<H: Hw>(what: u32, hw: &mut H) -> u32 {
    let in_slot = hw.boot() == Boot::Update as u32;
    let running = |hw: &mut H, i| if in_slot { hw.slot_word(i) } else { hw.golden_word(i) };
    let stored = |bytes: u32| if bytes == 0 { 0 } else { bytes + fw::IMAGE_HEADER_BYTES };
    let whole = hw.slot_word(0) == fw::IMAGE_MAGIC;
    match what {
        fw::IMAGE_RUNNING_CRC => running(hw, CRC),
        fw::IMAGE_RUNNING_BYTES => stored(running(hw, BYTES)),
        fw::IMAGE_SLOT_CRC if whole => hw.slot_word(CRC),
        fw::IMAGE_SLOT_BYTES if whole => stored(hw.slot_word(BYTES)),
        fw::IMAGE_SLOT_CRC | fw::IMAGE_SLOT_BYTES => 0,
        _ => fw::MBOX_UNKNOWN,
    }
}
