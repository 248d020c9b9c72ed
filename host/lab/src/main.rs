//! The lab's own program: the same subcommands as `penstock lab`, for tests that need nothing else of `penstock`.

use std::process::ExitCode;

use clap::Parser;
use penstock_lab::cli::{LabArgs, run};

/// Builds and runs testbeds of simulated cards.
#[derive(Parser)]
#[command(name = "penstock-lab")]
struct Cli {
    #[command(flatten)]
    args: LabArgs,
}

fn main() -> ExitCode {
    match run(Cli::parse().args, &[]) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
