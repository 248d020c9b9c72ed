//! The routing daemons that the BGP speaker is tested against, in `.tools/peers`: FRR and GoBGP, unpacked from Debian packages
//! (see [`roots`]) and run in place, with their own loader and libraries, by `host/routed/tests/peers`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::roots::{self, Root};
use crate::shell::{output, step};

/// Of the release after the oldest that Penstock runs on: FRR 10 and GoBGP 3.36, whose commands the tests are written for.
const ROOTS: [Root; 2] = [
    Root { folder: "frr", suites: &["trixie"], packages: &["frr"], dependencies: true },
    Root { folder: "gobgp", suites: &["trixie"], packages: &["gobgpd"], dependencies: true },
];

/// Where they lie once they are installed.
fn folder(root: &Path) -> PathBuf {
    root.join(".tools/peers")
}

/// Installs what is missing.
///
/// # Errors
/// One line that says why the BGP speaker cannot be tested against others here.
pub(crate) fn install(root: &Path) -> Result<()> {
    let folder = folder(root);
    if roots::are_installed(&folder, &ROOTS) {
        return Ok(());
    }
    step("setup of BGP peers", || {
        let why = "the BGP speaker is tested against FRR >= 10 and GoBGP >= 3.36";
        roots::install(&folder, &ROOTS, why)?;
        for (part, program) in [("frr", "usr/lib/frr/bgpd"), ("gobgp", "usr/bin/gobgpd")] {
            let version = output(program_of(&folder.join(part), program).arg("--version"))
                .with_context(|| format!("{program} does not start"))?;
            println!("{}", version.lines().next().unwrap_or_default());
        }
        Ok(())
    })
}

/// A program of an unpacked root, by the root's own loader: its libraries may be newer than the machine's.
fn program_of(root: &Path, program: &str) -> Command {
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let mut command = Command::new(root.join("usr/lib64/ld-linux-x86-64.so.2"));
    let path = format!("{}:{}", libraries.display(), libraries.join("frr").display());
    command.arg("--library-path").arg(path).arg(root.join(program));
    command
}
