//! The guest's file system, as an archive that the kernel unpacks into memory (initramfs, "newc" cpio without compression).
//!
//! Format: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

/// An archive being built. Paths are absolute, as the guest sees them.
#[derive(Debug, Default)]
pub(crate) struct Initrd {
    bytes: Vec<u8>,
    folders: BTreeSet<PathBuf>,
    files: BTreeSet<PathBuf>,
}

impl Initrd {
    /// Adds an empty folder and those above it.
    pub(crate) fn folder(&mut self, path: &Path) {
        if path.parent().is_none() || !self.folders.insert(path.to_owned()) {
            return;
        }
        if let Some(parent) = path.parent() {
            self.folder(parent);
        }
        self.record(path, 0o040_755, &[]);
    }

    /// Adds a file; the first one of a name stays.
    pub(crate) fn file(&mut self, path: &Path, mode: u32, content: &[u8]) {
        if let Some(parent) = path.parent() {
            self.folder(parent);
        }
        if self.files.insert(path.to_owned()) {
            self.record(path, 0o100_000 | mode, content);
        }
    }

    /// Adds a program of this machine, without its debugging information, and the libraries it is linked with.
    pub(crate) fn program(&mut self, source: &Path, path: &Path) -> Result<()> {
        let stripped = tempfile::NamedTempFile::new()?;
        let strip = Command::new("strip").arg("-o").arg(stripped.path()).arg(source).output();
        let is_stripped = strip.is_ok_and(|output| output.status.success());
        let from = if is_stripped { stripped.path() } else { source };
        self.copy(from, path, 0o755)?;
        let output = Command::new("ldd").arg(source).output().context("cannot run ldd")?;
        // A static program: "not a dynamic executable", exit code 1.
        for word in String::from_utf8_lossy(&output.stdout).split_whitespace() {
            let library = Path::new(word);
            if library.is_absolute() && library.exists() {
                self.copy(library, library, 0o755)?;
            }
        }
        Ok(())
    }

    /// Adds a program of an unpacked root at its own path, and the libraries of that root that it is linked with.
    pub(crate) fn packaged(&mut self, root: &Path, program: &str) -> Result<()> {
        let inside = |path: &str| root.join(path.trim_start_matches('/'));
        self.copy(&inside(program), Path::new(program), 0o755)?;
        let folders = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"];
        let path = folders.map(|folder| inside(folder).display().to_string()).join(":");
        let output = Command::new(inside("lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"))
            .args(["--library-path", &format!("{path}:{path}/systemd"), "--list"])
            .arg(inside(program))
            .output()
            .context("cannot run the loader of the unpacked packages")?;
        // "libcap.so.2 => ROOT/lib/x86_64-linux-gnu/libcap.so.2 (0x00007f..)"
        for word in String::from_utf8_lossy(&output.stdout).split_whitespace() {
            let library = Path::new(word);
            if let Ok(path) = library.strip_prefix(root) {
                self.copy(library, &Path::new("/").join(path), 0o755)?;
            }
        }
        ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Adds the files of a folder of an unpacked root at their own paths, those of its folders not.
    pub(crate) fn packaged_files(&mut self, root: &Path, folder: &str) -> Result<()> {
        let source = root.join(folder.trim_start_matches('/'));
        let entries = fs::read_dir(&source).with_context(|| format!("no {}", source.display()))?;
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                self.copy(&entry.path(), &Path::new(folder).join(entry.file_name()), 0o644)?;
            }
        }
        Ok(())
    }

    /// Adds a copy of a file of this machine.
    pub(crate) fn copy(&mut self, source: &Path, path: &Path, mode: u32) -> Result<()> {
        let content =
            fs::read(source).with_context(|| format!("cannot read {}", source.display()))?;
        self.file(path, mode, &content);
        Ok(())
    }

    /// The whole archive.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.record(Path::new("/TRAILER!!!"), 0, &[]);
        self.bytes
    }

    fn record(&mut self, path: &Path, mode: u32, content: &[u8]) {
        let name = path.to_string_lossy();
        let name = name.trim_start_matches('/');
        let inode = self.folders.len() + self.files.len();
        let fields = [
            inode as u32,
            mode,
            0,
            0,
            1,
            0,
            content.len() as u32,
            0,
            0,
            0,
            0,
            name.len() as u32 + 1,
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// Kernel modules and what they depend on, in the order in which they must be loaded.
///
/// # Errors
/// A module is neither in the folder nor listed as built in.
pub(crate) fn modules(kernel: &Path, wanted: &[&str]) -> Result<Vec<PathBuf>> {
    let mut known = Vec::new();
    find(&kernel.join("kernel"), &mut known)?;
    let builtin = fs::read_to_string(kernel.join("modules.builtin")).unwrap_or_default();
    let mut ordered = Vec::new();
    for name in wanted {
        add_module(name, &known, &builtin, &mut ordered)?;
    }
    Ok(ordered)
}

fn find(folder: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, into)?;
        } else if path.extension().is_some_and(|e| e == "ko") {
            into.push(path);
        }
    }
    Ok(())
}

fn same_module(path: &Path, name: &str) -> bool {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().replace('-', "_");
    stem == name.replace('-', "_")
}

fn add_module(
    name: &str,
    known: &[PathBuf],
    builtin: &str,
    ordered: &mut Vec<PathBuf>,
) -> Result<()> {
    if ordered.iter().any(|path| same_module(path, name)) {
        return Ok(());
    }
    let Some(path) = known.iter().find(|path| same_module(path, name)) else {
        if builtin.lines().any(|line| same_module(Path::new(line), name)) {
            return Ok(());
        }
        bail!("the guest's kernel has no module {name}");
    };
    for dependency in dependencies(&fs::read(path)?) {
        add_module(&dependency, known, builtin, ordered)?;
    }
    ordered.push(path.clone());
    Ok(())
}

/// What `depends=` in a module's information names.
fn dependencies(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let value = module[at + KEY.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
    let value = String::from_utf8_lossy(value);
    value.split(',').filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_each_file_once_after_its_folders() {
        let mut archive = Initrd::default();
        archive.file(Path::new("/a/b/c"), 0o644, b"hello");
        archive.file(Path::new("/a/b/c"), 0o644, b"again");
        let bytes = archive.finish();
        let text = String::from_utf8_lossy(&bytes);
        let at = |name: &str| text.find(name).unwrap();
        assert!(at("a\0") < at("a/b\0") && at("a/b\0") < at("a/b/c\0"));
        assert!(at("a/b/c\0") < at("hello") && at("hello") < at("TRAILER!!!\0"));
        assert!(!text.contains("again"));
        assert_eq!(bytes.len() % 4, 0);
        // Length of the content stands in field 7 of the record.
        let record = at("a/b/c\0") - 110;
        assert_eq!(&text[record..record + 6], "070701");
        assert_eq!(&text[record + 6 + 6 * 8..record + 6 + 7 * 8], "00000005");
    }

    #[test]
    fn modules_come_after_what_they_need() {
        let folder = tempfile::tempdir().unwrap();
        let kernel = folder.path();
        fs::create_dir_all(kernel.join("kernel/net")).unwrap();
        let module = |name: &str, depends: &str| {
            let text = format!("license=GPL\0depends={depends}\0name={name}\0");
            fs::write(kernel.join(format!("kernel/net/{name}.ko")), text).unwrap();
        };
        module("mpls_iptunnel", "mpls_router");
        module("mpls_router", "ip-tunnel,");
        module("ip-tunnel", "");
        fs::write(kernel.join("modules.builtin"), "kernel/drivers/tty.ko\n").unwrap();
        let paths = modules(kernel, &["mpls_iptunnel", "ip_tunnel", "tty"]).unwrap();
        let names: Vec<_> =
            paths.iter().map(|p| p.file_stem().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["ip-tunnel", "mpls_router", "mpls_iptunnel"]);
        assert!(modules(kernel, &["nothing"]).is_err());
    }
}
