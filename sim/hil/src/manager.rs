//! A guest's service manager: systemd of the unpacked packages, with a shell for the scenario as a service.

use std::path::Path;

use anyhow::Result;

use crate::initrd::Initrd;

/// The shell as a service, and all that is started at boot.
const SHELL_UNIT: &str = "[Service]\nExecStart=/bin/busybox sh /shell\nTasksMax=infinity\n";
const DEFAULT_TARGET: &str = "[Unit]\nWants=basic.target systemd-journald.service shell.service\n";
const SETTINGS: &str = "[Manager]\nShowStatus=no\n";
/// A machine with an identity is not booted for the first time, which would enable units.
const MACHINE_ID: &str = "70656e73746f636b70656e73746f636b\n";
/// Programs of the service manager.
const PROGRAMS: [&str; 5] = [
    "/lib/systemd/systemd",
    "/lib/systemd/systemd-journald",
    "/bin/systemctl",
    "/bin/journalctl",
    "/bin/systemd-sysusers",
];

/// systemd with its own units, of which only those are started that ours want.
pub(crate) fn add(archive: &mut Initrd, root: &Path) -> Result<()> {
    // Programs of this machine come first, and their C library serves all.
    for program in PROGRAMS {
        archive.packaged(root, program)?;
    }
    archive.packaged_files(root, "/lib/systemd/system")?;
    for (path, content) in [
        ("/etc/systemd/system/shell.service", SHELL_UNIT),
        ("/etc/systemd/system/default.target", DEFAULT_TARGET),
        ("/etc/systemd/system.conf", SETTINGS),
        ("/etc/machine-id", MACHINE_ID),
    ] {
        archive.file(Path::new(path), 0o644, content.as_bytes());
    }
    Ok(())
}
