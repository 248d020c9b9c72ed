//! Hardware in the loop, without hardware: the host's programs as they are shipped, in a virtual machine, reach the
//! simulated card through the guest kernel's vfio-pci and IOMMU, as they would reach a real one.
//!
//! Each scenario boots one virtual machine, writes one log, and ends with a verdict; whatever it started ends with it. Use
//! `cargo xtask hil`, which installs and builds what is needed.

mod card;
mod guest;
mod initrd;
mod log;
mod scenario;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Parser;

use log::Log;
use scenario::{SCENARIOS, Site};

/// How much of its log a failed scenario shows.
const LOG_TAIL_LINES: usize = 40;

/// Runs scenarios of hardware in the loop.
#[derive(Debug, Parser)]
struct Args {
    /// Folder with QEMU and the guest's packages.
    #[arg(long)]
    guest: PathBuf,
    /// Folder of the built programs.
    #[arg(long)]
    programs: PathBuf,
    /// Image of the card's firmware.
    #[arg(long)]
    firmware: PathBuf,
    /// Folder for the logs.
    #[arg(long)]
    logs: PathBuf,
    /// Scenarios; every check if none is named.
    scenarios: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<bool> {
    let known = || SCENARIOS.iter().map(|s| s.name).collect::<Vec<_>>().join(", ");
    if let Some(name) =
        args.scenarios.iter().find(|name| !SCENARIOS.iter().any(|s| s.name == **name))
    {
        bail!("no scenario `{name}`; there are: {}", known());
    }
    std::fs::create_dir_all(&args.logs)?;
    let wanted = |scenario: &scenario::Scenario| match args.scenarios.as_slice() {
        [] => scenario.is_check,
        named => named.iter().any(|name| name == scenario.name),
    };
    let mut good = true;
    for scenario in SCENARIOS.iter().filter(|scenario| wanted(scenario)) {
        let log = Log::create(&args.logs.join(format!("{}.log", scenario.name)))?;
        println!("--- {}: {}", scenario.name, scenario.about);
        let start = Instant::now();
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let site = Site {
            guest: &args.guest,
            programs: &args.programs,
            firmware: &args.firmware,
            folder: folder.path(),
            log: &log,
        };
        let outcome = (scenario.run)(&site);
        let seconds = start.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                println!(
                    "--- {}: PASS in {seconds:.1} s ({})",
                    scenario.name,
                    log.path().display()
                );
            }
            Err(error) => {
                log.line("host", &format!("FAIL {error:#}"));
                good = false;
                println!("{}", tail(log.path()));
                println!("--- {}: FAIL in {seconds:.1} s: {error:#}", scenario.name);
                println!("    the whole log: {}", log.path().display());
            }
        }
    }
    Ok(good)
}

fn tail(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}
