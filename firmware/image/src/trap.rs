//! What happens at an exception, from the first instruction after reset on; the boot stub and the image have one each.
//!
//! One routine for all, since interrupts are never taken. It uses neither stack nor memory, which may be what broke. 256-byte
//! aligned because the core rounds `mtvec` down to that; the run-time aligns its own routines to 4 only.

use core::arch::global_asm;

use penstock_abi::fw::{MMIO_BASE, Registers, STATUS_TRAP};

global_asm!(
    ".section .trap.start, \"ax\"",
    ".balign 256",
    ".global _pre_init_trap",
    ".global _start_trap",
    "_pre_init_trap:",
    "_start_trap:",
    "csrw mie, zero",
    "li t2, {mmio}",
    "csrr t0, mepc",
    "sw t0, {info}(t2)",
    "sw t0, {pc}(t2)",
    "csrr t0, mcause",
    "li t1, {trap}",
    "or t0, t0, t1",
    "sw t0, {status}(t2)",
    "1: wfi",
    "j 1b",
    mmio = const MMIO_BASE,
    info = const core::mem::offset_of!(Registers, info),
    pc = const core::mem::offset_of!(Registers, pc),
    status = const core::mem::offset_of!(Registers, status),
    trap = const STATUS_TRAP,
);
