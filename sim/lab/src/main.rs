//! The program `penstock-lab`, which `penstock lab` runs.

use std::process::ExitCode;

use clap::Parser;
use penstock_lab::cli::{LabArgs, run};

/// Builds and runs testbeds of simulated cards on this machine.
#[derive(Parser)]
#[command(name = "penstock-lab", bin_name = "penstock lab", version)]
struct Cli {
    #[command(flatten)]
    args: LabArgs,
    /// Form of the output.
    #[arg(short, long, global = true, value_parser = ["text", "wide", "json"], default_value = "text", value_name = "FORM")]
    output: String,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.args, cli.output == "json") {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
