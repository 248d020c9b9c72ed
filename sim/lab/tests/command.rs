//! The subcommands of `penstock lab` as typed: names, defaults, and two of them at once. Cards are stand-ins.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_penstock-lab");
const PATIENCE: Duration = Duration::from_secs(60);

/// A user's runtime folder of his own, so that no other lab is there. His labs end with it.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Home(tempfile::tempdir().unwrap())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).env("XDG_RUNTIME_DIR", self.0.path()).stdin(Stdio::null());
        command
    }

    /// Runs the program: whether it succeeded, and all it said.
    fn run(&self, arguments: &[&str]) -> (bool, String) {
        let output = self.command(arguments).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    fn must(&self, arguments: &[&str]) -> String {
        let (ok, said) = self.run(arguments);
        assert!(ok, "{arguments:?}: {said}");
        said
    }

    /// Brings a lab of stand-ins up.
    fn up(&self, arguments: &[&str]) -> String {
        let fixed = ["up", "--no-daemon", "--card", &stand_in()];
        self.must(&[&fixed, arguments].concat())
    }

    fn labs(&self) -> PathBuf {
        self.0.path().join("penstock-lab")
    }

    fn manifests(&self, lab: &str) -> Vec<String> {
        let entries = fs::read_dir(self.labs().join(lab).join("manifests")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        for lab in fs::read_dir(self.labs()).into_iter().flatten().flatten() {
            let name = lab.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') {
                self.run(&["down", "--name", &name]);
            }
        }
    }
}

fn stand_in() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stand_in_card.sh").display().to_string()
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not in time");
        sleep(Duration::from_millis(20));
    }
}

/// A folder that looks like the remains of a lab, reached by what is no name.
#[test]
fn what_is_no_name_deletes_nothing() {
    let home = Home::new();
    let precious = home.0.path().join("precious");
    fs::create_dir_all(home.labs()).unwrap();
    fs::create_dir_all(precious.join("folder")).unwrap();
    for file in ["lock", "folder/mine"] {
        fs::write(precious.join(file), "").unwrap();
    }
    let lock = home.labs().join("lock");
    fs::write(&lock, "").unwrap();
    let card = stand_in();
    for name in ["", "../precious", &precious.display().to_string(), "."] {
        for command in [
            &["status", "--name", name][..],
            &["down", "--name", name],
            &["exec", "--name", name, "client", "--", "true"],
            &["up", "--name", name, "--no-daemon", "--card", &card],
        ] {
            let (ok, said) = home.run(command);
            assert!(!ok && said.contains("is not a name"), "{command:?}: {said}");
            assert!(precious.join("folder/mine").exists() && lock.exists(), "{command:?}");
        }
    }
}

#[test]
fn a_lab_is_called_as_its_topology_and_is_meant_if_it_is_the_only_one() {
    let home = Home::new();
    let (ok, said) = home.run(&["exec", "client", "--", "true"]);
    assert!(!ok && said.contains("no lab is up"), "{said}");
    let topology = home.0.path().join("mine.yaml");
    let chapter =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("topology/chapter.yaml"));
    fs::write(&topology, chapter.unwrap().replace("name: chapter", "name: mine")).unwrap();
    let said = home.up(&["--topology", &topology.display().to_string()]);
    assert!(said.contains("lab `mine` is up"), "{said}");
    assert_eq!(
        home.manifests("mine"),
        ["none.yaml"],
        "the chapter's services are not for every topology"
    );

    // Programs in a place find the daemon of its node.
    let socket = home.labs().join("mine/nodes/cent222/penstockd.sock");
    for place in ["cent222", "client"] {
        let api = home.must(&["exec", place, "--", "sh", "-c", "echo $PENSTOCK_API"]);
        assert_eq!(Path::new(api.trim()), socket);
    }
    let found = home.must(&["exec", "client", "--", "sh", "-c", "command -v penstock-lab"]);
    assert_eq!(found.trim(), PROGRAM);

    home.up(&["--name", "second"]);
    let (ok, said) = home.run(&["exec", "client", "--", "true"]);
    assert!(!ok && said.contains("mine, second"), "{said}");
    home.must(&["exec", "--name", "second", "client", "--", "true"]);
    home.must(&["down", "--name", "second"]);
    assert!(home.must(&["down"]).contains("`mine` is down"));
}

#[test]
fn the_chapters_services_are_there_unless_others_are_wanted() {
    let home = Home::new();
    home.up(&[]);
    assert_eq!(
        home.manifests("chapter"),
        ["pods.yaml", "service-web-clusterip-mp.yaml", "service-web-clusterip.yaml"]
    );
    home.up(&["--name", "bare", "--no-manifests"]);
    assert_eq!(home.manifests("bare"), ["none.yaml"], "a daemon must be told that there is none");
    let folder = home.0.path().join("mine");
    fs::create_dir_all(folder.join("folder")).unwrap();
    for file in ["mine.yaml", ".hidden.yaml"] {
        fs::write(folder.join(file), "").unwrap();
    }
    home.up(&["--name", "other", "--manifests", &folder.display().to_string()]);
    assert_eq!(home.manifests("other"), ["mine.yaml"]);
}

/// Whoever brings a lab up says so first, and its supervisor takes the folder a little later. Here the test says so.
#[test]
fn a_lab_that_is_announced_is_one_that_is_coming_up() {
    let home = Home::new();
    fs::DirBuilder::new().mode(0o700).create(home.labs()).unwrap();
    let announced = fs::File::create(home.labs().join(".chapter.up")).unwrap();
    announced.lock().unwrap();
    assert!(home.must(&["status"]).contains("`chapter` is coming up"));
    let (ok, said) = home.run(&["exec", "client", "--", "true"]);
    assert!(!ok && said.contains("`chapter` is still coming up"), "{said}");
    let mut down = home.command(&["down"]).stdout(Stdio::piped()).spawn().unwrap();
    let open_files = format!("/proc/{}/fd", down.id());
    wait_for("`down` waiting", || {
        let files = fs::read_dir(&open_files).into_iter().flatten().flatten();
        let mut files = files.flat_map(|file| fs::read_link(file.path()));
        let waits = files.any(|file| file.ends_with(".chapter.up"));
        assert!(waits || down.try_wait().unwrap().is_none(), "`down` found no lab");
        waits
    });
    let supervise = ["supervise", "--name", "chapter", "--no-daemon", "--card", &stand_in()];
    let mut supervisor = home.command(&supervise).stdout(Stdio::null()).spawn().unwrap();
    wait_for("the lab", || home.labs().join("chapter/state.json").exists());
    drop(announced);
    assert!(down.wait().unwrap().success());
    assert!(supervisor.wait().unwrap().success());
    assert!(!home.labs().join("chapter").exists() && !home.run(&["status"]).0);
}

/// The card starts when the gate opens; until then the lab is coming up.
#[test]
fn a_lab_that_is_coming_up_is_taken_down_when_it_is_up() {
    let home = Home::new();
    let gate = home.0.path().join("gate");
    let card = home.0.path().join("card.sh");
    let script = format!(
        "#!/bin/sh\nwhile [ ! -e {} ]; do sleep 0.02; done\nexec {} \"$@\"\n",
        gate.display(),
        stand_in()
    );
    fs::write(&card, script).unwrap();
    assert!(Command::new("chmod").arg("+x").arg(&card).status().unwrap().success());
    let card = card.display().to_string();
    let up = ["up", "--no-daemon", "--card", &card];
    let mut first = home.command(&up).stdout(Stdio::piped()).spawn().unwrap();
    wait_for("the card's process", || {
        fs::read_to_string(home.labs().join("chapter/log/cent222-card.log")).is_ok()
    });
    assert!(home.must(&["status"]).contains("`chapter` is coming up"));
    let shown: serde_json::Value =
        serde_json::from_str(&home.must(&["status", "-o", "json"])).unwrap();
    assert_eq!(shown[0]["lab"]["name"], "chapter");
    let (ok, said) = home.run(&up);
    assert!(!ok && said.contains("coming up already"), "{said}");
    let mut down = home.command(&["down", "--name", "chapter"]).spawn().unwrap();
    // It has found out that somebody brings the lab up.
    let open_files = format!("/proc/{}/fd", down.id());
    wait_for("`down` waiting", || {
        let files = fs::read_dir(&open_files).into_iter().flatten().flatten();
        let mut files = files.flat_map(|file| fs::read_link(file.path()));
        files.any(|file| file.ends_with(".chapter.up"))
    });
    assert!(down.try_wait().unwrap().is_none());
    fs::write(&gate, "").unwrap();
    assert!(first.wait().unwrap().success());
    assert!(down.wait().unwrap().success());
    assert!(!home.labs().join("chapter").exists());
    assert!(!home.run(&["status"]).0);
}
