//! `cargo xtask hil`: the daemon and its tools in a virtual machine, on a real kernel's VFIO, against the Verilated card.
//!
//! The crate `penstock-hil` does it; this installs what it needs, builds the programs, and says where the log is.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::shell::{cargo, run};
use crate::{demo, guest};

/// Runs the scenarios named, or every check.
///
/// # Errors
/// Something cannot be installed or built, or a scenario failed.
pub(crate) fn hil(root: &Path, scenarios: &[String]) -> Result<()> {
    guest::install(root)?;
    let (programs, firmware) = demo::build_programs(root)?;
    let example = ["build", "--quiet", "--package", "penstock-device", "--example", "conformance"];
    run(cargo(root, &example).args(["--features", "conformance"]))?;
    run_scenarios(root, &programs, &firmware, scenarios)
}

/// Measures the kernel's VFIO with the optimised programs in `programs`; returns the file of figures.
///
/// # Errors
/// As [`hil`].
pub(crate) fn bench(root: &Path, programs: &Path, firmware: &Path) -> Result<PathBuf> {
    guest::install(root)?;
    run_scenarios(root, programs, firmware, &["bench".to_owned()])?;
    Ok(logs(root).join("bench.json"))
}

fn logs(root: &Path) -> PathBuf {
    root.join("target/hil")
}

fn run_scenarios(
    root: &Path,
    programs: &Path,
    firmware: &Path,
    scenarios: &[String],
) -> Result<()> {
    let mut command = cargo(root, &["run", "--quiet", "--package", "penstock-hil", "--"]);
    command.arg("--guest").arg(guest::folder(root));
    command.arg("--programs").arg(programs).arg("--firmware").arg(firmware);
    command.arg("--logs").arg(logs(root)).args(scenarios);
    run(&mut command).context("hardware in the loop")
}
