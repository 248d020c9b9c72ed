//! `penstock_fw_core::Hw` over the soft core's registers and windows (`penstock_abi::fw`).

use core::ptr;

use penstock_abi::fw::{
    Boot, FRAME_BYTES, IMAGE_BYTES_MAX, IMAGE_CODE_BASE, IMAGE_GOLDEN_BASE, IMAGE_SLOT_BASE,
    MMIO_BASE, RX_BASE, Registers, TX_BASE, TraceEvent,
};
use penstock_fw_core::{Hw, PAINT, Region, RxMeta};

/// Stack below the current stack pointer that the self-test leaves alone: what its own calls may need.
const SELF_TEST_MARGIN_BYTES: u32 = 512;
/// Stack that `paint_margin` leaves for itself, in case that it is not inlined; it counts as used.
const PAINT_OWN_BYTES: u32 = 32;
/// Painted bytes in a row that mean that the stack never came here; more than any frame leaves unwritten.
const STACK_GAP_BYTES: u32 = 1024;

unsafe extern "C" {
    /// End of the static data, from the linker script.
    static __sheap: u32;
    /// Top of the stack, from the linker script.
    static _stack_start: u32;
    /// End of the code, from the linker script.
    static __etext: u32;
}

/// The registers.
pub(crate) struct Mmio {
    registers: &'static Registers,
}

impl Mmio {
    /// Takes hold of the registers.
    ///
    /// # Safety
    /// At most one instance may be in use.
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: the register block lies there, is aligned, and all its fields are volatile cells.
        let registers = unsafe { &*(MMIO_BASE as *const Registers) };
        Self { registers }
    }

    /// Says where the firmware ends itself.
    pub(crate) fn set_pc(&mut self, pc: u32) {
        // SAFETY: the register is the card's own, and takes any value.
        unsafe { self.registers.pc.write(pc) }
    }
}

/// The return address nearest to the top of the stack, as a panic finds it: where it was called from. 0 if there is none.
pub(crate) fn caller() -> u32 {
    let end = ptr::addr_of!(__etext) as u32;
    let is_call = |at: u32| {
        let half = |at: u32| {
            let word = peek(at & !3);
            if at & 2 == 0 { word & 0xffff } else { word >> 16 }
        };
        let (near, far) = (half(at - 2), half(at - 4));
        // c.jal, c.jalr; jal ra, jalr ra.
        near & 0xe003 == 0x2001
            || (near & 0xf07f == 0x9002 && near != 0x9002)
            || matches!(far & 0xfff, 0x0ef | 0x0e7)
    };
    let mut address = stack_pointer();
    while address < stack_top() {
        let word = peek(address);
        if word & 1 == 0 && (IMAGE_CODE_BASE + 4..end).contains(&word) && is_call(word) {
            return word;
        }
        address += 4;
    }
    0
}

/// First address after the static data.
fn unused_start() -> u32 {
    ptr::addr_of!(__sheap) as u32
}

/// Address one past the stack.
fn stack_top() -> u32 {
    ptr::addr_of!(_stack_start) as u32
}

fn stack_pointer() -> u32 {
    let sp: u32;
    // SAFETY: only reads a register.
    unsafe { core::arch::asm!("mv {}, sp", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    sp
}

/// Fills what the self-test will leave alone, so that [`Hw::stack_bytes`] sees what of it gets used. Call it from `main`
/// before anything else.
#[inline(always)]
pub(crate) fn paint_margin() {
    let end = stack_pointer() - PAINT_OWN_BYTES;
    let mut address = end - SELF_TEST_MARGIN_BYTES;
    while address < end {
        poke(address, PAINT);
        address += 4;
    }
}

fn peek(address: u32) -> u32 {
    // SAFETY: callers pass aligned addresses of the RAM or of a window, which may be read at any time.
    unsafe { ptr::read_volatile(address as *const u32) }
}

fn poke(address: u32, word: u32) {
    // SAFETY: callers pass aligned addresses of a window, of the update slot, or of RAM between static data and stack, which no object uses.
    unsafe { ptr::write_volatile(address as *mut u32, word) }
}

// One SAFETY reasoning for all writes below: the registers are the card's own, and each value written is one
// that penstock_abi::fw allows; none of them reaches memory.
impl Hw for Mmio {
    fn set_status(&mut self, status: u32) {
        // SAFETY: see above.
        unsafe { self.registers.status.write(status) }
    }

    fn set_info(&mut self, info: u32) {
        // SAFETY: see above.
        unsafe { self.registers.info.write(info) }
    }

    fn set_version(&mut self, version: u32) {
        // SAFETY: see above.
        unsafe { self.registers.version.write(version) }
    }

    fn set_heartbeat(&mut self, count: u32) {
        // SAFETY: see above.
        unsafe { self.registers.heartbeat.write(count) }
    }

    fn mailbox_request(&mut self) -> Option<(u32, u32)> {
        if self.registers.mbox_pending.read() == 0 {
            return None;
        }
        // The code first: reading it marks which request the reply is for.
        let code = self.registers.mbox_request.read();
        Some((code, self.registers.mbox_arg.read()))
    }

    fn mailbox_reply(&mut self, reply: u32) {
        // SAFETY: see above.
        unsafe { self.registers.mbox_reply.write(reply) }
    }

    fn time(&mut self) -> u64 {
        let low = self.registers.time_lo.read();
        u64::from(self.registers.time_hi.read()) << 32 | u64::from(low)
    }

    fn set_alarm(&mut self, time: u64) {
        // SAFETY: see above. The low word is set out of the way first, so that no mixture of old and new expires.
        unsafe {
            self.registers.timecmp_lo.write(u32::MAX);
            self.registers.timecmp_hi.write((time >> 32) as u32);
            self.registers.timecmp_lo.write(time as u32);
        }
    }

    fn rx_frames(&mut self) -> u32 {
        self.registers.rx_frames.read()
    }

    fn rx_meta(&mut self) -> RxMeta {
        let word = self.registers.rx_meta.read();
        RxMeta { reason: (word >> 24) as u8, vif: (word >> 16) as u8, bytes: word as u16 }
    }

    fn rx_word(&mut self, index: usize) -> u32 {
        peek(RX_BASE + 4 * (index as u32 % (FRAME_BYTES / 4)))
    }

    fn rx_pop(&mut self) {
        // SAFETY: see above.
        unsafe { self.registers.rx_pop.write(1) }
    }

    fn tx_free(&mut self) -> bool {
        self.registers.tx_free.read() != 0
    }

    fn tx_word(&mut self, index: usize, word: u32) {
        poke(TX_BASE + 4 * (index as u32 % (FRAME_BYTES / 4)), word);
    }

    fn tx_send(&mut self, bytes: usize, vif: u8) {
        // SAFETY: see above.
        unsafe { self.registers.tx_send.write(u32::from(vif) << 16 | (bytes as u32 & 0xffff)) }
    }

    fn region(&mut self, region: Region) -> (u32, usize) {
        let words = |bytes: u32| bytes as usize / 4;
        match region {
            Region::Ram => {
                let start = unused_start();
                let end = (stack_pointer() - SELF_TEST_MARGIN_BYTES) & !3;
                (start, words(end - start))
            }
            Region::Receive => (RX_BASE, words(FRAME_BYTES)),
            Region::Transmit => (TX_BASE, words(FRAME_BYTES)),
        }
    }

    fn region_read(&mut self, address: u32) -> u32 {
        peek(address)
    }

    fn region_write(&mut self, address: u32, word: u32) {
        poke(address, word);
    }

    fn feed(&mut self, well: bool) {
        // SAFETY: see above.
        unsafe { self.registers.watchdog.write(well.into()) }
    }

    fn restart(&mut self) {
        // SAFETY: see above.
        unsafe { self.registers.restart.write(1) }
    }

    fn boot(&mut self) -> u32 {
        self.registers.boot.read()
    }

    fn set_boot(&mut self, boot: Boot) {
        // SAFETY: see above.
        unsafe { self.registers.boot.write(boot as u32) }
    }

    fn trace(&mut self, event: TraceEvent, detail: u16, arg: u32) {
        // SAFETY: see above.
        unsafe {
            self.registers.trace_arg.write(arg);
            self.registers.trace_event.write(u32::from(detail) << 16 | event as u32);
        }
    }

    fn golden_word(&mut self, index: usize) -> u32 {
        peek(IMAGE_GOLDEN_BASE + 4 * (index as u32 % (IMAGE_BYTES_MAX / 4)))
    }

    fn slot_word(&mut self, index: usize) -> u32 {
        peek(IMAGE_SLOT_BASE + 4 * (index as u32 % (IMAGE_BYTES_MAX / 4)))
    }

    fn set_slot_word(&mut self, index: usize, word: u32) {
        poke(IMAGE_SLOT_BASE + 4 * (index as u32 % (IMAGE_BYTES_MAX / 4)), word);
    }

    fn stack_bytes(&mut self) -> u32 {
        let (bottom, top) = (unused_start(), stack_top());
        let (mut address, mut deepest) = (top, top);
        while address > bottom && deepest - address < STACK_GAP_BYTES {
            address -= 4;
            if peek(address) != PAINT {
                deepest = address;
            }
        }
        top - deepest
    }
}
