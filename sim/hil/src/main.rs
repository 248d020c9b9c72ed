//! Hardware in the loop, without hardware: the host's programs as they are shipped, in a virtual machine, reach the
//! simulated card through the guest kernel's vfio-pci and IOMMU, as they would reach a real one.
//!
//! Each scenario boots one virtual machine, writes one log, and ends with a verdict; whatever it started ends with it. Use
//! `cargo xtask hil`, which installs and builds what is needed.

mod card;
mod guest;
mod initrd;
mod log;
mod manager;
mod scenario;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Parser;

use log::Log;
use scenario::{SCENARIOS, Site};

/// A scenario takes 10 to 30 s on an idle machine. One that takes longer than this hangs.
const BUDGET: Duration = Duration::from_secs(120);
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
        let finished = watchdog(scenario.name, folder.path(), &log);
        let outcome = (scenario.run)(&site);
        drop(finished);
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

/// Ends this program, and with it the card and the virtual machine, unless the value returned is dropped in time.
fn watchdog(name: &'static str, folder: &Path, log: &Log) -> mpsc::Sender<()> {
    let (finished, is_finished) = mpsc::channel();
    let (folder, log) = (folder.to_owned(), log.clone());
    thread::spawn(move || {
        if is_finished.recv_timeout(BUDGET) == Err(RecvTimeoutError::Timeout) {
            println!("{}", tail(log.path()));
            println!("--- {name}: FAIL: not done within {} s", BUDGET.as_secs());
            println!("    the whole log: {}", log.path().display());
            // Best effort: the folder is temporary.
            let _ = std::fs::remove_dir_all(folder);
            std::process::exit(1);
        }
    });
    finished
}

fn tail(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // Once the card is gone, QEMU says so hundreds of times.
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains(" qemu    |")).collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}
