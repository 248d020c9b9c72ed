//! Hands the linker scripts to the linker: the image's memory map before that of riscv-rt, and the boot stub's own.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    println!("cargo:rustc-link-search={}", out.display());
    for script in ["memory.x", "boot.x"] {
        fs::copy(script, out.join(script))?;
        println!("cargo:rerun-if-changed={script}");
    }
    println!("cargo:rustc-link-arg-bin=penstock-fw=-Tmemory.x");
    println!("cargo:rustc-link-arg-bin=penstock-fw=-Tlink.x");
    println!("cargo:rustc-link-arg-bin=penstock-fw-boot=-Tboot.x");
    println!("cargo:rerun-if-changed=build.rs");
    Ok(())
}
