//! `cargo xtask bench`: runs the figures, optimised.

use std::path::Path;

use anyhow::Result;

use crate::firmware;
use crate::shell::{cargo, run};

/// Builds and runs `penstock-bench`; `quick` without optimising the host's part.
///
/// # Errors
/// It does not build, or a figure cannot be measured.
pub(crate) fn bench(root: &Path, json: Option<&Path>, quick: bool) -> Result<()> {
    let mut arguments = vec!["run", "--quiet", "--package", "penstock-bench"];
    if !quick {
        arguments.push("--release");
    }
    let image = firmware::build(root)?;
    let mut command = cargo(root, &arguments);
    command.args(["--", "--firmware"]).arg(image);
    if let Some(file) = json {
        command.arg("--json").arg(std::path::absolute(file)?);
    }
    run(&mut command)
}
