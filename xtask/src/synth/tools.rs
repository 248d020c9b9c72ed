//! The synthesiser: yosys with its SystemVerilog front end (slang) and its optimiser (abc), as a Python wheel in `.tools/synth`.
//!
//! The wheel holds compiled code, so that there is one for each version of Python; all of them are of one version of yosys.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::setup::{self, Wheel};
use crate::shell::output;

/// Version of yosys that the budgets were measured with: another one gives other figures.
pub(crate) const VERSION: &str = "0.70";

const WHEEL: Wheel = Wheel {
    folder: "synth",
    requirement: "pyosys==0.70",
    // CPython 3.10 to 3.14 on x86-64.
    sha256: &[
        "9011e9eb8ae89f03afff9a59dc5046e7d322997d3b919e04b0ef8a305fd040bc",
        "b562ff8435c71871c4d12f4ed80ca24f0f4a59c6beaab8fbe20efe4c84006f78",
        "cbc53ab06994646e1cf06a478a53be061b0626c85166f88f6254e7d2539156ec",
        "b9f2be9dbb508d41a94072fbcc79c2a94afcf01183b06a6ac39a8d58d96b0781",
        "ad7ff719e5b1ece0e9e8697fe12f58d59a5af85f115742c702edaa1e7255aacb",
    ],
    proof: "pyosys/__init__.py",
};

/// Where it is.
pub(crate) fn folder(root: &Path) -> PathBuf {
    root.join(".tools/synth")
}

/// Installs it, if it is not there.
///
/// # Errors
/// It cannot be installed, or does not run with this machine's Python.
pub(crate) fn install(root: &Path) -> Result<()> {
    setup::install_wheel(root, &WHEEL).context(
        "the synthesiser needs CPython 3.10 to 3.14 on x86-64 Linux (glibc 2.28), and a route to the Python package index",
    )?;
    let load = "import sys; sys.path.insert(0, sys.argv[1]); from pyosys import libyosys";
    output(Command::new("python3").args(["-c", load]).arg(folder(root)))
        .context("the synthesiser was installed for another Python: remove .tools/synth and run `cargo xtask setup`")?;
    Ok(())
}
