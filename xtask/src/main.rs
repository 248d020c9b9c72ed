//! The one entry point for people and CI: `cargo xtask <command>`.

mod bench;
mod codegen;
mod demo;
mod elf;
mod firmware;
mod guest;
mod hil;
mod layers;
mod lint;
mod nightly;
mod planted;
mod rtl;
mod setup;
mod shell;
mod shells;
mod synth;
mod test;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Builds, checks and runs Penstock.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Installs the tools, or says which are missing and how to get them.
    Setup,
    /// Checks formatting, the crates' dependencies, clippy, the generated files and the RTL.
    Lint,
    /// Runs every check and test; what continuous integration runs.
    Test,
    /// Tells the story of a service on two nodes with real connections through two simulated cards.
    Demo {
        /// Instead, floods a card with SYNs from a pod and from another node, and shows what becomes of others' connections.
        #[arg(long)]
        flood: bool,
        /// Leaves the lab running at the end.
        #[arg(long)]
        keep: bool,
        /// Name of the lab.
        #[arg(long, default_value = "demo")]
        name: String,
        /// Takes the programs from this folder instead of building them.
        #[arg(long)]
        programs: Option<PathBuf>,
    },
    /// Runs the daemon and its tools in a virtual machine, on a real kernel's VFIO, against the simulated card.
    Hil {
        /// Only these scenarios.
        scenarios: Vec<String>,
    },
    /// Measures the card in cycles and the host in milliseconds.
    Bench {
        /// Also writes a flat JSON object of name -> {value, unit}.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Does not optimise the host's part: builds faster, its times are worthless.
        #[arg(long)]
        quick: bool,
    },
    /// Runs what takes too long for every change; goes on where an earlier run at this commit stopped.
    Nightly {
        /// Only the k-th of n shares of the jobs.
        #[arg(long, value_name = "K/N", default_value = "1/1")]
        shard: String,
        /// Writes the results of all jobs at this commit there, instead of printing them.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Builds the image of the card's soft core.
    BuildFirmware,
    /// Boots the firmware's image on the soft core's RTL.
    FirmwareTest,
    /// Writes the SystemVerilog package and the reference from the crate penstock-abi.
    Gen {
        /// Only compares; fails when a committed file is stale.
        #[arg(long)]
        check: bool,
    },
    /// Synthesises the card's modules with open tools: resources and an estimate of the clock (not Vivado's), held against budgets.
    Synth(synth::Options),
    /// Elaborates the card in the shells that it is made for, and boots its firmware there.
    Shells,
    /// Runs the RTL's self-checking benches (hdl/tb).
    RtlTest {
        /// Only benches whose name contains this.
        #[arg(default_value = "")]
        filter: String,
        /// Instead, plants each fault of hdl/tb/planted whose name, or bench, contains this: its bench must fail.
        #[arg(long)]
        planted: bool,
    },
}

/// The workspace's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
        .to_path_buf()
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Setup => {
            setup::run_setup(&root())?;
            setup::check_lab()?;
            guest::install(&root())?;
            synth::install(&root())?;
            println!("everything is there");
            Ok(())
        }
        Command::Lint => {
            setup::run_setup(&root())?;
            lint::lint(&root())
        }
        Command::Test => test::test(&root()),
        Command::Demo { flood, keep, name, programs } => {
            let tale = if flood { demo::Tale::Flood } else { demo::Tale::Service };
            demo::demo(&root(), tale, keep, &name, programs)
        }
        Command::Hil { scenarios } => {
            setup::run_setup(&root())?;
            hil::hil(&root(), &scenarios)
        }
        Command::Bench { json, quick } => {
            setup::run_setup(&root())?;
            bench::bench(&root(), json.as_deref(), quick)
        }
        Command::Nightly { shard, json } => nightly::nightly(&root(), &shard, json.as_deref()),
        Command::BuildFirmware => {
            setup::run_setup(&root())?;
            firmware::build(&root()).map(|_| ())
        }
        Command::FirmwareTest => {
            setup::run_setup(&root())?;
            firmware::test(&root())
        }
        Command::Synth(options) => {
            setup::run_setup(&root())?;
            synth::synth(&root(), &options)
        }
        Command::Gen { check } => codegen::run(&root(), check),
        Command::Shells => {
            setup::run_setup(&root())?;
            shells::lint(&root())?;
            shells::smoke(&root(), Some(&firmware::build(&root())?))
        }
        Command::RtlTest { filter, planted: false } => rtl::benches(&root(), &filter),
        Command::RtlTest { filter, planted: true } => planted::check(&root(), &filter, None),
    }
}
