//! Subcommands of `penstock` that are programs: which one runs, with what, and what comes back.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// Programs in two folders; `penstock` and a program are in the first, others in the second.
struct Bench {
    _dir: tempfile::TempDir,
    beside: PathBuf,
    path: PathBuf,
}

fn script(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Made once, before any program runs: a file that is still open for writing somewhere cannot be run.
fn bench() -> &'static Bench {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    BENCH.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let (beside, path) = (dir.path().join("beside"), dir.path().join("path"));
        fs::create_dir(&beside).unwrap();
        fs::create_dir(&path).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_penstock"), beside.join("penstock")).unwrap();
        let says = |who: &str| format!("echo {who} \"$PENSTOCK_API\" \"$@\"");
        script(&beside, "penstock-both", &says("beside"));
        script(&path, "penstock-both", &says("path"));
        script(&path, "penstock-elsewhere", &says("path"));
        script(&path, "penstock-three", "exit 3");
        script(&path, "penstock-killed", "kill -TERM $$");
        script(&path, "penstock-flow", &says("path"));
        // Neither can be run.
        fs::write(beside.join("penstock-elsewhere"), "").unwrap();
        fs::create_dir(beside.join("penstock-three")).unwrap();
        Bench { _dir: dir, beside, path }
    })
}

fn penstock(words: &[&str]) -> Output {
    let bench = bench();
    let mut command = Command::new(bench.beside.join("penstock"));
    command.args(words).env("PATH", format!("{}:/usr/bin:/bin", bench.path.display()));
    command.current_dir(&bench.path).env_remove("PENSTOCK_API").output().unwrap()
}

fn said(words: &[&str]) -> String {
    let output = penstock(words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_program_beside_comes_before_the_path() {
    let socket = penstock_api::paths::DEFAULT_SOCKET;
    assert_eq!(said(&["both"]), format!("beside {socket}\n"));
    assert_eq!(said(&["elsewhere", "a", "--b"]), format!("path {socket} a --b\n"));
}

#[test]
fn global_options_go_on_and_the_rest_is_the_programs_own() {
    assert_eq!(
        said(&["--api", "/x.sock", "-o", "json", "both", "up", "-o", "wide", "--", "--api", "y"]),
        "beside /x.sock --output json up -o wide -- --api y\n"
    );
    assert!(said(&["help", "both"]).ends_with(" --help\n"));
}

#[test]
fn exit_code_and_signal_are_those_of_the_program() {
    assert_eq!(penstock(&["three"]).status.code(), Some(3));
    assert_eq!(penstock(&["killed"]).status.signal(), Some(15));
}

#[test]
fn own_subcommands_come_before_programs() {
    let output = penstock(&["--api", "/nonexistent/api.sock", "flow", "-l"]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn what_is_missing_is_named() {
    for name in ["lab", "replay"] {
        let output = penstock(&[name, "status"]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(&format!("cargo build -p penstock-{name}")), "{text}");
        assert!(said(&["--help"]).contains(&format!("  {name}  ")));
    }
    let output = penstock(&["flwo", "-l"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("'flow'") && text.contains("penstock-flwo"), "{text}");
}

#[test]
fn a_name_does_not_lead_elsewhere() {
    // `penstock-x/../penstock-both` would be a program.
    fs::create_dir(bench().beside.join("penstock-x")).unwrap();
    assert_eq!(penstock(&["x/../penstock-both"]).status.code(), Some(2));
    // The working directory is no part of an empty path.
    let bench = bench();
    let mut command = Command::new(bench.beside.join("penstock"));
    command.arg("killed").current_dir(&bench.path).env("PATH", "");
    assert_eq!(command.output().unwrap().status.code(), Some(2));
}
