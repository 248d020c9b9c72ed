//! The program `penstock-replay`, which `penstock replay` runs: what would a fresh card do to captured packets?

mod capture;
mod overlay;
mod replay;
mod run;
mod summary;

use std::process::ExitCode;

use clap::Parser;
use penstock::output::{Output, complain};

/// Sends captured packets through a fresh simulated card and captures what leaves it.
#[derive(Debug, Parser)]
#[command(
    name = "penstock-replay",
    bin_name = "penstock replay",
    version,
    after_help = "Example: penstock replay --node cent222.yaml --manifests manifests --in client=requests.pcap --out replayed"
)]
struct Cli {
    #[command(flatten)]
    args: replay::ReplayArgs,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORM")]
    output: Output,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match replay::run(&cli.args, cli.output) {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}
