//! What the firmware needs of the hardware.

use penstock_abi::fw::{Boot, TraceEvent};

/// Metadata of the frame at the head of the trap queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RxMeta {
    /// `reason::TrapReason` as a number.
    pub reason: u8,
    /// vif it came by.
    pub vif: u8,
    /// Bytes of the frame; only the first `fw::FRAME_BYTES` are in the window.
    pub bytes: u16,
}

/// A memory that the self-test covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// RAM that is not yet in use: between the static data and the stack.
    Ram,
    /// Receive window.
    Receive,
    /// Transmit window.
    Transmit,
}

/// Registers and memories, as `penstock_abi::fw` describes them.
pub trait Hw {
    /// Sets `FW_STATUS`.
    fn set_status(&mut self, status: u32);
    /// Sets `FW_INFO`.
    fn set_info(&mut self, info: u32);
    /// Sets `FW_VERSION`.
    fn set_version(&mut self, version: u32);
    /// Sets `FW_HEARTBEAT`.
    fn set_heartbeat(&mut self, count: u32);

    /// The mailbox request that waits, as (code, argument).
    fn mailbox_request(&mut self) -> Option<(u32, u32)>;
    /// Completes the mailbox request.
    fn mailbox_reply(&mut self, reply: u32);

    /// Card time in ticks of `1 << fw::TIME_SHIFT` core cycles.
    fn time(&mut self) -> u64;
    /// The timer interrupt is pending from this time on.
    fn set_alarm(&mut self, time: u64);

    /// Frames in the trap queue.
    fn rx_frames(&mut self) -> u32;
    /// Metadata of the head frame.
    fn rx_meta(&mut self) -> RxMeta;
    /// Word of the head frame, its first byte in bits 7..0.
    fn rx_word(&mut self, index: usize) -> u32;
    /// Drops the head frame.
    fn rx_pop(&mut self);

    /// The transmit window may be written.
    fn tx_free(&mut self) -> bool;
    /// Writes a word of the transmit window.
    fn tx_word(&mut self, index: usize, word: u32);
    /// Sends the first `bytes` of the transmit window to a vif.
    fn tx_send(&mut self, bytes: usize, vif: u8);

    /// Address and words of a region under test.
    fn region(&mut self, region: Region) -> (u32, usize);
    /// Reads a word at `address`, which lies in a region that [`Hw::region`] gave.
    fn region_read(&mut self, address: u32) -> u32;
    /// Writes a word at `address`, which lies in a region that [`Hw::region`] gave.
    fn region_write(&mut self, address: u32, word: u32);

    /// Feeds the watchdog; if `well`, deaths before this count no more.
    fn feed(&mut self, well: bool);
    /// Restarts the core, which may take some cycles yet.
    fn restart(&mut self);
    /// Which image runs, and why: `fw::Boot` as a number.
    fn boot(&mut self) -> u32;
    /// Sets what the boot stub starts next.
    fn set_boot(&mut self, boot: Boot);
    /// Adds an entry to the trace.
    fn trace(&mut self, event: TraceEvent, detail: u16, arg: u32);
    /// Word of the golden image, as it is stored.
    fn golden_word(&mut self, index: usize) -> u32;
    /// Word of the update slot.
    fn slot_word(&mut self, index: usize) -> u32;
    /// Writes a word of the update slot.
    fn set_slot_word(&mut self, index: usize, word: u32);

    /// Most bytes of stack that were ever in use.
    fn stack_bytes(&mut self) -> u32;
}
