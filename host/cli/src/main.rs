//! The program `penstock`.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match penstock::run(penstock::args::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let (red, plain) = if colour { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
            eprintln!("{red}error:{plain} {error:#}");
            penstock::exit_code(&error)
        }
    }
}
