//! The card in the shells that it is made for: elaboration and lint of `hdl/shells` against stubs that have the shells' published
//! ports. What that shows, and what it does not, is in docs/shells.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::shell::run;
use crate::{firmware, rtl};

/// Tops to elaborate, with parameters in their place: the defaults of each shell and the most that it can be built with.
const TOPS: [(&str, &[&str]); 6] = [
    ("stub_opennic_box_250mhz", &[]),
    ("stub_opennic_shell_250mhz", &["-GNUM_PHYS_FUNC=4", "-GNUM_CMAC_PORT=2"]),
    ("stub_opennic_box_322mhz", &[]),
    ("stub_opennic_shell_322mhz", &["-GNUM_CMAC_PORT=2"]),
    ("stub_mqnic_app_block", &[]),
    ("stub_mqnic_app_block", &["-GRAM_SEG_COUNT=4", "-GTX_TAG_WIDTH=6", "-GIRQ_INDEX_WIDTH=5"]),
];

/// What the wrappers are made of, the wrappers, and the stubs.
///
/// # Errors
/// A folder cannot be listed.
pub(crate) fn sources(root: &Path) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    rtl::sources_below(&root.join("hdl/shells"), &mut all)?;
    Ok(all)
}

/// Verilator's lint, with all warnings as errors, over every shell with the whole card in it.
///
/// # Errors
/// A port does not fit, or there is something to warn of.
pub(crate) fn lint(root: &Path) -> Result<()> {
    for (top, parameters) in TOPS {
        let mut command = Command::new(rtl::verilator(root));
        command.current_dir(root).args(["--lint-only", "-Wall", "--top-module", top]);
        command.args(parameters);
        firmware::soft_core(root, &mut command);
        command.args(rtl::sources(root)?).args(sources(root)?);
        run(&mut command).with_context(|| format!("{top} {}", parameters.join(" ")))?;
    }
    Ok(())
}
