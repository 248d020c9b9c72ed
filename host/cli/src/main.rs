//! The program `penstock`.

use std::process::ExitCode;

use clap::Parser as _;
use penstock::args::Cli;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let cli = match penstock::external::help(words.get(1..).unwrap_or_default()) {
        Some(asked) => Cli::parse_from(words.into_iter().take(1).chain(asked)),
        None => Cli::parse_from(words),
    };
    match penstock::run(cli) {
        Ok(code) => code,
        Err(error) => {
            penstock::output::complain(&error);
            penstock::exit_code(&error)
        }
    }
}
