//! `cargo xtask lint`: everything that reads the sources without running them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::shell::{cargo, run, step};
use crate::tools::{soft_core, sources, verilator};
use crate::{codegen, layers, shells, synth};

/// Checks formatting, the crates' dependencies, clippy, the generated files and the RTL.
///
/// # Errors
/// The first check that fails.
pub(crate) fn lint(root: &Path) -> Result<()> {
    step("rustfmt", || {
        run(&mut cargo(root, &["fmt", "--all", "--check"]))?;
        run(&mut cargo(&root.join("firmware/image"), &["fmt", "--check"]))
    })?;
    step("layers", || layers::check(root))?;
    step("generated files", || codegen::run(root, true))?;
    step("rtl lint", || rtl_lint(root))?;
    step("rtl structure", || synth::check_structure(root))?;
    step("shells", || shells::lint(root))?;
    step("clippy", || {
        let arguments =
            ["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];
        run(&mut cargo(root, &arguments))
    })
}

/// Verilator's lint, with all warnings as errors, over the whole card.
fn rtl_lint(root: &Path) -> Result<()> {
    let mut command = Command::new(verilator(root));
    command.current_dir(root).args(["--lint-only", "-Wall", "--top-module", "penstock_core"]);
    soft_core(root, &mut command);
    for source in sources(root)? {
        command.arg(source);
    }
    run(&mut command).context("Verilator's lint")
}
