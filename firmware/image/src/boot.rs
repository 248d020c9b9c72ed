//! The boot stub: what starts after each reset of the core, from the part of the RAM that no store changes.
//!
//! It chooses an image (`penstock_abi::image`), copies it to where it runs, checks the CRC of the copy, and jumps there. A copy
//! that is not whole is not run: an update's gives way to the golden image, and without that one the core sleeps until the watchdog
//! has it try again. It has neither static data nor a heap; its stack is where the image will have its own.
#![no_std]
#![no_main]

mod trap;

use core::arch::{asm, global_asm};
use core::panic::PanicInfo;
use core::ptr;

use penstock_abi::fw::{
    Boot, IMAGE_CODE_BASE, IMAGE_GOLDEN_BASE, IMAGE_HEADER_BYTES, IMAGE_SLOT_BASE, MMIO_BASE,
    Registers, STATUS_NO_IMAGE, TraceEvent,
};
use penstock_abi::image::{self, CRC, HEADER_WORDS};

global_asm!(
    ".section .reset, \"ax\"",
    ".global _reset",
    "_reset:",
    "csrw mie, zero",
    "la sp, _stack_top",
    "tail boot",
);

#[unsafe(no_mangle)]
extern "C" fn boot() -> ! {
    // SAFETY: the register block lies there, is aligned, and all its fields are volatile cells. Nothing else runs.
    let registers = unsafe { &*(MMIO_BASE as *const Registers) };
    let cause = registers.boot_cause.read();
    let mut boot = image::choose(registers.boot.read(), cause >> 8 & 0xff);
    let mut found = Err(0);
    if boot == Boot::Update {
        found = load(IMAGE_SLOT_BASE);
        if let Err(crc) = found {
            boot = Boot::Torn;
            trace(registers, TraceEvent::FallBack, boot as u32, crc);
        }
    }
    if boot == Boot::Died && registers.boot.read() != Boot::Died as u32 {
        trace(registers, TraceEvent::FallBack, boot as u32, 0);
    }
    // SAFETY: the register takes any value.
    unsafe { registers.boot.write(boot as u32) };
    if boot != Boot::Update {
        found = load(IMAGE_GOLDEN_BASE);
    }
    match found {
        Ok(crc) => {
            trace(registers, TraceEvent::Boot, cause & 0xff | (boot as u32) << 8, crc);
            // SAFETY: what stands there is an image, which is made to be started so.
            unsafe { asm!("fence.i", "jr {}", in(reg) IMAGE_CODE_BASE, options(noreturn)) }
        }
        Err(crc) => {
            // SAFETY: the registers take any value.
            unsafe {
                registers.info.write(crc);
                registers.status.write(STATUS_NO_IMAGE);
            }
            halt()
        }
    }
}

/// Copies the image that is stored at `base` to where it runs. Returns its CRC, or the one found if that is another.
fn load(base: u32) -> Result<u32, u32> {
    // SAFETY: an image's place is in the RAM, as is its copy's, apart from it; neither holds any object.
    let peek = |at: u32| unsafe { ptr::read_volatile(at as *const u32) };
    let header: [u32; HEADER_WORDS] = core::array::from_fn(|i| peek(base + 4 * i as u32));
    let bytes = image::length(&header).ok_or(0_u32)?;
    let words = || (0..bytes).step_by(4);
    for at in words() {
        let word = peek(base + IMAGE_HEADER_BYTES + at);
        // SAFETY: as above.
        unsafe { ptr::write_volatile((IMAGE_CODE_BASE + at) as *mut u32, word) };
    }
    let crc = image::crc(&header, words().map(|at| peek(IMAGE_CODE_BASE + at)));
    if crc == header[CRC] { Ok(crc) } else { Err(crc) }
}

fn trace(registers: &Registers, event: TraceEvent, detail: u32, arg: u32) {
    // SAFETY: the registers take any value.
    unsafe {
        registers.trace_arg.write(arg);
        registers.trace_event.write(detail << 16 | event as u32);
    }
}

fn halt() -> ! {
    loop {
        // SAFETY: no interrupt is enabled.
        unsafe { asm!("wfi") };
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    halt()
}
