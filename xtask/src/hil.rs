//! `cargo xtask hil`: the daemon and its tools in a virtual machine, on a real kernel's VFIO, against the Verilated card.
//!
//! The crate `penstock-hil` does it; this installs what it needs, builds the programs, and says where the log is.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::shell::{cargo, run};
use crate::{demo, guest};

/// Runs the scenarios named, or all.
///
/// # Errors
/// Something cannot be installed or built, or a scenario failed.
pub(crate) fn hil(root: &Path, scenarios: &[String]) -> Result<()> {
    guest::install(root)?;
    let (programs, firmware) = demo::build_programs(root)?;
    run(&mut cargo(
        root,
        &["build", "--quiet", "--package", "penstock-device", "--example", "conformance"],
    ))?;
    let mut command = cargo(root, &["run", "--quiet", "--package", "penstock-hil", "--"]);
    command
        .arg("--guest")
        .arg(guest::folder(root))
        .arg("--programs")
        .arg(programs)
        .arg("--firmware")
        .arg(firmware)
        .arg("--logs")
        .arg(root.join("target/hil"))
        .args(scenarios);
    run(&mut command).context("hardware in the loop")
}
