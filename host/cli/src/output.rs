//! What the command line says: values in the form that was asked for, and what went wrong.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use serde::Serialize;

/// Form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// As vRouter's tools print.
    Text,
    /// The same with lines `Hw: ...` that only this card has.
    Wide,
    /// JSON with stable names.
    Json,
}

/// Prints a value in the chosen form. A closed pipe behind the output is no failure.
///
/// # Errors
/// The value cannot be written.
pub fn print<T: Serialize + Display>(value: &T, output: Output) -> Result<ExitCode> {
    let text = match output {
        Output::Text => value.to_string(),
        Output::Wide => format!("{value:#}"),
        Output::Json => {
            serde_json::to_string_pretty(value).context("the value cannot be written as JSON")?
                + "\n"
        }
    };
    write(&text)
}

/// JSON as people read it: with all its fields, also those that are not known here, in its order.
///
/// # Errors
/// It is no JSON.
pub(crate) fn pretty(json: &[u8]) -> serde_json::Result<String> {
    let mut text = Vec::new();
    let mut from = serde_json::Deserializer::from_slice(json);
    serde_transcode::transcode(&mut from, &mut serde_json::Serializer::pretty(&mut text))?;
    from.end()?;
    text.push(b'\n');
    String::from_utf8(text).map_err(serde::ser::Error::custom)
}

/// Writes to the standard output.
pub(crate) fn write(text: &str) -> Result<ExitCode> {
    put(text).map(|_| ExitCode::SUCCESS)
}

/// Writes a line of several to the standard output; says whether more are wanted.
pub(crate) fn line(text: &str) -> Result<ControlFlow<()>> {
    put(&format!("{text}\n"))
}

fn put(text: &str) -> Result<ControlFlow<()>> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The reader has seen enough (`| head`).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(error).context("cannot write to the standard output"),
        Ok(()) => Ok(ControlFlow::Continue(())),
    }
}

/// Says on the standard error what went wrong, in colour for a person.
pub fn complain(error: &anyhow::Error) {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (red, plain) = if colour { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    eprintln!("{red}error:{plain} {error:#}");
}
