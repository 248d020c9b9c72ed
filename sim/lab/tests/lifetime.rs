//! A lab comes up, works, goes away, and leaves nothing behind, however it ends.
//!
//! The cards are stand-ins (a plain switch each), so these tests need neither Verilator nor the daemon.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use penstock_lab::{Lab, UpOptions};

fn options(name: &str) -> UpOptions {
    UpOptions {
        name: format!("{name}-{}", std::process::id()),
        program: env!("CARGO_BIN_EXE_penstock-lab").into(),
        card: Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stand_in_card.sh")),
        no_daemon: true,
        tied: true,
        ..UpOptions::default()
    }
}

fn up(options: &UpOptions) -> Lab {
    Lab::up(options, |_| {}).unwrap()
}

fn folder(lab: &Lab) -> PathBuf {
    lab.state().manifests.parent().unwrap().to_path_buf()
}

/// All processes of the lab but the supervisor.
fn pids(lab: &Lab) -> Vec<u32> {
    let processes = lab.processes().unwrap().into_iter().filter_map(|process| process.pid);
    processes.chain(lab.state().namespaces.values().map(|namespace| namespace.holder)).collect()
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within 20 s");
        sleep(Duration::from_millis(20));
    }
}

fn run(lab: &Lab, place: &str, argv: &[&str]) -> (bool, String) {
    let output = lab.command(place, argv).unwrap().output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The nodes' kernels reach each other over the fabric.
fn assert_fabric_works(lab: &Lab) {
    wait_for("a ping over the fabric", || {
        run(lab, "cent222", &["ping", "-c1", "-W1", "10.169.25.21"]).0
    });
}

fn assert_gone(pids: &[u32]) {
    for pid in pids {
        wait_for("the end of a process", || !Path::new(&format!("/proc/{pid}")).exists());
    }
}

#[test]
fn a_lab_works_and_ends_without_a_trace() {
    let lab = up(&options("works"));
    let (folder, pids) = (folder(&lab), pids(&lab));
    assert!(pids.len() > 8, "cards, servers and holders: {pids:?}");
    assert_fabric_works(&lab);
    wait_for("the pod's web server", || {
        let page = run(&lab, "webserver-846c9ccb8b-g27dj", &["curl", "-s", "http://10.47.255.238"]);
        page.1 == "served by pod webserver-846c9ccb8b-g27dj at 10.47.255.238:80\n"
    });
    assert!(run(&lab, "client", &["ip", "route"]).1.contains("default via 10.47.255.254"));
    assert!(lab.command("nowhere", &["true"]).unwrap_err().to_string().contains("client"));
    lab.down().unwrap();
    assert!(!folder.exists());
    assert_gone(&pids);
}

#[test]
fn a_killed_lab_leaves_nothing_and_its_name_is_free() {
    let options = UpOptions { tied: false, ..options("killed") };
    let lab = up(&options);
    let (folder, pids) = (folder(&lab), pids(&lab));
    let supervisor = lab.state().supervisor.to_string();
    assert!(Command::new("kill").args(["-9", &supervisor]).status().unwrap().success());
    assert_gone(&pids);
    wait_for("the supervisor's end", || Lab::attach(&options.name, &options.program).is_err());
    assert!(!folder.exists(), "looking for the lab removes its remains");
    let lab = up(&options);
    assert_fabric_works(&lab);
    lab.down().unwrap();
}

#[test]
fn a_tied_lab_ends_with_its_owner() {
    let lab = up(&options("tied"));
    let (folder, pids) = (folder(&lab), pids(&lab));
    drop(lab);
    assert!(!folder.exists());
    assert_gone(&pids);
}

#[test]
fn labs_run_side_by_side_but_not_under_one_name() {
    let (first, second) = (options("first"), options("second"));
    let (one, two) = (up(&first), up(&second));
    let refusal = Lab::up(&first, |_| {}).unwrap_err().to_string();
    assert!(refusal.contains("is up already"), "{refusal}");
    assert_fabric_works(&one);
    one.down().unwrap();
    assert_fabric_works(&two);
    two.down().unwrap();
}

#[test]
fn a_card_that_was_killed_comes_back_with_its_interfaces() {
    let lab = up(&options("card"));
    lab.kill("cent333/card", "SIGKILL").unwrap();
    let card = |lab: &Lab| {
        lab.processes().unwrap().into_iter().find(|process| process.name == "cent333/card").unwrap()
    };
    assert_eq!(card(&lab).exit.as_deref(), Some("was ended by SIGKILL"));
    lab.restart("cent333/card").unwrap();
    assert!(card(&lab).pid.is_some());
    assert_fabric_works(&lab);
    assert!(
        run(&lab, "webserver-846c9ccb8b-g27dj", &["ip", "addr"]).1.contains("10.47.255.238/32")
    );
    lab.down().unwrap();
}

#[test]
fn a_card_that_does_not_start_is_named_with_its_last_words() {
    let folder = tempfile::tempdir().unwrap();
    let card = folder.path().join("card.sh");
    fs::write(&card, "#!/bin/sh\necho 'no such firmware'\nexit 3\n").unwrap();
    let mut command = Command::new("chmod");
    assert!(command.arg("+x").arg(&card).status().unwrap().success());
    let error = Lab::up(&UpOptions { card: Some(card), ..options("broken") }, |_| {});
    let error = error.unwrap_err().to_string();
    assert!(error.contains("cent222/card") && error.contains("no such firmware"), "{error}");
}

/// As a user who is not root, so that the lab lives in a user namespace of its own.
#[test]
fn a_lab_needs_no_root() {
    let folder = tempfile::tempdir().unwrap();
    let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    let options = options("user");
    let mut files = Vec::new();
    for file in [&options.program, options.card.as_ref().unwrap()] {
        let copy = folder.path().join(file.file_name().unwrap());
        fs::copy(file, &copy).unwrap();
        open(&copy);
        files.push(copy.to_string_lossy().into_owned());
    }
    open(folder.path());
    let (program, card) = (&files[0], &files[1]);
    let lab = |arguments: &[&str]| {
        let mut argv = vec![program.as_str()];
        if nix::unistd::geteuid().is_root() {
            let user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
            argv.splice(0..0, user);
        }
        argv.extend_from_slice(arguments);
        let mut command = Command::new(argv[0]);
        let output = command.args(&argv[1..]).env_remove("XDG_RUNTIME_DIR").output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    let name = options.name.as_str();
    let (ok, said) = lab(&["up", "--name", name, "--card", card, "--no-daemon"]);
    assert!(ok, "{said}");
    let ping = ["exec", "--name", name, "cent222", "--", "ping", "-c1", "-W1", "10.169.25.21"];
    wait_for("a ping over the fabric", || lab(&ping).0);
    let (ok, said) = lab(&["down", "--name", name]);
    assert!(ok, "{said}");
    assert!(!lab(&["status", "--name", name]).0);
}
