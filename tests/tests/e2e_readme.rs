//! The commands of the README's section "A testbed of your own", typed one after the other by somebody whose shell finds the
//! programs of this build.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

struct Shell {
    /// `target/debug`.
    programs: PathBuf,
    /// The user's runtime folder, so that no lab of this machine is in the way.
    runtime: tempfile::TempDir,
}

impl Shell {
    fn run(&self, line: &str) -> (bool, String) {
        let path = std::env::var("PATH").unwrap();
        let output = Command::new("sh")
            .args(["-c", line])
            .env("PATH", format!("{}:{path}", self.programs.display()))
            .env("XDG_RUNTIME_DIR", self.runtime.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Nothing is up any more unless the test failed.
        self.run("penstock lab down");
    }
}

/// The lines of the section's block, without what only a person needs.
fn commands(readme: &str) -> Vec<String> {
    let (_, section) = readme.split_once("## A testbed of your own").unwrap();
    let (_, block) = section.split_once("```sh\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let lines = block.lines().map(|line| line.split(" #").next().unwrap().trim().to_owned());
    lines.filter(|line| line.starts_with("penstock ")).collect()
}

#[test]
fn the_readmes_commands_work_as_they_stand_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let commands = commands(&std::fs::read_to_string(root.join("README.md")).unwrap());
    assert!(commands.len() >= 4, "{commands:?}");
    let own = std::env::current_exe().unwrap();
    // target/debug/deps/e2e_readme-0123 -> target/debug
    let programs = own.parent().and_then(Path::parent).unwrap().to_path_buf();
    let shell = Shell { programs, runtime: tempfile::tempdir().unwrap() };
    for command in &commands {
        let (ok, said) = shell.run(command);
        assert!(ok, "{command}: {said}");
        let expected = match command {
            curl if curl.contains(" curl ") => "served by pod webserver-",
            flow if flow.contains("flow -l") => "10.105.139.153:8888",
            explain if explain.contains("explain svc") => "ECMP Composite sub nh count: 2",
            _ => "lab `chapter` is ",
        };
        assert!(said.contains(expected), "{command}: {said}");
    }
}
