//! The firmware's side: memory map of the soft core, its registers, and the words it shows the host.
//!
//! The soft core (RV32IMC) runs from a tightly coupled RAM at [`RAM_BASE`] and reaches its registers at [`MMIO_BASE`].

use volatile_register::{RO, RW, WO};

/// Base of the instruction and data RAM.
pub const RAM_BASE: u32 = 0x0000_0000;
/// Bytes of the RAM.
pub const RAM_BYTES: u32 = 0x1_0000;
/// Base of the register block [`Registers`].
pub const MMIO_BASE: u32 = 0x8000_0000;
/// Base of the receive window: [`FRAME_BYTES`] of the frame at the head of the trap queue.
pub const RX_BASE: u32 = 0x8000_1000;
/// Base of the transmit window.
pub const TX_BASE: u32 = 0x8000_2000;
/// Bytes of a trapped or sent frame at most; a longer trapped frame is cut.
pub const FRAME_BYTES: u32 = 256;
/// Frames the trap queue holds.
pub const RX_QUEUE_FRAMES: u32 = 16;
/// Timer ticks: core cycles per unit of `time`, as a power of two.
pub const TIME_SHIFT: u32 = 4;

/// Version of the interface between host and firmware, shown in `FW_VERSION`: major in 31..16 (incompatible change), minor in
/// 15..0 (addition). The host refuses another major number; a firmware that has not started shows 0, which it does not refuse.
pub const VERSION: u32 = 0x0000_0001;

/// `FW_STATUS`: not started.
pub const STATUS_RESET: u32 = 0;
/// `FW_STATUS`: self-test runs.
pub const STATUS_SELF_TEST: u32 = 0x6000_0001;
/// `FW_STATUS`: running.
pub const STATUS_READY: u32 = 0x6000_0002;
/// `FW_STATUS`: self-test failed, `FW_INFO` = address.
pub const STATUS_SELF_TEST_FAILED: u32 = 0xd000_0001;
/// `FW_STATUS`: panicked; low 16 bits = line, `FW_INFO` = hash of the file name ([`file_hash`]).
pub const STATUS_PANIC: u32 = 0xd0a0_0000;
/// `FW_STATUS`: trapped; low bits = mcause, `FW_INFO` = mepc.
pub const STATUS_TRAP: u32 = 0xde00_0000;

/// Mailbox request: reply is the bit-wise complement of the argument.
pub const MBOX_PING: u32 = 1;
/// Mailbox request: reply is the statistic numbered by the argument (`STAT_*`).
pub const MBOX_STAT: u32 = 2;
/// Mailbox request: panic on purpose if the argument is [`MBOX_PANIC_KEY`] (to test what the host sees).
pub const MBOX_PANIC: u32 = 3;
/// Argument of [`MBOX_PANIC`].
pub const MBOX_PANIC_KEY: u32 = 0x0bad_c0de;
/// Reply to a request that is not known.
pub const MBOX_UNKNOWN: u32 = 0xffff_ffff;
/// Statistic: ARP requests answered.
pub const STAT_ARP_REPLIES: u32 = 0;
/// Statistic: trapped frames that were dropped.
pub const STAT_RX_DROPPED: u32 = 1;
/// Statistic: high-water mark of the stack in bytes.
pub const STAT_STACK_BYTES: u32 = 2;

/// 32-bit FNV-1a of a source file's name, as shown in `FW_INFO` after a panic.
#[must_use]
pub const fn file_hash(name: &str) -> u32 {
    let bytes = name.as_bytes();
    let mut hash = 0x811c_9dc5_u32;
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u32).wrapping_mul(0x0100_0193);
        i += 1;
    }
    hash
}

/// Register block at [`MMIO_BASE`].
#[repr(C)]
pub struct Registers {
    /// 0x00: `FW_STATUS` as the host sees it.
    pub status: RW<u32>,
    /// 0x04: `FW_INFO`.
    pub info: RW<u32>,
    /// 0x08: `FW_VERSION`.
    pub version: RW<u32>,
    /// 0x0c: `FW_HEARTBEAT`.
    pub heartbeat: RW<u32>,
    /// 0x10: 1 while a mailbox request waits.
    pub mbox_pending: RO<u32>,
    /// 0x14: request code.
    pub mbox_request: RO<u32>,
    /// 0x18: argument.
    pub mbox_arg: RO<u32>,
    /// 0x1c: reply; writing it completes the request.
    pub mbox_reply: WO<u32>,
    /// 0x20: card time >> [`TIME_SHIFT`], low word; reading it latches the high word.
    pub time_lo: RO<u32>,
    /// 0x24: card time >> `TIME_SHIFT`, high word as latched.
    pub time_hi: RO<u32>,
    /// 0x28: timer compare, low word. The timer interrupt is pending while time >= compare.
    pub timecmp_lo: RW<u32>,
    /// 0x2c: timer compare, high word.
    pub timecmp_hi: RW<u32>,
    /// 0x30: frames waiting in the trap queue; the external interrupt is pending while not 0 or while a mailbox request waits.
    pub rx_frames: RO<u32>,
    /// 0x34: head frame: bytes in 15..0 (before cutting), vif in 23..16, `reason::TrapReason` in 31..24.
    pub rx_meta: RO<u32>,
    /// 0x38: any write drops the head frame.
    pub rx_pop: WO<u32>,
    /// 0x3c: 1 while the transmit window is free.
    pub tx_free: RO<u32>,
    /// 0x40: bytes in 15..0, vif in 23..16; writing it sends the transmit window's frame to that vif (0 = fabric).
    pub tx_send: WO<u32>,
}
