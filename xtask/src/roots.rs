//! Debian packages unpacked below `.tools`, as the roots of programs that the machine need not have.
//!
//! They come from the mirror that the machine's own packages come from, are checked by Debian's own keys, and are only
//! unpacked: the machine's packages are not touched, no maintainer's script runs, and no privileges are needed. Idempotent by a
//! stamp for each root, so that a change of one leaves the others alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::shell::{find, output};

/// Changes when the way of unpacking does, so that an old stamp does not count.
const RECIPE: &str = "1";
/// Keys of Debian's archives, which the package debian-archive-keyring brings.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Packages from some suites of one release, unpacked together.
pub(crate) struct Root {
    /// Folder below that of all roots of one purpose.
    pub(crate) folder: &'static str,
    /// Suites; the last is preferred.
    pub(crate) suites: &'static [&'static str],
    /// Packages; what they depend on comes along if `dependencies`.
    pub(crate) packages: &'static [&'static str],
    pub(crate) dependencies: bool,
}

impl Root {
    fn stamp(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.stamp", self.folder))
    }

    /// What the root is made from, in one line.
    fn recipe(&self) -> String {
        format!("{RECIPE}: {} of {}\n", self.packages.join(" "), self.suites.join(" "))
    }

    fn is_installed(&self, folder: &Path) -> bool {
        folder.join(self.folder).is_dir()
            && fs::read_to_string(self.stamp(folder)).is_ok_and(|text| text == self.recipe())
    }
}

/// Whether all of them lie below `folder`, made from what they are made from now.
pub(crate) fn are_installed(folder: &Path, roots: &[Root]) -> bool {
    roots.iter().all(|part| part.is_installed(folder))
}

/// Unpacks those that are missing below `folder`.
///
/// # Errors
/// One line that begins with `why`, what the packages are for, and says what there is no route to; what apt said in more
/// lines is printed before.
pub(crate) fn install(folder: &Path, roots: &[Root], why: &str) -> Result<()> {
    for part in roots.iter().filter(|part| !part.is_installed(folder)) {
        unpack(folder, part).map_err(|error| no_route(&error, part, why))?;
        fs::write(part.stamp(folder), part.recipe()).context("cannot write the stamp")?;
    }
    Ok(())
}

fn no_route(error: &anyhow::Error, part: &Root, why: &str) -> anyhow::Error {
    let text = format!("{error:#}");
    if text.lines().count() > 1 {
        println!("{text}");
    }
    anyhow::anyhow!(
        "{why}; this machine has no route to {}: {}",
        part.packages.join(", "),
        text.lines().next().unwrap_or_default().trim()
    )
}

fn unpack(folder: &Path, part: &Root) -> Result<()> {
    for program in ["apt-get", "apt-cache", "dpkg-deb"] {
        find(program).with_context(|| format!("{program} is not there: not a Debian machine"))?;
    }
    let fresh = folder.join(format!("new-{}", part.folder));
    let _ = fs::remove_dir_all(&fresh);
    let apt = Apt::new(&fresh.join("apt"), part.suites)?;
    let wanted = part.packages.iter().map(|package| apt.resolve(package));
    let wanted = wanted.collect::<Result<Vec<_>>>()?;
    println!("unpacking {} into {}", wanted.join(", "), folder.join(part.folder).display());
    let root = fresh.join("root");
    fs::create_dir_all(&root)?;
    for package in apt.download(&wanted, part.dependencies)? {
        output(Command::new("dpkg-deb").arg("-x").arg(package).arg(&root))?;
    }
    let place = folder.join(part.folder);
    let _ = fs::remove_dir_all(&place);
    fs::rename(&root, &place)?;
    fs::remove_dir_all(&fresh).context("cannot remove what was downloaded")
}

/// apt with folders of its own: it sees none of the machine's settings and changes none of its state.
struct Apt {
    folder: PathBuf,
    /// Suite that is preferred.
    target: String,
}

impl Apt {
    fn new(folder: &Path, suites: &[&str]) -> Result<Self> {
        for name in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(name))?;
        }
        let mirror = mirror().context("no Debian mirror in /etc/apt")?;
        let line = |suite| format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n");
        fs::write(folder.join("sources.list"), suites.iter().map(line).collect::<String>())?;
        fs::write(folder.join("status"), "")?;
        let at = folder.display();
        fs::write(
            folder.join("apt.conf"),
            format!(
                r#"Dir::Etc::sourcelist "{at}/sources.list";
Dir::Etc::sourceparts "-";
Dir::State "{at}/state";
Dir::State::status "{at}/status";
Dir::Cache "{at}/cache";
APT::Architectures {{"amd64";}};
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
"#
            ),
        )?;
        let apt = Self {
            folder: folder.to_owned(),
            target: (*suites.last().context("no suite")?).to_owned(),
        };
        // An unreachable mirror is a warning to apt; here it is an error.
        output(apt.command("apt-get").args(["-q", "update", "--error-on=any"]))?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.folder.join("apt.conf")).env("LC_ALL", "C");
        command
    }

    /// The package itself, or the versioned one that a meta-package of the kernel stands for.
    fn resolve(&self, package: &str) -> Result<String> {
        let depends = output(self.command("apt-cache").args(["depends", package]))?;
        let versioned = depends.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        let mut versioned = versioned.filter(|name| name.starts_with("linux-image-"));
        Ok(versioned.next().unwrap_or(package).to_owned())
    }

    fn download(&self, packages: &[String], dependencies: bool) -> Result<Vec<PathBuf>> {
        let archives = self.folder.join("cache/archives");
        let mut command = self.command("apt-get");
        if dependencies {
            command.args(["-q", "install", "-y", "--no-install-recommends", "--download-only"]);
            command.args(["-t", &self.target]);
        } else {
            command.args(["-q", "download"]).current_dir(&archives);
        }
        output(command.args(packages))?;
        let files = fs::read_dir(&archives)?.flatten().map(|entry| entry.path());
        Ok(files.filter(|file| file.extension().is_some_and(|e| e == "deb")).collect())
    }
}

/// The mirror of the machine's own packages, in either of apt's formats.
fn mirror() -> Option<String> {
    let folder = fs::read_dir("/etc/apt/sources.list.d").ok();
    let files = folder.into_iter().flatten().flatten().map(|entry| entry.path());
    let files = files.chain(["/etc/apt/sources.list".into()]);
    files.filter_map(|file| fs::read_to_string(file).ok()).find_map(|text| mirror_in(&text))
}

fn mirror_in(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        match words.next()? {
            "URIs:" => words.next(),
            "deb" => words.find(|word| word.contains("://")),
            _ => None,
        }
        .filter(|uri| uri.trim_end_matches('/').ends_with("debian"))
        .map(ToOwned::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_of_both_formats_are_found() {
        let new =
            "Types: deb\n# URIs: http://old/debian\nURIs: http://a.example/debian\nSuites: x\n";
        assert_eq!(mirror_in(new).as_deref(), Some("http://a.example/debian"));
        let old = "# deb http://old/debian x main\ndeb [arch=amd64 signed-by=/k] https://b.example/debian/ x main\n";
        assert_eq!(mirror_in(old).as_deref(), Some("https://b.example/debian/"));
        assert_eq!(mirror_in("deb http://c.example/debian-security x main\n"), None);
    }
}
