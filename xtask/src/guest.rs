//! What hardware in the loop is run with, in `.tools/hil`: a QEMU that has `vfio-user-pci`, and a Debian kernel.
//!
//! Both are Debian packages unpacked below `.tools/hil` (see [`roots`]). QEMU is taken from the backports of the next release,
//! which move: any version of at least 10.1 will do.
//!
//! ```text
//! .tools/hil/qemu      root of the unpacked packages of qemu-system-x86
//! .tools/hil/guest     root of the unpacked packages of the guest: kernel, modules, busybox
//! .tools/hil/systemd   root of the unpacked packages of the guest's service manager and its libraries
//! .tools/hil/cni       root of the unpacked packages of a container runtime and of host-local, for the tests of the CNI plugin
//! .tools/hil/*.stamp   what each of them was made from
//! ```

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::roots::{self, Root};
use crate::shell::{output, step};

const ROOTS: [Root; 4] = [
    Root {
        folder: "qemu",
        suites: &["trixie", "trixie-backports"],
        packages: &["qemu-system-x86"],
        dependencies: true,
    },
    Root {
        folder: "guest",
        suites: &["bookworm"],
        packages: &["linux-image-cloud-amd64", "busybox-static"],
        dependencies: false,
    },
    // Of the oldest release whose units are supported: what it refuses shows here.
    Root { folder: "systemd", suites: &["bookworm"], packages: &["systemd"], dependencies: true },
    Root {
        folder: "cni",
        suites: &["bookworm"],
        packages: &["containerd", "runc", "libseccomp2", "containernetworking-plugins"],
        dependencies: false,
    },
];

/// Where everything lies once it is installed.
pub(crate) fn folder(root: &Path) -> PathBuf {
    root.join(".tools/hil")
}

/// Installs what is missing.
///
/// # Errors
/// One line that says why hardware in the loop cannot run here.
pub(crate) fn install(root: &Path) -> Result<()> {
    let folder = folder(root);
    if roots::are_installed(&folder, &ROOTS) {
        return Ok(());
    }
    step("setup of hardware in the loop", || {
        let why = "hardware in the loop needs QEMU >= 10.1 (device vfio-user-pci), a Debian kernel, systemd and containerd";
        roots::install(&folder, &ROOTS, why)?;
        println!("{}", check_qemu(&folder)?);
        Ok(())
    })
}

/// The unpacked QEMU with its own loader, libraries, modules and firmware.
fn qemu(folder: &Path) -> Command {
    let root = folder.join("qemu");
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let mut command = Command::new(root.join("usr/lib64/ld-linux-x86-64.so.2"));
    command
        .env("QEMU_MODULE_DIR", libraries.join("qemu"))
        .arg("--library-path")
        .arg(libraries)
        .arg(root.join("usr/bin/qemu-system-x86_64"));
    command
}

fn check_qemu(folder: &Path) -> Result<String> {
    let version = output(qemu(folder).arg("--version"))?;
    let version = version.lines().next().unwrap_or_default().to_owned();
    output(qemu(folder).args(["-device", "vfio-user-pci,help"])).with_context(|| {
        format!("{version} has no device vfio-user-pci: QEMU >= 10.1 is needed")
    })?;
    Ok(version)
}
