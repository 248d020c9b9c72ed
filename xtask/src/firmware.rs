//! `cargo xtask build-firmware`: the soft core's image, from `firmware/image`.
//!
//! The image is built by another compiler than all the rest: Debian's `rustc-web`, because its very source of `core` is
//! packaged too, and `core` for the soft core must be built from source. cargo and the linker are the toolchain's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::shell::{cargo, output, run};

const TARGET: &str = "riscv32imc-unknown-none-elf";

/// Where the image lies once it is built.
pub(crate) fn image(root: &Path) -> PathBuf {
    root.join("target/firmware/penstock-fw.bin")
}

/// Builds the image and returns its path.
///
/// # Errors
/// A tool is missing or the source does not compile.
pub(crate) fn build(root: &Path) -> Result<PathBuf> {
    let own = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let sysroot = output(Command::new(&own).args(["--print", "sysroot"]))?;
    let libraries = Path::new(sysroot.trim()).join("lib/rustlib/x86_64-unknown-linux-gnu/bin");
    let target_dir = root.join("target/firmware");
    let mut command = cargo(&root.join("firmware/image"), &["build", "--release", "--locked"]);
    command
        .args(["--quiet", "-Zbuild-std=core", "--target", TARGET, "--target-dir"])
        .arg(&target_dir)
        .env("RUSTC", "/usr/bin/rustc")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_RISCV32IMC_UNKNOWN_NONE_ELF_LINKER", libraries.join("rust-lld"))
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER");
    run(&mut command)
        .context("the firmware does not build (`cargo xtask setup` installs its compiler)")?;
    let elf = target_dir.join(TARGET).join("release/penstock-fw");
    let image = image(root);
    let mut objcopy = Command::new("riscv64-unknown-elf-objcopy");
    run(objcopy.args(["-O", "binary"]).arg(&elf).arg(&image))?;
    let bytes = fs::metadata(&image).context("the image is not there")?.len();
    println!("firmware: {} ({bytes} bytes)", image.display());
    Ok(image)
}
