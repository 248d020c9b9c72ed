//! `cargo xtask test`: all that continuous integration runs.

use std::path::Path;

use anyhow::{Result, bail};

use crate::shell::{cargo, run, step};
use crate::{firmware, guest, hil, lint, peers, rtl, setup};

/// Runs every check there is; all of them, even after a failure.
///
/// # Errors
/// Something cannot be installed, or at least one check failed.
pub(crate) fn test(root: &Path) -> Result<()> {
    setup::run_setup(root)?;
    setup::check_lab()?;
    peers::install(root)?;
    let mut failed = Vec::new();
    let mut check = |name: &str, work: &dyn Fn() -> Result<()>| {
        if let Err(error) = step(name, work) {
            println!("{error:#}");
            failed.push(name.to_owned());
        }
    };
    check("lint", &|| lint::lint(root));
    check("firmware", &|| firmware::test(root));
    check("rtl benches", &|| rtl::benches(root, ""));
    check("build", &|| run(&mut cargo(root, &["build", "--workspace", "--bins"])));
    // The runtime that the CNI plugin is tested with is among them.
    check("tools of hardware in the loop", &|| guest::install(root));
    check("cargo test", &|| {
        // End-to-end tests share two cores with two simulated cards: one test at a time where they run.
        let arguments = ["test", "--workspace", "--no-fail-fast"];
        run(cargo(root, &arguments).env("RUST_BACKTRACE", "0"))
    });
    check("hardware in the loop", &|| hil::hil(root, &[]));
    if failed.is_empty() {
        println!("all checks passed");
        Ok(())
    } else {
        bail!("failed: {}", failed.join(", "))
    }
}
