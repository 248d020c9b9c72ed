//! The soft core's image, from `firmware/image`, and its test on the soft core's RTL.
//!
//! The image is built by another compiler than all the rest: Debian's `rustc-web`, because its very source of `core` is
//! packaged too, and `core` for the soft core must be built from source. cargo and the linker are the toolchain's own.
//! See docs/decisions/62.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use penstock_abi::{fw, image};

use crate::elf;
use crate::shell::{cargo, output, run};
use crate::tools::{soft_core, sources, verilator};

const TARGET: &str = "riscv32imc-unknown-none-elf";
/// Debian's compiler, unless `$PENSTOCK_FW_RUSTC` names another one with its source beside it.
const COMPILER: &str = "/usr/bin/rustc";
/// Where the firmware panics on demand, and the words there.
const PANIC_FILE: &str = "firmware/core/src/mailbox.rs";
const PANIC_WORDS: &str = "panic!(\"asked to";
/// Runs of the bench: (core cycles a firmware cycle, whether a sleeping firmware's clock is stopped, seed).
const BENCH_RUNS: [(u32, u32, u32); 4] = [(2, 1, 1), (2, 0, 2), (3, 1, 3), (7, 1, 4)];

/// Where the image lies once it is built: one 32-bit word a line in hexadecimal, for `+firmware=FILE`.
/// Beside it lie the same words in binary (`bin`), and what an update takes (`img`).
pub(crate) fn image(root: &Path) -> PathBuf {
    root.join("target/firmware/penstock-fw.hex")
}

/// Builds the image and returns its path.
///
/// # Errors
/// A tool is missing or the source does not compile.
pub(crate) fn build(root: &Path) -> Result<PathBuf> {
    let own = output(Command::new("rustc").current_dir(root).args(["--print", "sysroot"]))?;
    let verbose = output(Command::new("rustc").current_dir(root).arg("-vV"))?;
    let host =
        verbose.lines().find_map(|l| l.strip_prefix("host: ")).context("rustc has a host")?;
    let linker = Path::new(own.trim()).join("lib/rustlib").join(host).join("bin/rust-lld");
    let compiler = std::env::var_os("PENSTOCK_FW_RUSTC").unwrap_or_else(|| COMPILER.into());

    let target_dir = root.join("target/firmware");
    let mut command = cargo(&root.join("firmware/image"), &["build", "--release", "--locked"]);
    command
        .args(["--quiet", "-Zbuild-std=core", "--target", TARGET, "--target-dir"])
        .arg(&target_dir)
        .env("RUSTC", compiler)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_RISCV32IMC_UNKNOWN_NONE_ELF_LINKER", linker)
        // File names in the image are relative to the workspace: the hash that a panic shows is the same everywhere.
        // And with tables to unwind by, functions that never return keep their return address: a panic finds its caller.
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            format!("--remap-path-prefix={}=\x1f-Cforce-unwind-tables=yes", root.display()),
        )
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER");
    run(&mut command)
        .context("the firmware does not build (`cargo xtask setup` installs its compiler)")?;

    let linked = |name: &str| {
        let file = target_dir.join(TARGET).join("release").join(name);
        let words = fs::read(&file).map_err(Into::into).and_then(|file| elf::words(&file));
        words.with_context(|| format!("{}", file.display()))
    };
    let stored = stored(&linked("penstock-fw")?)?;
    let mut words = linked("penstock-fw-boot")?;
    let stub_bytes = 4 * words.len();
    if stub_bytes > fw::IMAGE_GOLDEN_BASE as usize {
        bail!("the boot stub of {stub_bytes} bytes reaches into the golden image");
    }
    words.resize(fw::IMAGE_GOLDEN_BASE as usize / 4, 0);
    words.extend(&stored);
    let update: Vec<u8> = stored.iter().flat_map(|word| word.to_le_bytes()).collect();
    let image = image(root);
    let hex: String = words.iter().map(|word| format!("{word:08x}\n")).collect();
    let bin: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    // Only if it changed, so that what depends on it is not built again.
    if fs::read(&image).ok().as_deref() != Some(hex.as_bytes()) {
        fs::write(&image, hex)?;
    }
    fs::write(image.with_extension("bin"), &bin)?;
    fs::write(image.with_extension("img"), &update)?;
    println!(
        "firmware: {} (boot stub {stub_bytes} bytes, image {} of {})",
        image.display(),
        update.len(),
        fw::IMAGE_BYTES_MAX
    );
    Ok(image)
}

/// An image as it is stored, from the memory that its ELF file fills.
fn stored(memory: &[u32]) -> Result<Vec<u32>> {
    let body = memory.get(fw::IMAGE_CODE_BASE as usize / 4..).context("the image has no code")?;
    let mut header = [fw::IMAGE_MAGIC, 0, 4 * body.len() as u32, fw::VERSION];
    image::length(&header)
        .with_context(|| format!("the image of {} bytes is too long", header[image::BYTES]))?;
    header[image::CRC] = image::crc(&header, body.iter().copied());
    Ok([&header[..], body].concat())
}

/// Builds the image and boots it on the soft core's RTL: `firmware/tb/ps_fw_tb.sv`.
///
/// # Errors
/// Something does not build, or the bench finds a difference.
pub(crate) fn test(root: &Path) -> Result<()> {
    let image = build(root)?;
    let bench = build_bench(root)?;
    let source = fs::read_to_string(root.join(PANIC_FILE)).context(PANIC_FILE)?;
    let line = source.lines().position(|l| l.contains(PANIC_WORDS)).context(PANIC_WORDS)? + 1;
    for (divider, gate, seed) in BENCH_RUNS {
        let mut command = Command::new(&bench);
        command
            .current_dir(root)
            .arg(format!("+firmware={}", image.display()))
            .arg(format!("+panic_status={:x}", fw::STATUS_PANIC | line as u32))
            .arg(format!("+panic_info={:x}", fw::file_hash(PANIC_FILE)))
            .arg(format!("+fw_div={divider}"))
            .arg(format!("+gate={gate}"))
            // What is sent word by word takes its time.
            .arg(format!("+updates={}", u32::from(seed == 1)))
            .args(["+verilator+rand+reset+2".into(), format!("+verilator+seed+{seed}")]);
        let done = command.output().context("cannot run the firmware's bench")?;
        let text = String::from_utf8_lossy(&done.stdout).into_owned()
            + &String::from_utf8_lossy(&done.stderr);
        let name = format!("bench ps_fw_tb (1 core cycle in {divider}, gated {gate})");
        if !done.status.success() || !text.lines().any(|l| l == "PASS") {
            bail!("{name} FAILED:\n{text}");
        }
        let figures = text.lines().filter(|l| l.contains(" cycles") || l.starts_with("stack"));
        println!("{name} ... ok\n  {}", figures.collect::<Vec<_>>().join("\n  "));
    }
    Ok(())
}

fn build_bench(root: &Path) -> Result<PathBuf> {
    let build = root.join("target/rtl-tb/ps_fw_tb");
    fs::create_dir_all(&build)?;
    let mut command = Command::new(verilator(root));
    command
        .current_dir(root)
        .args(["--binary", "--timing", "--assert", "-j", "2", "-Wno-lint", "-CFLAGS", "-O2"])
        .args(["-O3", "--x-assign", "unique", "--x-initial", "unique"])
        .args(["--top-module", "ps_fw_tb", "--Mdir"])
        .arg(&build);
    soft_core(root, &mut command);
    let wanted = |path: &PathBuf| {
        let text = path.to_string_lossy();
        text.contains("/fw/") || text.contains("/prim/ps_ram") || text.ends_with("_pkg.sv")
    };
    command.args(sources(root)?.into_iter().filter(wanted));
    command.arg(root.join("firmware/tb/ps_fw_tb.sv"));
    output(&mut command).context("the firmware's bench does not build")?;
    Ok(build.join("Vps_fw_tb"))
}
