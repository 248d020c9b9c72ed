//! Answers to the host's mailbox requests (`penstock_abi::fw::MBOX_*`).

use crate::{Hw, Stats};
use penstock_abi::fw;

/// The reply to a request of code and argument.
///
/// # Panics
/// If the host asks for it with [`fw::MBOX_PANIC`] and its key.
pub(crate) fn answer<H: Hw>(stats: &Stats, (code, arg): (u32, u32), hw: &mut H) -> u32 {
    match code {
        fw::MBOX_PING => !arg,
        fw::MBOX_STAT => match arg {
            fw::STAT_ARP_REPLIES => stats.arp_replies,
            fw::STAT_RX_DROPPED => stats.rx_dropped,
            fw::STAT_STACK_BYTES => hw.stack_bytes(),
            _ => fw::MBOX_UNKNOWN,
        },
        fw::MBOX_PANIC if arg == fw::MBOX_PANIC_KEY => panic!("asked to by the host"),
        _ => fw::MBOX_UNKNOWN,
    }
}
