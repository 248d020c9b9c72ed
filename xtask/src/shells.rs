//! The card in the shells that it is made for: elaboration and lint of `hdl/shells` against stubs that have the shells' published
//! ports, and a simulation of the whole card in each of them. What that shows, and what it does not, is in docs/shells.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::shell::output;
use crate::tools::{soft_core, sources, sources_below, verilator, wrappers};

/// Tops to elaborate, with parameters in their place: the defaults of each shell and the most that it can be built with.
const TOPS: [(&str, &[&str]); 6] = [
    ("stub_opennic_box_250mhz", &[]),
    ("stub_opennic_shell_250mhz", &["-GNUM_PHYS_FUNC=4", "-GNUM_CMAC_PORT=2"]),
    ("stub_opennic_box_322mhz", &[]),
    ("stub_opennic_shell_322mhz", &["-GNUM_CMAC_PORT=2"]),
    ("stub_mqnic_app_block", &[]),
    ("stub_mqnic_app_block", &["-GRAM_SEG_COUNT=4", "-GTX_TAG_WIDTH=6", "-GIRQ_INDEX_WIDTH=5"]),
];

/// Name of the bench that runs the card in every shell.
pub(crate) const SMOKE: &str = "ps_shells_smoke";

/// Verilator's lint, with all warnings as errors, over every shell with the whole card in it.
///
/// # Errors
/// A port does not fit, or there is something to warn of.
pub(crate) fn lint(root: &Path) -> Result<()> {
    for (top, parameters) in TOPS {
        let mut command = Command::new(verilator(root));
        command.current_dir(root).args(["--lint-only", "-Wall", "--top-module", top]);
        command.args(parameters);
        soft_core(root, &mut command);
        command.args(sources(root)?).args(wrappers(root)?);
        output(&mut command).with_context(|| format!("{top} {}", parameters.join(" ")))?;
    }
    Ok(())
}

/// Runs the whole card in each shell's stub, from the shell's published ports: `hdl/tb/shells/*_smoke.sv`. With an image the soft
/// cores' boot is waited for, which takes most of the time.
///
/// # Errors
/// The model does not build, or something that a shell connects does not arrive.
pub(crate) fn smoke(root: &Path, image: Option<&Path>) -> Result<()> {
    let build = root.join("target/rtl-tb").join(SMOKE);
    std::fs::create_dir_all(&build)?;
    let mut command = Command::new(verilator(root));
    command
        .current_dir(root)
        .args(["--binary", "--timing", "--assert", "-j", "2", "-Wno-fatal", "-Wno-lint"])
        // The card three times: compiled once, if it is not inlined.
        .args(["-O3", "-fno-inline", "-CFLAGS", "-O1"])
        .args(["--x-assign", "unique", "--x-initial", "unique", "--top-module", SMOKE, "-Mdir"])
        .arg(&build);
    soft_core(root, &mut command);
    command.args(sources(root)?).args(wrappers(root)?);
    let mut parts = Vec::new();
    sources_below(&root.join("hdl/tb/shells"), &mut parts)?;
    command.args(parts.iter().filter(|path| !path.to_string_lossy().ends_with("_tb.sv")));
    output(&mut command).with_context(|| format!("{SMOKE} does not build"))?;

    let mut command = Command::new(build.join(format!("V{SMOKE}")));
    command.current_dir(root);
    if let Some(image) = image {
        command.arg(format!("+firmware={}", image.display()));
    }
    let done = command.output().with_context(|| format!("cannot run {SMOKE}"))?;
    let text =
        String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    if !done.status.success() || !text.lines().any(|line| line == "PASS") {
        bail!("{text}");
    }
    text.lines().filter(|line| line.contains("firmware ready")).for_each(|line| println!("{line}"));
    Ok(())
}
