//! The image that runs on the card's soft core: start-up, the registers behind `penstock_fw_core::Hw`, and what
//! happens when it dies. What it does is in `penstock_fw_core`.
//!
//! Interrupts are enabled one by one (`mie`) but never as a whole (`mstatus.MIE` stays 0): a pending one ends `wfi`, and the
//! loop finds the work. So every trap is an exception, which is fatal and told to the host.
//!
//! A dead firmware sleeps with all interrupts off until the watchdog restarts it; the data path does not need it.
#![no_std]
#![no_main]

mod mmio;
mod trap;

use core::panic::PanicInfo;

use penstock_abi::fw::{STATUS_PANIC, TraceEvent, file_hash};
use penstock_fw_core::{Firmware, Hw as _, Next};
use riscv_rt::entry;

use mmio::Mmio;

#[entry]
fn main() -> ! {
    mmio::paint_margin();
    // SAFETY: the one instance; panic and trap handler, which also write registers, never return to this one.
    let mut hw = unsafe { Mmio::new() };
    let Ok(mut firmware) = Firmware::boot(&mut hw) else { halt() };
    // SAFETY: mstatus.MIE is 0 from reset on, so that these only end `wfi`.
    unsafe {
        riscv::register::mie::set_mtimer();
        riscv::register::mie::set_mext();
    }
    loop {
        if firmware.poll(&mut hw) == Next::Sleep {
            riscv::asm::wfi();
        }
    }
}

/// Shows line, file and where it was called from, then sleeps.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // SAFETY: the main loop, which owns the other instance, does not run any more.
    let mut hw = unsafe { Mmio::new() };
    let (file, line) = info.location().map_or(("", 0), |at| (at.file(), at.line()));
    hw.set_pc(mmio::caller());
    hw.trace(TraceEvent::Panic, line as u16, file_hash(file));
    hw.set_info(file_hash(file));
    hw.set_status(STATUS_PANIC | (line & 0xffff));
    halt()
}

/// Sleeps until the watchdog bites.
fn halt() -> ! {
    // SAFETY: nothing needs an interrupt any more; with none enabled `wfi` does not end.
    unsafe { riscv::register::mie::write(riscv::register::mie::Mie::from_bits(0)) };
    loop {
        riscv::asm::wfi();
    }
}
