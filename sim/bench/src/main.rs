//! `cargo xtask bench`: what the card does in cycles, and what the compiler takes in time.
//!
//! Cycles are exact and repeat on any machine; times are this machine's, and only to be compared within one run.

mod agent;
mod card;
mod host;
mod report;
mod speed;
mod transport;

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
    /// Figures measured elsewhere, in the same form, to be shown among these.
    #[arg(long, value_name = "FILE")]
    include: Option<PathBuf>,
    /// Measures nothing but the transport to the card at SPEC, as `transport.NAME`, and prints JSON.
    #[arg(long, value_name = "NAME=SPEC", conflicts_with_all = ["json", "firmware", "include"])]
    transport: Option<String>,
    /// Measures nothing but the speed of the simulation, and prints JSON.
    #[arg(long, conflicts_with_all = ["json", "include", "transport"])]
    speed: bool,
    /// Measures nothing but the card in cycles and the speed of the simulation, and prints JSON.
    #[arg(long, conflicts_with_all = ["json", "include", "transport", "speed"])]
    card: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let mut report = report::Report::default();
    if let Some((name, spec)) = args.transport.as_deref().and_then(|t| t.split_once('=')) {
        transport::measure_at(&mut report, name, spec)?;
        println!("{}", report.json());
        return Ok(());
    }
    if args.speed {
        card::speed(&mut report, args.firmware)?;
        println!("{}", report.json());
        return Ok(());
    }
    card::run(&mut report, args.firmware)?;
    if args.card {
        println!("{}", report.json());
        return Ok(());
    }
    transport::measure_vfio_user(&mut report)?;
    if let Some(path) = args.include {
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        report.include(&text).with_context(|| path.display().to_string())?;
    }
    host::run(&mut report)?;
    agent::run(&mut report)?;
    print!("{}", report.table());
    if let Some(path) = args.json {
        let text = serde_json::to_string_pretty(&report.json())?;
        std::fs::write(&path, text + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
