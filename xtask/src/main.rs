//! The one entry point for people and CI: `cargo xtask <command>`.

mod codegen;
mod rtl;

use std::path::{Path, PathBuf};

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
    /// Writes the SystemVerilog package and the reference from the crate penstock-abi.
    Gen {
        /// Only compares; fails when a committed file is stale.
        #[arg(long)]
        check: bool,
    },
    /// Runs the RTL's self-checking benches (hdl/tb).
    RtlTest {
        /// Only benches whose name contains this.
        #[arg(default_value = "")]
        filter: String,
    },
}

/// The workspace's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
        .to_path_buf()
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Gen { check } => codegen::run(&root(), check),
        Command::RtlTest { filter } => rtl::benches(&root(), &filter),
    }
}
