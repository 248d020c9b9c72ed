//! Subcommands that are programs of their own: `penstock X` becomes `penstock-X`, as git and cargo have it.
//!
//! So the command on every node needs nothing of the simulated card, and whoever installs that gets `penstock lab` and
//! `penstock replay` with it. The program is looked for beside this one first: what was built together runs together.
//!
//! The socket of the daemon goes on as `PENSTOCK_API`; `--output`, if it is not the default, in front of the arguments.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::builder::Resettable;
use clap::{CommandFactory as _, ValueEnum as _};
use nix::unistd::{AccessFlags, access};

use crate::args::{Cli, EXTERNAL};
use crate::output::Output;

/// Exit code of a command line that is not understood, as clap has it.
const EXIT_USAGE: u8 = 2;

/// Becomes the program for the subcommand `words[0]`, the rest being its arguments; its exit code or signal is this one's.
///
/// # Errors
/// A program that is known is not installed, or the one found cannot be run. That a subcommand is unknown is told as clap
/// does, with its exit code.
pub fn run(words: &[OsString], api: &Path, output: Output) -> Result<ExitCode> {
    let (name, arguments) = words.split_first().context("no subcommand given")?;
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent);
    let Some(program) = find(name, beside, std::env::var_os("PATH").as_deref()) else {
        return absent(name);
    };
    let mut command = Command::new(&program);
    command.env("PENSTOCK_API", api);
    if output != Output::Text
        && let Some(form) = output.to_possible_value()
    {
        command.args(["--output", form.get_name()]);
    }
    let error = command.args(arguments).exec();
    Err(error).with_context(|| format!("cannot run {}", program.display()))
}

/// `help X` for a subcommand that is a program: the words that ask it.
#[must_use]
pub fn help(words: &[OsString]) -> Option<[OsString; 2]> {
    match words {
        [help, name] if help == "help" && name != "help" => {
            let builtin = Cli::command().find_subcommand(name).is_some();
            (!builtin).then(|| [name.clone(), "--help".into()])
        }
        _ => None,
    }
}

/// The program of a subcommand: in the folder `beside`, else in one of the search path. A name that is none of a program's,
/// as it would lead out of these folders, has none.
fn find(name: &OsStr, beside: Option<&Path>, path: Option<&OsStr>) -> Option<PathBuf> {
    let name = name.to_str().filter(|name| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    })?;
    let searched = path.map(std::env::split_paths).into_iter().flatten();
    beside
        .map(Path::to_path_buf)
        .into_iter()
        .chain(searched)
        // An empty entry would be the working directory, where anybody may have put anything.
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(format!("penstock-{name}")))
        .find(|file| file.is_file() && access(file, AccessFlags::X_OK).is_ok())
}

fn absent(name: &OsStr) -> Result<ExitCode> {
    let shown = name.display();
    if let Some((known, _)) = EXTERNAL.iter().find(|(known, _)| name == *known) {
        bail!(
            "`penstock {known}` needs the program `penstock-{known}`, which is neither beside `penstock` nor on the path \
             (in a checkout: cargo build -p penstock-{known})"
        );
    }
    // With the subcommands that are similar.
    let strict = Cli::command()
        .allow_external_subcommands(false)
        .external_subcommand_value_parser(Resettable::Reset);
    match strict.try_get_matches_from([OsStr::new("penstock"), name]) {
        Err(error) => error.print().context("cannot write to the standard error")?,
        Ok(_) => bail!("`{shown}` is not understood"),
    }
    eprintln!("There is no program `penstock-{shown}` either, beside `penstock` or on the path.");
    Ok(ExitCode::from(EXIT_USAGE))
}
