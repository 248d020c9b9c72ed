//! The program `penstock-cni`, called by a container runtime.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use penstock_cni::error::{CniError, Code};
use penstock_cni::request::Env;
use penstock_cni::run::{Answer, run};

/// Longest network configuration.
const INPUT_MAX_BYTES: u64 = 4 * 1024 * 1024;

fn main() -> ExitCode {
    let mut input = Vec::new();
    let read = std::io::stdin().lock().take(INPUT_MAX_BYTES).read_to_end(&mut input);
    let variables = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
    let answer = match read {
        Ok(_) => run(Env::new(variables), &input),
        Err(error) => {
            let error =
                CniError::new(Code::Io, format!("the standard input cannot be read: {error}"));
            Answer { output: Some(error.render("1.1.0")), failed: true }
        }
    };
    if let Some(output) = answer.output {
        let mut stdout = std::io::stdout().lock();
        if writeln!(stdout, "{output}").and_then(|()| stdout.flush()).is_err() {
            // Who does not take the answer takes the command for failed.
            return ExitCode::FAILURE;
        }
    }
    if answer.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
