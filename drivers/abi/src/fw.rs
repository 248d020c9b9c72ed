//! The firmware's side: memory map of the soft core, its registers, and the words it shows the host.
//!
//! The soft core (RV32IMC) runs from a tightly coupled RAM at [`RAM_BASE`] and reaches its registers at [`MMIO_BASE`].

use volatile_register::{RO, RW, WO};

use crate::word::codes;

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

/// Bytes of the RAM, from its base on, that a store cannot change: boot stub and golden image.
pub const PROTECTED_BYTES: u32 = 0x5000;
/// The golden image as it is stored, behind the boot stub: [`IMAGE_HEADER_BYTES`] and what follows it.
pub const IMAGE_GOLDEN_BASE: u32 = 0x1000;
/// The update slot, for an image as it is stored.
pub const IMAGE_SLOT_BASE: u32 = 0x5000;
/// Where the boot stub copies the chosen image to, without its header, and starts it.
pub const IMAGE_CODE_BASE: u32 = 0x9000;
/// Bytes of an image as it is stored, at most.
pub const IMAGE_BYTES_MAX: u32 = 0x4000;
/// Bytes before the image itself: [`IMAGE_MAGIC`], CRC-32 of all that follows it, bytes of the image, its [`VERSION`].
pub const IMAGE_HEADER_BYTES: u32 = 16;
/// First word of an image as it is stored: "PSFW".
pub const IMAGE_MAGIC: u32 = 0x5746_5350;
/// An update that died so often in a row is not started again.
pub const IMAGE_DEATHS_MAX: u32 = 3;

/// The watchdog's unit of card time: core cycles, as a power of two.
pub const WATCHDOG_SHIFT: u32 = 20;
/// Units without being fed after which a firmware is dead, about a second; twice as many after each death in a row, up to
/// `1 << `[`WATCHDOG_BACKOFF_MAX`] times as many.
pub const WATCHDOG_UNITS: u32 = 307;
/// See [`WATCHDOG_UNITS`].
pub const WATCHDOG_BACKOFF_MAX: u32 = 6;
/// Cycles of the soft core's own that it has to feed the watchdog once that has run out, as a power of two: time that passes
/// at once bites nobody.
pub const WATCHDOG_GRACE_LOG2: u32 = 18;
/// Entries that the trace holds.
pub const TRACE_ENTRIES: u32 = 512;

/// Version of the interface between host and firmware, shown in `FW_VERSION`: major in 31..16 (incompatible change), minor in
/// 15..0 (addition). The host refuses another major number; a firmware that has not started shows 0, which it does not refuse.
pub const VERSION: u32 = 0x0000_0002;

/// `FW_STATUS`: not started.
pub const STATUS_RESET: u32 = 0;
/// `FW_STATUS`: self-test runs.
pub const STATUS_SELF_TEST: u32 = 0x6000_0001;
/// `FW_STATUS`: running.
pub const STATUS_READY: u32 = 0x6000_0002;
/// `FW_STATUS`: self-test failed, `FW_INFO` = address.
pub const STATUS_SELF_TEST_FAILED: u32 = 0xd000_0001;
/// `FW_STATUS`: no image is whole, not even the golden one; `FW_INFO` = its CRC-32 as found.
pub const STATUS_NO_IMAGE: u32 = 0xd000_0002;
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
/// Mailbox request: reply is the high word of the statistic that [`MBOX_STAT`] read last, as it was then.
pub const MBOX_STAT_HIGH: u32 = 4;
/// Mailbox request: an image of as many bytes as the argument says follows, as it is stored; forgets the one in the update slot.
/// Reply: `UPDATE_*`.
pub const MBOX_UPDATE_BEGIN: u32 = 5;
/// Mailbox request: the image's next word. Reply: words so far, or `UPDATE_NOT_BEGUN` or `UPDATE_LENGTH`.
pub const MBOX_UPDATE_WORD: u32 = 6;
/// Mailbox request: the image is whole, the argument is the CRC-32 of all its bytes. Reply: `UPDATE_*`.
pub const MBOX_UPDATE_END: u32 = 7;
/// Mailbox request: restart into the image in the update slot, if the argument is [`MBOX_UPDATE_KEY`]. Reply: `UPDATE_*`.
pub const MBOX_UPDATE_START: u32 = 8;
/// Argument of [`MBOX_UPDATE_START`]: "UPD!".
pub const MBOX_UPDATE_KEY: u32 = 0x5550_4421;
/// Mailbox request: reply is what the argument (`IMAGE_RUNNING_CRC` and so on) asks of the images; 0 for one that is not there.
pub const MBOX_IMAGE: u32 = 9;
/// Reply to a request that is not known.
pub const MBOX_UNKNOWN: u32 = 0xffff_ffff;
/// Reply to a request that was open when the firmware was restarted.
pub const MBOX_LOST: u32 = 0xffff_fffe;

/// Reply to an update's request: done.
pub const UPDATE_OK: u32 = 0;
/// Reply to an update's request: no image is under way.
pub const UPDATE_NOT_BEGUN: u32 = 0xffff_ff01;
/// Reply to an update's request: an image cannot be so long, or this one has more or fewer words than were announced.
pub const UPDATE_LENGTH: u32 = 0xffff_ff02;
/// Reply to an update's request: what is stored is not what was sent, or is no image.
pub const UPDATE_TORN: u32 = 0xffff_ff03;
/// Reply to an update's request: the image speaks another major version of the interface.
pub const UPDATE_VERSION: u32 = 0xffff_ff04;
/// Reply to an update's request: there is no whole image in the update slot.
pub const UPDATE_NONE: u32 = 0xffff_ff05;

/// Argument of [`MBOX_IMAGE`]: CRC-32 in the header of the image that runs.
pub const IMAGE_RUNNING_CRC: u32 = 0;
/// Argument of [`MBOX_IMAGE`]: bytes of the image that runs, as it is stored.
pub const IMAGE_RUNNING_BYTES: u32 = 1;
/// Argument of [`MBOX_IMAGE`]: CRC-32 in the header of the image in the update slot.
pub const IMAGE_SLOT_CRC: u32 = 2;
/// Argument of [`MBOX_IMAGE`]: bytes of the image in the update slot, as it is stored.
pub const IMAGE_SLOT_BYTES: u32 = 3;

/// Statistic: ARP requests answered.
pub const STAT_ARP_REPLIES: u32 = 0;
/// Statistic: trapped frames that were dropped.
pub const STAT_RX_DROPPED: u32 = 1;
/// Statistic: high-water mark of the stack in bytes.
pub const STAT_STACK_BYTES: u32 = 2;
/// Statistic: rejected packets answered.
pub const STAT_REJECT_REPLIES: u32 = 3;

codes! {
    /// Which image runs, and why: the register `FW_BOOT`.
    Boot {
        /// The golden image, as after power-on.
        Golden = 0, since 4;
        /// The image in the update slot.
        Update = 1, since 4;
        /// The golden image: the host asked for it.
        RolledBack = 2, since 4;
        /// The golden image: the one in the update slot was not whole.
        Torn = 3, since 4;
        /// The golden image: the one in the update slot died too often.
        Died = 4, since 4;
    }
}

codes! {
    /// Why the firmware started: the register `FW_BOOT_CAUSE`, in 7..0.
    BootCause {
        /// Power-on.
        PowerOn = 1, since 4;
        /// The watchdog found it dead.
        Watchdog = 2, since 4;
        /// It was asked for, by the host or by an update.
        Asked = 3, since 4;
    }
}

codes! {
    /// What an entry of the trace tells: bits 15..0 of `FW_TRACE_EVENT`. What its detail (31..16) and argument mean stands with each.
    TraceEvent {
        /// The boot stub starts an image; detail: [`BootCause`] in 7..0, [`Boot`] in 15..8; argument: the image's CRC-32.
        Boot = 1, since 4;
        /// The boot stub does not start the image in the update slot; detail: [`Boot`], why; argument: its CRC-32 as found.
        FallBack = 2, since 4;
        /// The self-test is passed, the firmware runs; argument: its version.
        Ready = 3, since 4;
        /// The self-test failed; argument: the word's address.
        SelfTestFailed = 4, since 4;
        /// It takes a trapped frame; detail: vif in 7..0, `reason::TrapReason` in 15..8; argument: bytes.
        Frame = 5, since 4;
        /// It has dropped the frame that it took; detail and argument as of that.
        Dropped = 6, since 4;
        /// It takes a mailbox request; detail: the request; argument: its argument. The words of an update are not told one by one.
        Mailbox = 7, since 4;
        /// It panicked; detail: line; argument: hash of the file's name.
        Panic = 8, since 4;
        /// A step of an update ended; detail: the request; argument: the reply.
        Update = 9, since 4;
        /// It has run for a minute: deaths before that count no more.
        Well = 10, since 4;
    }
}

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

/// What is known of the firmware's last death: the registers `FW_DEATHS` and those that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death {
    /// Deaths since power-on, modulo 2^32.
    pub deaths: u32,
    /// `FW_STATUS` at the end.
    pub status: u32,
    /// `FW_INFO` at the end.
    pub info: u32,
    /// Where it was.
    pub pc: u32,
    /// Card time of the restart, in core cycles.
    pub time_cycles: u64,
}

/// An entry of the firmware's trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceEntry {
    /// Number since power-on, modulo 2^32.
    pub number: u32,
    /// Card time in core cycles.
    pub time_cycles: u64,
    /// [`TraceEvent`] as a number.
    pub event: u16,
    /// A detail of it.
    pub detail: u16,
    /// Its argument.
    pub arg: u32,
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
    /// 0x44: any write feeds the watchdog; one of 1 says besides that earlier deaths count no more.
    pub watchdog: WO<u32>,
    /// 0x48: program counter of a firmware that ends itself, for `FW_DEATH_PC`.
    pub pc: WO<u32>,
    /// 0x4c: [`Boot`], as `FW_BOOT` shows it. It outlives a restart, and is 0 after power-on.
    pub boot: RW<u32>,
    /// 0x50: [`BootCause`] in 7..0, deaths in a row in 15..8.
    pub boot_cause: RO<u32>,
    /// 0x54: any write restarts the core.
    pub restart: WO<u32>,
    /// 0x58: argument of the next entry of the trace.
    pub trace_arg: WO<u32>,
    /// 0x5c: writing it adds an entry to the trace: [`TraceEvent`] in 15..0, detail in 31..16.
    pub trace_event: WO<u32>,
}
