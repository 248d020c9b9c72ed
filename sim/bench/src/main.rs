//! `cargo xtask bench`: what the card does in cycles, and what the compiler takes in time.
//!
//! Cycles are exact and repeat on any machine; times are this machine's, and only to be compared within one run.

mod card;
mod host;
mod report;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Parser;

/// Measures the simulated card and the host's compiler.
#[derive(Parser)]
struct Args {
    /// Also writes the figures to this file, as {name: {value, unit}}.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Image of the soft core; without it the soft core stands still.
    #[arg(long, value_name = "FILE")]
    firmware: Option<PathBuf>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let mut report = report::Report::default();
    card::run(&mut report, args.firmware)?;
    host::run(&mut report)?;
    print!("{}", report.table());
    if let Some(path) = args.json {
        let text = serde_json::to_string_pretty(&report.json())?;
        std::fs::write(&path, text + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
