//! `cargo xtask bench`: runs the figures, optimised.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::shell::{cargo, run, target};
use crate::{firmware, hil};

/// Builds and runs `penstock-bench`; `quick` without optimising the host's part.
///
/// # Errors
/// It does not build, or a figure cannot be measured.
pub(crate) fn bench(root: &Path, json: Option<&Path>, quick: bool) -> Result<()> {
    let image = firmware::build(root)?;
    let mut build = cargo(
        root,
        &["build", "--quiet", "--package", "penstock-bench", "--package", "penstock-card"],
    );
    if !quick {
        build.arg("--release");
    }
    run(&mut build)?;
    let programs = target(root).join(if quick { "debug" } else { "release" });
    let figures = hil::bench(root, &programs, &image)?;
    let mut command = Command::new(programs.join("penstock-bench"));
    command.arg("--firmware").arg(image).arg("--include").arg(figures);
    if let Some(file) = json {
        command.arg("--json").arg(std::path::absolute(file)?);
    }
    run(&mut command)
}
